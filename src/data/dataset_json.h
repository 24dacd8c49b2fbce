// SPDX-License-Identifier: MIT
// dataset.json, the description of a dataset: read strictly, checked, written. Used by the reader and the
// writer of datasets; nothing else needs it.
#ifndef IGVK_DATA_DATASET_JSON_H
#define IGVK_DATA_DATASET_JSON_H

#include "core/memory.h"
#include "data/dataset.h"

enum {
    DATASET_CHANNELS_MAX = 256,
    DATASET_SIDE_MAX = 4096,
    DATASET_IMAGE_BYTES_MAX = 64 << 20,
    DATASET_CLASSES_MAX = 1 << 20,
};
#define DATASET_COUNT_MAX (UINT64_C(1) << 40)

// FOLDER/dataset.json and FOLDER/shard-00000.safetensors, malloc'd; null where memory is out.
char *dataset_json_path(const char *folder);
char *dataset_shard_path(const char *folder, uint32_t shard);

static inline uint64_t dataset_image_bytes(const dataset_info *info) {
    return (uint64_t)info->channels * info->height * info->width;
}

// 64-bit FNV-1a, continued from `hash`: tells datasets apart, no protection against intent.
#define DIGEST_START UINT64_C(0xcbf29ce484222325)
uint64_t digest_bytes(uint64_t hash, const void *bytes, size_t size);

// Fails with one line that begins with `where` unless sizes are in range and class names are distinct,
// not empty, UTF-8 and free of control characters.
igvk_status dataset_check_shape(const char *where, const dataset_info *info);
// Fails unless there is an image and at least one is left for training.
igvk_status dataset_check_counts(const char *where, const dataset_info *info);

// Fills all of `info` but the digest; class names lie in `names`. *digest is that of the file's bytes.
igvk_status dataset_json_read(const char *path, arena *names, dataset_info *info, uint64_t *digest);
igvk_status dataset_json_write(const char *path, const dataset_info *info, const char *made_by);

#endif
