// SPDX-License-Identifier: MIT
// How far sampling is, told after each step of each batch, and whether it is to stop there.
#ifndef IGVK_API_SAMPLING_PROGRESS_H
#define IGVK_API_SAMPLING_PROGRESS_H

#include "vulkan/device.h"

typedef struct sampling_progress {
    const igvk_events *events; // may be null
    const device *device;
    uint64_t total;    // images
    uint64_t done;     // of them
    uint64_t present;  // of those done, the ones that were there before the start
    double start;      // clock_seconds() of it
    const char *saved; // what a stop leaves: "the sheet was not written"
} sampling_progress;

// After step `step` (1 .. steps) of a batch of `count` images; IGVK_INTERRUPTED where the caller asked to stop.
igvk_status sampling_progress_step(const sampling_progress *p, uint32_t count, uint32_t step, uint32_t steps);
// After a batch whose images are where they belong: `count` more are done.
igvk_status sampling_progress_batch(sampling_progress *p, uint32_t count);

#endif
