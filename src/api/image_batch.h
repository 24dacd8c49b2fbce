// SPDX-License-Identifier: MIT
// Images of requests, in batches: finds a batch that fits, keeps a sampler per method.
#ifndef IGVK_API_IMAGE_BATCH_H
#define IGVK_API_IMAGE_BATCH_H

#include "api/class_list.h"
#include "api/sampling_progress.h"
#include "sampling/sampler.h"

typedef struct image_batch_options {
    device *device;
    store *store;
    workspace *workspace; // null: of its own
    const model_config *config;
    const parameter_set *parameters;
    const model_config *weak_config; // of autoguidance (sampling/sampler.h); null: none
    const parameter_set *weak_parameters;
    const sampling_method *method;
    uint32_t batch;    // 0: chosen, at most `expected`; in a store that was sampled in, that batch
    uint64_t expected; // images that will be asked for
} image_batch_options;

// The batch that image_batch_create would take, by planning alone.
igvk_status image_batch_choose(const image_batch_options *o, uint32_t *size);

typedef struct image_batch image_batch;
igvk_status image_batch_create(const image_batch_options *o, image_batch **out);
void image_batch_destroy(image_batch **b);
uint32_t image_batch_size(const image_batch *b);
// Samples requests [0, count), count at most the size, into out [count, C, H, W] in the model's space. `progress` (may
// be null) is told after each step, and may stop there.
igvk_status image_batch_run(image_batch *b, const image_request *requests, uint32_t count,
                            const sampling_progress *progress, float *out);

#endif
