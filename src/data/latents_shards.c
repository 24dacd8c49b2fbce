// SPDX-License-Identifier: MIT
// safetensors shards of latents beside their mirrored ones, and the statistics that normalise them.
#include "core/file.h"
#include "core/text.h"
#include "data/dataset_json.h"
#include "data/latents_internal.h"
#include "formats/safetensors.h"
#include "models/autoencoder_weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MOST = 32, LABELS_AT_ONCE = 4096, SHARDS_MAX = 1 << 20 };

static bool is_shard(const char *name) {
    const size_t length = strlen(name);
    return length > 12 && strcmp(name + length - 12, ".safetensors") == 0 &&
           strcmp(name, "latents_stats.safetensors") != 0;
}

static bool has_latents(const char *folder, const char *name) {
    char *path = path_join(folder, name);
    safetensors_file *file = NULL;
    const bool has = path && safetensors_open(path, &file) == IGVK_OK && safetensors_find(file, "latents") != NULL;
    safetensors_close(&file);
    free(path);
    return has;
}

// By its first shard; igvk's own have "images".
bool shards_recognise(const char *folder) {
    char **names = NULL;
    size_t count = 0;
    bool known = false;
    if (!path_is_folder(folder) || folder_list(folder, &names, &count) != IGVK_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (is_shard(names[i])) {
            known = has_latents(folder, names[i]);
            break;
        }
    folder_list_free(&names, count);
    return known;
}

// ---- shards ----------------------------------------------------------------------------------------------------

static bool fits(const shards_set *s, const safetensors_entry *e, uint64_t count) {
    return e && e->rank == 4 && e->type <= ELEMENT_BF16 && e->shape[0] == count && e->shape[1] == s->channels &&
           e->shape[2] == s->height && e->shape[3] == s->width;
}

// The first shard gives the shape; the flips are there in all or in none.
static igvk_status check_layout(shards_set *s, latent_shard *shard, bool *flips) {
    const safetensors_entry *latents = safetensors_find(shard->file, "latents");
    const safetensors_entry *mirrored = safetensors_find(shard->file, "latents_flip");
    const safetensors_entry *labels = safetensors_find(shard->file, "labels");
    if (!s->channels && latents && latents->rank == 4 && latents->shape[1] <= DATASET_CHANNELS_MAX &&
        latents->shape[2] <= DATASET_SIDE_MAX && latents->shape[3] <= DATASET_SIDE_MAX) {
        s->channels = (uint32_t)latents->shape[1];
        s->height = (uint32_t)latents->shape[2];
        s->width = (uint32_t)latents->shape[3];
    }
    const uint64_t count = latents && latents->rank == 4 ? latents->shape[0] : 0;
    if (count == 0 || !fits(s, latents, count))
        return fail(IGVK_ERROR_INVALID, "%s: \"latents\" must be floats [n, %u, %u, %u], as in the first shard",
                    shard->path, s->channels, s->height, s->width);
    *flips = mirrored != NULL;
    if (mirrored && !fits(s, mirrored, count))
        return fail(IGVK_ERROR_INVALID, "%s: \"latents_flip\" must be of the shape of \"latents\"", shard->path);
    if (!labels || labels->rank != 1 || labels->shape[0] != count)
        return fail(IGVK_ERROR_INVALID, "%s: \"labels\" must be [%" PRIu64 "], one for each latent", shard->path,
                    count);
    if (shard->count && shard->count != count)
        return fail(IGVK_ERROR_INVALID, "%s: was changed while in use", shard->path);
    shard->count = count;
    return IGVK_OK;
}

static igvk_status use(shards_set *s, latent_shard *shard, bool *flips) {
    igvk_status status = IGVK_OK;
    if (shard->file)
        return IGVK_OK;
    for (; s->open >= OPEN_MOST; s->oldest = (s->oldest + 1) % s->shard_count)
        if (s->shards[s->oldest].file) {
            safetensors_close(&s->shards[s->oldest].file);
            s->open--;
        }
    TRY(safetensors_open(shard->path, &shard->file));
    s->open++;
    TRY(check_layout(s, shard, flips));
done:
    if (status != IGVK_OK && shard->file) {
        safetensors_close(&shard->file);
        s->open--;
    }
    return status;
}

static igvk_status find_largest_label(shards_set *s, const latent_shard *shard) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *labels = safetensors_find(shard->file, "labels");
    int64_t block[LABELS_AT_ONCE];
    for (uint64_t begin = 0; begin < shard->count; begin += LABELS_AT_ONCE) {
        const uint64_t n = shard->count - begin < LABELS_AT_ONCE ? shard->count - begin : LABELS_AT_ONCE;
        TRY(safetensors_read_i64(shard->file, labels, begin, n, block));
        for (uint64_t i = 0; i < n; i++) {
            if (block[i] < 0 || block[i] >= DATASET_CLASSES_MAX)
                THROW(IGVK_ERROR_INVALID, "%s: the label of latent %" PRIu64 " is %" PRId64, shard->path, begin + i,
                      block[i]);
            if (block[i] >= s->classes)
                s->classes = (uint32_t)block[i] + 1;
        }
    }
done:
    return status;
}

static igvk_status add_shard(shards_set *s, const char *path, dataset_info *info, uint64_t *digest) {
    igvk_status status = IGVK_OK;
    bool flips = false;
    if (s->shard_count == SHARDS_MAX || !ARRAY_RESERVE(s->shards, s->shard_capacity, s->shard_count + 1))
        return fail_memory("list of shards", (s->shard_count + 1) * sizeof *s->shards);
    latent_shard *shard = &s->shards[s->shard_count++];
    *shard = (latent_shard){.path = path, .first = info->count};
    TRY(use(s, shard, &flips));
    TRY(find_largest_label(s, shard));
    if (s->shard_count > 1 && flips != info->flips)
        THROW(IGVK_ERROR_INVALID, "%s: \"latents_flip\" must be in all shards or in none", path);
    info->flips = flips;
    info->count += shard->count;
    for (size_t i = 0; i < safetensors_count(shard->file); i++)
        *digest = digest_bytes(*digest, &safetensors_at(shard->file, i)->bytes, sizeof(uint64_t));
done:
    return status;
}

static igvk_status add_all(const char *folder, arena *texts, shards_set *s, dataset_info *info, uint64_t *digest) {
    igvk_status status = IGVK_OK;
    char **names = NULL;
    size_t count = 0;
    TRY(folder_list(folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (!is_shard(names[i]))
            continue;
        char *path = path_join(folder, names[i]);
        const char *kept = path ? arena_copy_text(texts, path) : NULL;
        free(path);
        TRY(kept ? IGVK_OK : fail_memory("a path", 0));
        TRY(add_shard(s, kept, info, digest));
    }
done:
    folder_list_free(&names, count);
    return status;
}

// ---- statistics ------------------------------------------------------------------------------------------------

static igvk_status read_statistics(const char *folder, shards_set *s) {
    static const char *const names[] = {"latents_stats.pt", "latents_stats.safetensors"};
    igvk_status status = IGVK_OK;
    char *path = NULL;
    s->mean = calloc(s->channels, sizeof *s->mean);
    s->deviation = calloc(s->channels, sizeof *s->deviation);
    if (!s->mean || !s->deviation)
        TRY(fail_memory("statistics", s->channels * sizeof *s->mean));
    for (size_t i = 0; i < 2 && !(path && path_exists(path)); i++) {
        free(path);
        path = path_join(folder, names[i]);
    }
    if (!path || !path_exists(path))
        THROW(IGVK_ERROR_INVALID, "%s: has no latents_stats.pt, which normalises its latents: copy it there", folder);
    TRY(latent_statistics_read(path, s->channels, s->mean, s->deviation));
    for (uint32_t c = 0; c < s->channels; c++)
        if (!(s->deviation[c] > 0))
            THROW(IGVK_ERROR_INVALID, "%s: the deviation of channel %u is %g", path, c, (double)s->deviation[c]);
done:
    free(path);
    return status;
}

igvk_status shards_open(const char *folder, arena *texts, shards_set *s, dataset_info *info) {
    igvk_status status = IGVK_OK;
    uint64_t digest = DIGEST_START;
    TRY(add_all(folder, texts, s, info, &digest));
    TRY(read_statistics(folder, s));
    bool flips = false;
    TRY(use(s, &s->shards[0], &flips));
    const safetensors_file *first = s->shards[0].file;
    const char *held_out = safetensors_metadata(first, "igvk.held_out");
    TRY(latent_class_names(folder, safetensors_metadata(first, "igvk.classes"), s->classes, texts, info));
    if (held_out)
        TRY(parse_u64("igvk.held_out", held_out, 0, DATASET_COUNT_MAX, &info->held_out));
    info->channels = s->channels;
    info->height = s->height;
    info->width = s->width;
    digest = digest_bytes(digest, s->mean, s->channels * sizeof *s->mean);
    digest = digest_bytes(digest, s->deviation, s->channels * sizeof *s->deviation);
    snprintf(info->digest, sizeof info->digest, "%016" PRIx64, digest);
done:
    return status;
}

void shards_close(shards_set *s) {
    for (size_t i = 0; i < s->shard_count; i++)
        safetensors_close(&s->shards[i].file);
    free(s->shards);
    free(s->mean);
    free(s->deviation);
}

// ---- reading ---------------------------------------------------------------------------------------------------

static latent_shard *find_shard(shards_set *s, uint64_t index) {
    size_t low = 0, high = s->shard_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (s->shards[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return &s->shards[low];
}

igvk_status shards_read(shards_set *s, uint64_t index, const dataset_draw *draw, float *out, uint32_t *label) {
    igvk_status status = IGVK_OK;
    const uint64_t plane = (uint64_t)s->height * s->width, count = s->channels * plane;
    latent_shard *shard = find_shard(s, index);
    int64_t stored = 0;
    bool flips = false;
    if (index - shard->first >= shard->count)
        THROW(IGVK_ERROR_INVALID, "latent %" PRIu64 " asked for: there are fewer", index);
    TRY(use(s, shard, &flips));
    const safetensors_entry *e = safetensors_find(shard->file, draw && draw->mirror ? "latents_flip" : "latents");
    if (!e)
        THROW(IGVK_ERROR_INVALID, "%s: has no \"latents_flip\"", shard->path);
    TRY(safetensors_read_f32(shard->file, e, (index - shard->first) * count, count, out));
    for (uint64_t k = 0; k < count; k++) {
        out[k] = (out[k] - s->mean[k / plane]) / s->deviation[k / plane];
        if (!isfinite(out[k]))
            THROW(IGVK_ERROR_INVALID, "%s: an element of latent %" PRIu64 " is not finite", shard->path,
                  index - shard->first);
    }
    TRY(safetensors_read_i64(shard->file, safetensors_find(shard->file, "labels"), index - shard->first, 1, &stored));
    if (stored < 0 || stored >= s->classes)
        THROW(IGVK_ERROR_INVALID, "%s: was changed while in use", shard->path);
    *label = (uint32_t)stored;
done:
    return status;
}
