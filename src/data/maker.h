// SPDX-License-Identifier: MIT
// What the makers of datasets (glyphs, image folders) share: telling how far they are, which sources they
// left out and why, and which images are held out for validation.
#ifndef IGVK_DATA_MAKER_H
#define IGVK_DATA_MAKER_H

#include "core/status.h"

// Any of them may be null. All are called on the caller's thread.
typedef struct maker_callbacks {
    void *user;
    // After each image. True stops: the call returns IGVK_INTERRUPTED and leaves no files.
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    // A source (font, image file, folder) that is left out, and why; or used, with null for `reason`, where
    // the maker says so. The texts are valid during the call.
    void (*source)(void *user, const char *path, const char *reason);
} maker_callbacks;

// Number of images held out of `count`: the nearest to `share`, at least 1 where share > 0, and always fewer
// than all.
uint64_t hold_out_count(uint64_t count, double share);
// Whether image `index` of `count` is among the `held_out` chosen ones: by a keyed permutation
// (dataset_order, epoch 2^32 - 1), so that exactly so many are, spread evenly, the same for the same seed.
bool hold_out_chosen(uint64_t seed, uint64_t index, uint64_t count, uint64_t held_out);
igvk_status hold_out_check(const char *where, double share); // 0 <= share <= 0.9

// The thread's error text without a leading "path: ": a reason to tell beside the path.
const char *maker_reason(const char *path);
// A fault of this one source (bad or unreadable file), not of the whole undertaking.
bool maker_may_skip(igvk_status status);
// IGVK_INTERRUPTED where the caller asks to stop.
igvk_status maker_progress(const maker_callbacks *callbacks, uint64_t done, uint64_t total);
void maker_source(const maker_callbacks *callbacks, const char *path, const char *reason);

// Whether `name` ends in one of the endings (".png"), regardless of case, and is not hidden.
bool name_has_ending(const char *name, const char *const *endings, size_t count);

#endif
