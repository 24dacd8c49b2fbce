// SPDX-License-Identifier: MIT
// Datasets: a folder of safetensors shards and dataset.json with pixel images as bytes, or one of latents in an
// official layout (data/latents.h); either reaches training as f32 in the model's space (pixels: byte / 127.5 - 1, in
// [-1, 1]).
//
//   dataset.json   {"format": "igvk-dataset-1", "kind": "pixels", "channels": C, "height": H, "width": W,
//                   "classes": ["A", ...], "count": N, "held_out": M, "flips": false, "made_by": "..."}
//   shard-00000.safetensors ...   "images" U8 [n, C, H, W], "labels" I64 [n]; the last `held_out` images
//                   (in shard order) are for validation and never trained on
//
// Opening checks the whole layout (sizes, label range, counts) before the first image is asked for. Reading
// touches only the asked images (at most 32 shards are open at a time): a dataset may be larger than memory.
// A dataset is used by one thread at a time.
#ifndef IGVK_DATA_DATASET_H
#define IGVK_DATA_DATASET_H

#include "core/status.h"

typedef struct dataset_info {
    uint32_t channels, height, width;
    uint32_t classes;               // 0: unconditional
    const char *const *class_names; // [classes], owned by the dataset
    uint64_t count;                 // all images
    uint64_t held_out;              // of them
    bool flips;                     // training may mirror images left to right
    bool latents;                   // not pixels
    char digest[17];                // of dataset.json and the shards' sizes: what a resume compares
} dataset_info;

typedef struct dataset dataset;
igvk_status dataset_open(const char *folder, dataset **out);
void dataset_close(dataset **d);
const dataset_info *dataset_describe(const dataset *d);
// How one reading of an image differs from another: mirrored left to right, and which of the latents that its moments
// allow, by random numbers (STREAM_POSTERIOR). Null: as it is, and the mean.
typedef struct dataset_draw {
    bool mirror;
    uint64_t seed;
    uint32_t step, item;
} dataset_draw;
// Image `index` (0 .. count - 1) as f32 C,H,W into `image` and its label.
igvk_status dataset_read(dataset *d, uint64_t index, const dataset_draw *draw, float *image, uint32_t *label);
// Of pixels.
igvk_status dataset_read_bytes(dataset *d, uint64_t index, uint8_t *image, uint32_t *label);

// Position `position` of epoch `epoch` in the training order: a pseudorandom permutation of
// [0, count - held_out) that is a function of (seed, epoch) alone and needs no memory (a Feistel network on
// Philox with cycle walking), so that a resumed run continues the same order. 0 <= position < training_count
// < 2^62; epoch 2^32 - 1 is not for training (data/maker.h chooses held-out images by it).
uint64_t dataset_order(uint64_t seed, uint32_t epoch, uint64_t position, uint64_t training_count);

// Writing: images are appended, shards roll over at shard_bytes; dataset.json comes last, so a folder without
// it is no dataset. Refuses a folder that cannot be written or is not empty and, where the expected count is
// known, a disk too small, before anything is written. Memory: at most one shard.
typedef struct dataset_writer_options {
    const char *folder;
    uint32_t channels, height, width;
    const char *const *class_names;
    uint32_t classes;
    uint64_t held_out;
    bool flips;
    uint64_t shard_bytes; // 0: 256 MiB
    const char *made_by;  // the command line, for people; null: unknown
    uint64_t expected;    // images that will come at most, for the check of free space; 0: not known
} dataset_writer_options;
typedef struct dataset_writer dataset_writer;
igvk_status dataset_writer_create(const dataset_writer_options *o, dataset_writer **out);
igvk_status dataset_append(dataset_writer *w, const uint8_t *image, uint32_t label); // C,H,W bytes
void dataset_set_held_out(dataset_writer *w, uint64_t held_out); // replaces the option, until finish
igvk_status dataset_finish(dataset_writer *w);
void dataset_writer_destroy(dataset_writer **w); // removes an unfinished dataset's files

#endif
