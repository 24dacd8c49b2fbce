// SPDX-License-Identifier: MIT
#include "data/latents_writer.h"

#include "core/file.h"
#include "data/dataset_json.h"
#include "formats/npy.h"
#include "formats/torch_write.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD_BYTES_DEFAULT (UINT64_C(256) << 20)
#define FILES_OF_A_FOLDER 1000 // as the official tool
#define NOTE "unfinished.txt"
#define SETTINGS_MOST 4096

struct latent_writer {
    latent_writer_options o;
    uint64_t elements; // of one image: moments or a latent
    uint64_t added, done;
    int64_t *labels;              // [count]
    uint64_t shard_images, shard; // of a full shard; written
    float *gathered, *mirrored;   // of the shard being gathered
};

// ---- the folder ------------------------------------------------------------------------------------------------

static igvk_status write_note(const latent_writer *w, const char *path) {
    return file_write_atomic(path, w->o.settings, strlen(w->o.settings));
}

// Empty, or with the note of the same settings; *again: the latter.
static igvk_status claim_folder(latent_writer *w, bool *again) {
    igvk_status status = IGVK_OK;
    char **names = NULL, *note = path_join(w->o.folder, NOTE), *text = NULL;
    size_t count = 0, size = 0;
    TRY(note ? folder_create(w->o.folder) : fail_memory("a path", 0));
    TRY(folder_list(w->o.folder, &names, &count));
    *again = count > 0 && path_exists(note);
    if (count && !*again)
        THROW(IGVK_ERROR_INVALID, "%s: is not empty (holds %s); latents need a new or empty folder", w->o.folder,
              names[0]);
    if (!*again) {
        TRY(write_note(w, note));
        goto done;
    }
    TRY(file_read(note, SETTINGS_MOST, &text, &size));
    if (strcmp(text, w->o.settings) != 0)
        THROW(IGVK_ERROR_INVALID, "%s: holds unfinished latents of other settings: name another --out", w->o.folder);
done:
    folder_list_free(&names, count);
    free(note);
    free(text);
    return status;
}

// Relative to the folder. Number n is of image n, or with flips of image n / 2.
static void npy_name(uint64_t n, char out[64]) {
    snprintf(out, 64, "%05llu/img-mean-std-%08llu.npy", (unsigned long long)(n / FILES_OF_A_FOLDER),
             (unsigned long long)n);
}

static char *npy_path(const latent_writer *w, uint64_t n) {
    char name[64];
    npy_name(n, name);
    return path_join(w->o.folder, name);
}

static char *shard_path(const latent_writer *w, uint64_t shard) {
    char name[64];
    snprintf(name, sizeof name, "latents_rank00_shard%05llu.safetensors", (unsigned long long)shard);
    return path_join(w->o.folder, name);
}

static igvk_status count_done(latent_writer *w) {
    const uint64_t each = 1 + w->o.flips;
    for (uint64_t n = 0; w->done < w->o.count; n++) {
        char *path = w->o.moments ? npy_path(w, n) : shard_path(w, n);
        if (!path)
            return fail_memory("a path", 0);
        const bool there = path_exists(path);
        free(path);
        if (!there)
            break;
        if (w->o.moments) {
            w->done = (n + 1) / each;
        } else {
            w->shard++;
            w->done = w->shard * w->shard_images < w->o.count ? w->shard * w->shard_images : w->o.count;
        }
    }
    w->added = w->done;
    return IGVK_OK;
}

igvk_status latent_writer_create(const latent_writer_options *o, latent_writer **out) {
    igvk_status status = IGVK_OK;
    bool again = false;
    latent_writer *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return fail_memory("a writer of latents", sizeof *w);
    w->o = *o;
    w->elements = (uint64_t)o->channels * o->height * o->width * (1 + o->moments);
    const uint64_t image_bytes = w->elements * sizeof(float) * (1 + o->flips);
    w->shard_images = (o->shard_bytes ? o->shard_bytes : SHARD_BYTES_DEFAULT) / image_bytes;
    w->shard_images = w->shard_images < 1 ? 1 : w->shard_images > o->count ? o->count : w->shard_images;
    w->labels = calloc(o->count, sizeof *w->labels);
    if (!o->moments) {
        w->gathered = malloc(w->shard_images * w->elements * sizeof *w->gathered);
        w->mirrored = malloc(w->shard_images * w->elements * sizeof *w->mirrored);
    }
    if (!w->labels || (!o->moments && (!w->gathered || !w->mirrored)))
        TRY(fail_memory("latents", w->shard_images * image_bytes));
    TRY(claim_folder(w, &again));
    if (again)
        TRY(count_done(w));
    *out = w;
    w = NULL;
done:
    latent_writer_destroy(&w);
    return status;
}

void latent_writer_destroy(latent_writer **w) {
    if (!*w)
        return;
    free((*w)->labels);
    free((*w)->gathered);
    free((*w)->mirrored);
    free(*w);
    *w = NULL;
}

uint64_t latent_writer_done(const latent_writer *w) {
    return w->done;
}

void latent_writer_label(latent_writer *w, uint64_t i, uint32_t label) {
    w->labels[i] = label;
}

// ---- moments ---------------------------------------------------------------------------------------------------

static igvk_status write_npy(const latent_writer *w, uint64_t n, const float *values) {
    igvk_status status = IGVK_OK;
    const uint64_t shape[] = {2 * (uint64_t)w->o.channels, w->o.height, w->o.width};
    char folder[24], *path = npy_path(w, n), *inner = NULL;
    snprintf(folder, sizeof folder, "%05llu", (unsigned long long)(n / FILES_OF_A_FOLDER));
    inner = path_join(w->o.folder, folder);
    TRY(path && inner ? IGVK_OK : fail_memory("a path", 0));
    if (n % FILES_OF_A_FOLDER == 0 || !path_exists(inner))
        TRY(folder_create(inner));
    TRY(npy_write_f32(path, 3, shape, values));
done:
    free(path);
    free(inner);
    return status;
}

static json_t *class_list(const latent_writer *w) {
    json_t *list = json_array();
    for (uint32_t k = 0; k < w->o.classes; k++)
        json_array_append_new(list, json_string(w->o.class_names[k]));
    return list;
}

static igvk_status write_json(const latent_writer *w) {
    igvk_status status = IGVK_OK;
    const uint64_t each = 1 + w->o.flips;
    json_t *labels = json_array(), *root = NULL;
    char *path = path_join(w->o.folder, "dataset.json"), *text = NULL;
    for (uint64_t n = 0; n < w->o.count * each; n++) {
        char name[64];
        npy_name(n, name);
        json_array_append_new(labels, json_pack("[s,I]", name, (json_int_t)w->labels[n / each]));
    }
    root = json_pack("{s:o, s:o, s:I}", "labels", labels, "classes", class_list(w), "held_out",
                     (json_int_t)(w->o.held_out * each));
    text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    TRY(path && text ? IGVK_OK : fail_memory("dataset.json", w->o.count * 64));
    TRY(file_write_atomic(path, text, strlen(text)));
done:
    json_decref(root);
    free(text);
    free(path);
    return status;
}

// ---- shards ----------------------------------------------------------------------------------------------------

static igvk_status set_metadata(const latent_writer *w, safetensors_writer *file) {
    igvk_status status = IGVK_OK;
    json_t *list = class_list(w);
    char *names = json_dumps(list, JSON_COMPACT), held_out[24];
    snprintf(held_out, sizeof held_out, "%llu", (unsigned long long)w->o.held_out);
    TRY(names ? IGVK_OK : fail_memory("class names", 0));
    TRY(safetensors_set_metadata(file, "igvk.classes", names));
    TRY(safetensors_set_metadata(file, "igvk.held_out", held_out));
done:
    json_decref(list);
    free(names);
    return status;
}

// The images from shard * shard_images up to `added`.
static igvk_status write_shard(latent_writer *w) {
    igvk_status status = IGVK_OK;
    const uint64_t first = w->shard * w->shard_images, count = w->added - first;
    const uint64_t shape[] = {count, w->o.channels, w->o.height, w->o.width};
    const uint64_t bytes = count * w->elements * sizeof(float);
    safetensors_writer *file = NULL;
    char *path = shard_path(w, w->shard);
    TRY(path ? safetensors_writer_create(path, &file) : fail_memory("a path", 0));
    TRY(safetensors_declare(file, "latents", ELEMENT_F32, 4, shape));
    if (w->o.flips)
        TRY(safetensors_declare(file, "latents_flip", ELEMENT_F32, 4, shape));
    TRY(safetensors_declare(file, "labels", ELEMENT_I64, 1, shape));
    TRY(set_metadata(w, file));
    TRY(safetensors_begin_data(file));
    TRY(safetensors_write(file, w->gathered, bytes));
    if (w->o.flips)
        TRY(safetensors_write(file, w->mirrored, bytes));
    TRY(safetensors_write(file, w->labels + first, count * sizeof *w->labels));
    TRY(safetensors_finish(file));
    w->shard++;
done:
    safetensors_writer_destroy(&file);
    free(path);
    return status;
}

typedef struct moments_of_channel {
    double sum, squares;
} moments_of_channel;

static igvk_status add_statistics(latent_writer *w, uint64_t shard, moments_of_channel *channels) {
    igvk_status status = IGVK_OK;
    safetensors_file *file = NULL;
    const uint64_t plane = (uint64_t)w->o.height * w->o.width;
    char *path = shard_path(w, shard);
    TRY(path ? safetensors_open(path, &file) : fail_memory("a path", 0));
    const safetensors_entry *e = safetensors_find(file, "latents");
    if (!e || e->rank != 4 || e->shape[1] != w->o.channels || e->bytes % (w->elements * sizeof(float)))
        THROW(IGVK_ERROR_INVALID, "%s: was changed while in use", path);
    for (uint64_t i = 0; i < e->shape[0]; i++) {
        TRY(safetensors_read_f32(file, e, i * w->elements, w->elements, w->gathered));
        for (uint64_t k = 0; k < w->elements; k++) {
            channels[k / plane].sum += w->gathered[k];
            channels[k / plane].squares += (double)w->gathered[k] * w->gathered[k];
        }
    }
done:
    safetensors_close(&file);
    free(path);
    return status;
}

// latents_stats.pt: "mean" and "std" [1, C, 1, 1] over all latents but the mirrored ones.
static igvk_status write_statistics(latent_writer *w) {
    igvk_status status = IGVK_OK;
    const uint32_t channels = w->o.channels;
    const uint64_t shape[] = {1, channels, 1, 1};
    const double count = (double)w->o.count * w->o.height * w->o.width;
    torch_writer *file = NULL;
    moments_of_channel *sums = calloc(channels, sizeof *sums);
    float *values = calloc(2 * (uint64_t)channels, sizeof *values);
    char *path = path_join(w->o.folder, "latents_stats.pt");
    TRY(sums && values && path ? IGVK_OK : fail_memory("statistics", channels * sizeof *sums));
    for (uint64_t shard = 0; shard < w->shard; shard++)
        TRY(add_statistics(w, shard, sums));
    for (uint32_t c = 0; c < channels; c++) {
        const double mean = sums[c].sum / count, variance = sums[c].squares / count - mean * mean;
        values[c] = (float)mean;
        values[channels + c] = (float)sqrt(variance > 1e-12 ? variance : 1e-12);
    }
    TRY(torch_writer_create(path, &file));
    TRY(torch_declare(file, "mean", ELEMENT_F32, 4, shape));
    TRY(torch_declare(file, "std", ELEMENT_F32, 4, shape));
    TRY(torch_begin_data(file));
    for (int k = 0; k < 2; k++)
        TRY(torch_write(file, values + k * channels, channels * sizeof *values));
    TRY(torch_finish(file));
done:
    torch_writer_destroy(&file);
    free(sums);
    free(values);
    free(path);
    return status;
}

// ---- all -------------------------------------------------------------------------------------------------------

igvk_status latent_writer_add(latent_writer *w, const float *values, const float *mirrored, uint32_t label) {
    igvk_status status = IGVK_OK;
    const uint64_t each = 1 + w->o.flips, place = w->added - w->shard * w->shard_images;
    w->labels[w->added] = label;
    if (w->o.moments) {
        // The mirrored one first: an image counts as done by both, the plain one's name alone would not tell.
        if (w->o.flips)
            TRY(write_npy(w, w->added * each + 1, mirrored));
        TRY(write_npy(w, w->added * each, values));
        w->added++;
        goto done;
    }
    memcpy(w->gathered + place * w->elements, values, w->elements * sizeof *values);
    if (w->o.flips)
        memcpy(w->mirrored + place * w->elements, mirrored, w->elements * sizeof *values);
    w->added++;
    if (place + 1 == w->shard_images || w->added == w->o.count)
        TRY(write_shard(w));
done:
    return status;
}

igvk_status latent_writer_finish(latent_writer *w) {
    igvk_status status = IGVK_OK;
    char *note = path_join(w->o.folder, NOTE);
    TRY(note ? IGVK_OK : fail_memory("a path", 0));
    TRY(w->o.moments ? write_json(w) : write_statistics(w));
    remove(note);
done:
    free(note);
    return status;
}
