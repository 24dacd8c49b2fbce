// SPDX-License-Identifier: MIT
// The nearest training image of each sample, by L2 distance in pixel space ([-1, 1]): its class is a plain
// classifier of samples, its distance tells how far they are from the data, and beside the sample it shows
// whether a model copies.
#ifndef IGVK_DATA_NEAREST_H
#define IGVK_DATA_NEAREST_H

#include "data/dataset.h"

typedef struct nearest_match {
    uint64_t index; // in the dataset; the lowest of equally near ones
    uint32_t label;
    float distance;
} nearest_match;

// samples f32 [count, C, H, W] of the dataset's shape; fills matches [count]. Held-out images are not
// compared. The dataset is read once, from its first image to its last. `progress` (may be null) is called
// now and then with images done; true stops with IGVK_INTERRUPTED. A sample with a value that is not finite
// gives IGVK_ERROR_NOT_FINITE.
igvk_status nearest_find(dataset *d, const float *samples, size_t count, nearest_match *matches,
                         bool (*progress)(void *user, uint64_t done, uint64_t total), void *user);

#endif
