// SPDX-License-Identifier: MIT
// Reading datasets: the layout is checked as a whole when opened, then images are read where they lie.
#include "data/dataset.h"

#include "core/file.h"
#include "core/memory.h"
#include "data/dataset_json.h"
#include "data/latents.h"
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPEN_SHARDS_MAX = 32, // a large dataset has more shards than a process may have files
    SHARDS_MAX = 1 << 20,
    LABELS_AT_ONCE = 4096,
};

typedef struct shard {
    char *path;
    uint64_t first, count;  // holds the images first .. first + count - 1
    safetensors_file *file; // null while closed
    uint64_t last_use;      // of dataset.clock
} shard;

struct dataset {
    dataset_info info;
    arena *names;
    const char *folder;
    shard *shards;
    size_t shard_count, shard_capacity;
    uint32_t open_shards;
    uint64_t clock;
    uint8_t *bytes; // one image
    latent_set *latents; // in place of all shards here
};

// images U8 [n, C, H, W] and labels I64 [n].
static igvk_status shard_check_layout(const dataset *d, const shard *s, uint64_t *count) {
    const dataset_info *info = &d->info;
    const safetensors_entry *images = safetensors_find(s->file, "images");
    const safetensors_entry *labels = safetensors_find(s->file, "labels");
    if (!images || !labels)
        return fail(IGVK_ERROR_INVALID, "%s: has no tensor \"%s\"; the dataset must be made again", s->path,
                    images ? "labels" : "images");
    if (images->type != ELEMENT_U8 || images->rank != 4 || images->shape[0] == 0 ||
        images->shape[1] != info->channels || images->shape[2] != info->height || images->shape[3] != info->width)
        return fail(IGVK_ERROR_INVALID,
                    "%s: \"images\" must be U8 [n, %" PRIu32 ", %" PRIu32 ", %" PRIu32 "] as dataset.json says",
                    s->path, info->channels, info->height, info->width);
    if (labels->type != ELEMENT_I64 || labels->rank != 1 || labels->shape[0] != images->shape[0])
        return fail(IGVK_ERROR_INVALID, "%s: \"labels\" must be I64 [%" PRIu64 "], one for each image", s->path,
                    images->shape[0]);
    *count = images->shape[0];
    return IGVK_OK;
}

static void close_least_recent(dataset *d) {
    shard *oldest = NULL;
    for (size_t i = 0; i < d->shard_count; i++)
        if (d->shards[i].file && (!oldest || d->shards[i].last_use < oldest->last_use))
            oldest = &d->shards[i];
    if (!oldest)
        return;
    safetensors_close(&oldest->file);
    d->open_shards--;
}

// Opens the shard where it is closed. What it says is checked each time: the file may have been replaced.
static igvk_status shard_use(dataset *d, shard *s) {
    igvk_status status = IGVK_OK;
    uint64_t count = 0;
    s->last_use = ++d->clock;
    if (s->file)
        return IGVK_OK;
    if (d->open_shards >= OPEN_SHARDS_MAX)
        close_least_recent(d);
    TRY(safetensors_open(s->path, &s->file));
    d->open_shards++;
    TRY(shard_check_layout(d, s, &count));
    if (s->count && count != s->count)
        THROW(IGVK_ERROR_INVALID, "%s: was changed while in use", s->path);
    s->count = count;
done:
    if (status != IGVK_OK && s->file) {
        safetensors_close(&s->file);
        d->open_shards--;
    }
    return status;
}

static igvk_status shard_check_labels(const dataset *d, const shard *s) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *labels = safetensors_find(s->file, "labels");
    int64_t limit = d->info.classes ? d->info.classes : 1; // unconditional: all labels are 0
    int64_t block[LABELS_AT_ONCE];
    for (uint64_t begin = 0; begin < s->count; begin += LABELS_AT_ONCE) {
        uint64_t n = s->count - begin < LABELS_AT_ONCE ? s->count - begin : LABELS_AT_ONCE;
        TRY(safetensors_read_i64(s->file, labels, begin, n, block));
        for (uint64_t i = 0; i < n; i++)
            if (block[i] < 0 || block[i] >= limit)
                THROW(IGVK_ERROR_INVALID, "%s: the label of image %" PRIu64 " is %" PRId64 ", must be 0 to %" PRId64,
                      s->path, begin + i, block[i], limit - 1);
    }
done:
    return status;
}

// Equals the file's size: a safetensors file has no byte beyond its last tensor.
static uint64_t shard_file_size(const shard *s) {
    uint64_t end = 0;
    for (size_t i = 0; i < safetensors_count(s->file); i++) {
        const safetensors_entry *e = safetensors_at(s->file, i);
        if (e->offset + e->bytes > end)
            end = e->offset + e->bytes;
    }
    return end;
}

// Takes `path`. The shard stays in the list whatever happens, so that closing frees it.
static igvk_status add_shard(dataset *d, char *path, uint64_t first, uint64_t *digest) {
    igvk_status status = IGVK_OK;
    if (!ARRAY_RESERVE(d->shards, d->shard_capacity, d->shard_count + 1)) {
        free(path);
        return fail_memory("list of shards", (d->shard_count + 1) * sizeof *d->shards);
    }
    shard *s = &d->shards[d->shard_count++];
    *s = (shard){.path = path, .first = first};
    TRY(shard_use(d, s));
    TRY(shard_check_labels(d, s));
    uint64_t size = shard_file_size(s);
    uint8_t size_bytes[8];
    for (int i = 0; i < 8; i++)
        size_bytes[i] = (uint8_t)(size >> (8 * i));
    *digest = digest_bytes(*digest, size_bytes, sizeof size_bytes);
done:
    return status;
}

static igvk_status add_all_shards(dataset *d, uint64_t *digest) {
    igvk_status status = IGVK_OK;
    uint64_t found = 0;
    for (uint32_t i = 0; i < SHARDS_MAX && found <= d->info.count; i++) {
        char *path = dataset_shard_path(d->folder, i);
        if (!path)
            return fail_memory("shard path", strlen(d->folder) + 40);
        if (!path_exists(path)) {
            free(path);
            break;
        }
        TRY(add_shard(d, path, found, digest));
        found += d->shards[d->shard_count - 1].count;
    }
    if (!d->shard_count)
        THROW(IGVK_ERROR_INVALID, "%s: dataset.json counts %" PRIu64 " images, it has no shard; make it again",
              d->folder, d->info.count);
    if (found != d->info.count)
        THROW(IGVK_ERROR_INVALID,
              "%s: dataset.json counts %" PRIu64 " images, shards 0 to %zu hold %s%" PRIu64
              "; a shard is missing or belongs to another dataset",
              d->folder, d->info.count, d->shard_count - 1, found > d->info.count ? "at least " : "", found);
done:
    return status;
}

static igvk_status open_folder(const char *folder, dataset *d) {
    igvk_status status = IGVK_OK;
    uint64_t digest = 0;
    char *json = dataset_json_path(folder);
    d->names = arena_create();
    d->folder = d->names ? arena_copy_text(d->names, folder) : NULL;
    if (!json || !d->folder) {
        status = fail_memory("dataset", strlen(folder));
        goto done;
    }
    if (!path_exists(folder))
        THROW(IGVK_ERROR_INVALID, "%s: no such folder; make a dataset with `igvk data`", folder);
    if (!path_is_folder(folder))
        THROW(IGVK_ERROR_INVALID, "%s: is a file; a dataset is a folder made by `igvk data`", folder);
    if (latent_set_recognise(folder)) {
        TRY(latent_set_open(folder, d->names, &d->latents, &d->info));
        goto done;
    }
    if (!path_exists(json))
        THROW(IGVK_ERROR_INVALID, "%s: has no dataset.json, so it is no finished dataset, nor are there latents; make one with `igvk data`",
              folder);
    TRY(dataset_json_read(json, d->names, &d->info, &digest));
    TRY(add_all_shards(d, &digest));
    snprintf(d->info.digest, sizeof d->info.digest, "%016" PRIx64, digest);
    d->bytes = malloc(dataset_image_bytes(&d->info));
    if (!d->bytes)
        status = fail_memory("one image", dataset_image_bytes(&d->info));
done:
    free(json);
    return status;
}

igvk_status dataset_open(const char *folder, dataset **out) {
    *out = NULL;
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return fail_memory("dataset", sizeof *d);
    igvk_status status = open_folder(folder, d);
    if (status == IGVK_OK)
        *out = d;
    else
        dataset_close(&d);
    return status;
}

void dataset_close(dataset **d) {
    if (!d || !*d)
        return;
    for (size_t i = 0; i < (*d)->shard_count; i++) {
        safetensors_close(&(*d)->shards[i].file);
        free((*d)->shards[i].path);
    }
    free((*d)->shards);
    free((*d)->bytes);
    latent_set_close(&(*d)->latents);
    arena_destroy(&(*d)->names);
    free(*d);
    *d = NULL;
}

const dataset_info *dataset_describe(const dataset *d) {
    return &d->info;
}

// Binary search: the last shard whose first image is not after `index`.
static shard *find_shard(dataset *d, uint64_t index) {
    size_t low = 0, high = d->shard_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (d->shards[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return &d->shards[low];
}

igvk_status dataset_read_bytes(dataset *d, uint64_t index, uint8_t *image, uint32_t *label) {
    igvk_status status = IGVK_OK;
    int64_t stored = 0;
    if (d->latents)
        THROW(IGVK_ERROR_INVALID, "%s: holds latents, not pixels", d->folder);
    if (index >= d->info.count)
        THROW(IGVK_ERROR_INVALID, "%s: image %" PRIu64 " asked for, there are %" PRIu64, d->folder, index,
              d->info.count);
    shard *s = find_shard(d, index);
    TRY(shard_use(d, s));
    uint64_t place = index - s->first;
    uint64_t size = dataset_image_bytes(&d->info);
    TRY(safetensors_read(s->file, safetensors_find(s->file, "images"), place * size, size, image));
    TRY(safetensors_read_i64(s->file, safetensors_find(s->file, "labels"), place, 1, &stored));
    if (stored < 0 || stored >= (d->info.classes ? d->info.classes : 1))
        THROW(IGVK_ERROR_INVALID, "%s: was changed while in use", s->path);
    *label = (uint32_t)stored;
done:
    return status;
}

igvk_status dataset_read(dataset *d, uint64_t index, const dataset_draw *draw, float *image, uint32_t *label) {
    const bool mirror = draw && draw->mirror;
    if (d->latents)
        return latent_set_read(d->latents, index, draw, image, label);
    igvk_status status = dataset_read_bytes(d, index, d->bytes, label);
    if (status != IGVK_OK)
        return status;
    size_t width = d->info.width;
    size_t lines = (size_t)d->info.channels * d->info.height;
    for (size_t line = 0; line < lines; line++) {
        const uint8_t *from = d->bytes + line * width;
        float *to = image + line * width;
        for (size_t x = 0; x < width; x++)
            to[x] = (float)from[mirror ? width - 1 - x : x] / 127.5f - 1.0f;
    }
    return IGVK_OK;
}
