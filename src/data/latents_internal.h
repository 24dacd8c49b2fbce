// SPDX-License-Identifier: MIT
// The two layouts behind latents.h.
#ifndef IGVK_DATA_LATENTS_INTERNAL_H
#define IGVK_DATA_LATENTS_INTERNAL_H

#include "data/latents.h"

// ---- latents_moments.c -------------------------------------------------------------------------------------

typedef struct moments_set {
    const char *folder; // where its dataset.json lies
    const char **names; // [count], in order of the names, as the official loader sorts them
    uint32_t *labels;
    uint64_t count;
    uint32_t channels, height, width; // of a latent: half the arrays' channels
    float *moments;                   // of one
} moments_set;
// FOLDER or FOLDER/vae-sd, malloc'd: where a dataset.json with labels lies; null where there is none.
char *moments_folder(const char *folder);
igvk_status moments_open(const char *folder, arena *texts, moments_set *s, dataset_info *info);
void moments_close(moments_set *s);
igvk_status moments_read(moments_set *s, uint64_t index, const dataset_draw *draw, float *out, uint32_t *label);

// ---- latents_shards.c --------------------------------------------------------------------------------------

typedef struct latent_shard {
    const char *path;
    uint64_t first, count;
    struct safetensors_file *file; // null while closed
} latent_shard;

typedef struct shards_set {
    latent_shard *shards;
    size_t shard_count, shard_capacity, oldest; // oldest: of those open, the next to close
    uint32_t open;
    uint32_t channels, height, width;
    uint32_t classes; // above all labels
    float *mean, *deviation;
} shards_set;
bool shards_recognise(const char *folder);
igvk_status shards_open(const char *folder, arena *texts, shards_set *s, dataset_info *info);
void shards_close(shards_set *s);
igvk_status shards_read(shards_set *s, uint64_t index, const dataset_draw *draw, float *out, uint32_t *label);

// ---- latents.c ---------------------------------------------------------------------------------------------

// Names of classes from a JSON list, or their numbers where it is null; at least `least` of them.
igvk_status latent_class_names(const char *where, const char *json, uint32_t least, arena *texts, dataset_info *info);

#endif
