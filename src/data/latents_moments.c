// SPDX-License-Identifier: MIT
// Folders of .npy files of moments, listed in dataset.json.
#include "core/file.h"
#include "core/philox.h"
#include "data/dataset_json.h"
#include "data/latents_internal.h"
#include "formats/npy.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_BYTES_MAX (UINT64_C(512) << 20) // ImageNet's, with mirrored ones, is 120 MB

static igvk_status read_json(const char *folder, json_t **root, uint64_t *digest) {
    igvk_status status = IGVK_OK;
    char *path = path_join(folder, "dataset.json"), *text = NULL;
    size_t size = 0;
    json_error_t error;
    if (!path)
        TRY(fail_memory("a path", 0));
    TRY(file_read(path, JSON_BYTES_MAX, &text, &size));
    *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!*root)
        THROW(IGVK_ERROR_INVALID, "%s: line %d: %s", path, error.line, error.text);
    *digest = digest_bytes(DIGEST_START, text, size);
done:
    free(text);
    free(path);
    return status;
}

// A look at the first bytes tells: the list may be long. igvk's own datasets have no "labels" there.
static bool lists_labels(const char *folder) {
    char *path = path_join(folder, "dataset.json"), start[256] = {0};
    FILE *file = path && path_exists(path) && !path_is_folder(path) ? fopen(path, "rb") : NULL;
    const size_t n = file ? fread(start, 1, sizeof start - 1, file) : 0;
    if (file)
        fclose(file);
    free(path);
    return n > 0 && strstr(start, "\"labels\"") != NULL;
}

char *moments_folder(const char *folder) {
    if (lists_labels(folder))
        return path_join(folder, ".");
    char *inner = path_join(folder, "vae-sd");
    if (inner && lists_labels(inner))
        return inner;
    free(inner);
    return NULL;
}

// A relative path that stays inside.
static bool is_inside(const char *name) {
    if (name[0] == '/' || strlen(name) > 1024)
        return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return false;
    return true;
}

static bool is_npy(const char *name) {
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".npy") == 0;
}

typedef struct named_label {
    const char *name;
    uint32_t label;
} named_label;

static int compare_named(const void *a, const void *b) {
    return strcmp(((const named_label *)a)->name, ((const named_label *)b)->name);
}

static igvk_status read_entry(const char *folder, const json_t *pair, size_t i, arena *texts, named_label *out) {
    const char *name = json_string_value(json_array_get(pair, 0));
    const json_t *label = json_array_get(pair, 1);
    const json_int_t number = json_is_integer(label) ? json_integer_value(label) : -1;
    if (!name || json_array_size(pair) != 2 || number < 0 || number >= DATASET_CLASSES_MAX)
        return fail(IGVK_ERROR_INVALID, "%s/dataset.json: entry %zu of \"labels\" must be [\"NAME.npy\", CLASS]",
                    folder, i);
    if (!is_inside(name) || !is_npy(name))
        return fail(IGVK_ERROR_INVALID, "%s/dataset.json: entry %zu: '%.100s' is no .npy file of this folder", folder,
                    i, name);
    *out = (named_label){arena_copy_text(texts, name), (uint32_t)number};
    return out->name ? IGVK_OK : fail_memory("a name", strlen(name));
}

// In the order of names, as the official loader has them; *least is one above the largest label.
static igvk_status read_list(moments_set *s, const json_t *list, arena *texts, uint32_t *least) {
    igvk_status status = IGVK_OK;
    const size_t count = json_array_size(list);
    named_label *all = calloc(count + 1, sizeof *all);
    s->names = calloc(count + 1, sizeof *s->names);
    s->labels = calloc(count + 1, sizeof *s->labels);
    if (!all || !s->names || !s->labels)
        TRY(fail_memory("the list of latents", count * sizeof *all));
    if (!json_is_array(list) || count == 0)
        THROW(IGVK_ERROR_INVALID, "%s/dataset.json: \"labels\" is no list of [\"NAME.npy\", CLASS]", s->folder);
    for (size_t i = 0; i < count; i++)
        TRY(read_entry(s->folder, json_array_get(list, i), i, texts, &all[i]));
    qsort(all, count, sizeof *all, compare_named);
    for (size_t i = 0; i < count; i++) {
        if (i && strcmp(all[i].name, all[i - 1].name) == 0)
            THROW(IGVK_ERROR_INVALID, "%s/dataset.json: lists '%.100s' twice", s->folder, all[i].name);
        s->names[i] = all[i].name;
        s->labels[i] = all[i].label;
        *least = all[i].label >= *least ? all[i].label + 1 : *least;
    }
    s->count = count;
done:
    free(all);
    return status;
}

static igvk_status read_shape(moments_set *s) {
    igvk_status status = IGVK_OK;
    npy_array first = {0};
    char *path = path_join(s->folder, s->names[0]);
    if (!path)
        TRY(fail_memory("a path", 0));
    TRY(npy_describe(path, &first));
    if (first.rank != 3 || first.shape[0] % 2 || first.shape[0] > 2 * DATASET_CHANNELS_MAX ||
        first.shape[1] > DATASET_SIDE_MAX || first.shape[2] > DATASET_SIDE_MAX)
        THROW(IGVK_ERROR_INVALID, "%s: must be [2 C, H, W], means and deviations of a latent", path);
    s->channels = (uint32_t)first.shape[0] / 2;
    s->height = (uint32_t)first.shape[1];
    s->width = (uint32_t)first.shape[2];
    const uint64_t count = first.shape[0] * first.shape[1] * first.shape[2];
    s->moments = malloc(count * sizeof *s->moments);
    if (!s->moments)
        TRY(fail_memory("one latent", count * sizeof *s->moments));
done:
    free(path);
    return status;
}

igvk_status moments_open(const char *folder, arena *texts, moments_set *s, dataset_info *info) {
    igvk_status status = IGVK_OK;
    json_t *root = NULL;
    char *classes = NULL;
    uint64_t digest = 0;
    uint32_t least = 0;
    s->folder = arena_copy_text(texts, folder);
    if (!s->folder)
        TRY(fail_memory("a path", strlen(folder)));
    TRY(read_json(folder, &root, &digest));
    TRY(read_list(s, json_object_get(root, "labels"), texts, &least));
    TRY(read_shape(s));
    const json_t *list = json_object_get(root, "classes"), *held_out = json_object_get(root, "held_out");
    classes = list ? json_dumps(list, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    TRY(latent_class_names(folder, classes, least, texts, info));
    if (held_out && (!json_is_integer(held_out) || json_integer_value(held_out) < 0))
        THROW(IGVK_ERROR_INVALID, "%s/dataset.json: \"held_out\" is no whole number", folder);
    info->held_out = (uint64_t)json_integer_value(held_out);
    info->channels = s->channels;
    info->height = s->height;
    info->width = s->width;
    info->count = s->count;
    snprintf(info->digest, sizeof info->digest, "%016" PRIx64, digest);
done:
    free(classes);
    json_decref(root);
    return status;
}

void moments_close(moments_set *s) {
    free(s->names);
    free(s->labels);
    free(s->moments);
}

igvk_status moments_read(moments_set *s, uint64_t index, const dataset_draw *draw, float *out, uint32_t *label) {
    igvk_status status = IGVK_OK;
    const npy_array wanted = {.rank = 3, .shape = {2 * (uint64_t)s->channels, s->height, s->width}};
    const uint64_t count = (uint64_t)s->channels * s->height * s->width;
    char *path = NULL;
    if (index >= s->count)
        THROW(IGVK_ERROR_INVALID, "%s: latent %" PRIu64 " asked for, there are %" PRIu64, s->folder, index, s->count);
    path = path_join(s->folder, s->names[index]);
    if (!path)
        TRY(fail_memory("a path", 0));
    TRY(npy_read_f32(path, &wanted, s->moments));
    for (uint64_t k = 0; k < count; k++) {
        const double noise = draw ? random_normal(draw->seed, STREAM_POSTERIOR, draw->step, draw->item, k) : 0;
        const double value = (s->moments[k] + s->moments[count + k] * noise) * LATENT_SCALE;
        if (!isfinite(value))
            THROW(IGVK_ERROR_INVALID, "%s: element %" PRIu64 " is not finite", path, k);
        out[k] = (float)value;
    }
    *label = s->labels[index];
done:
    free(path);
    return status;
}
