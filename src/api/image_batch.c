// SPDX-License-Identifier: MIT
#include "api/image_batch.h"

#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define MOST_AT_ONCE 64  // a larger batch gains no speed on any device measured
#define USABLE_SHARE 0.9 // of the free memory

struct image_batch {
    sampler *sampler;
    sampling_stage *stages;
    size_t stage_count;
    sampling_method method;
    uint32_t size, steps;
    uint64_t elements; // of one image
    uint32_t *labels;
    uint64_t *seeds;
    float *images;
};

static igvk_status fits(const sampler_options *o, bool *out) {
    uint64_t need = 0, available = (uint64_t)((double)device_memory_free(o->device) * USABLE_SHARE);
    igvk_status status = sampler_plan_bytes(o, device_capabilities(o->device), &need);
    char a[32], b[32];
    *out = status == IGVK_OK && need <= available;
    // Lowering and plan refuse a tensor that is too large alone, or too many workgroups: a smaller batch may do.
    if (o->batch > 1 && (status == IGVK_ERROR_DEVICE_MEMORY || status == IGVK_ERROR_INVALID))
        status = IGVK_OK;
    if (status == IGVK_OK && !*out && o->batch == 1)
        status = fail(IGVK_ERROR_DEVICE_MEMORY, "sampling one image needs %s beside the weights, %s are free",
                      format_bytes(a, need), format_bytes(b, available));
    return status;
}

// The states of earlier samplers of the store have their batch's size for good.
static uint32_t size_of_store(const image_batch_options *o) {
    return (uint32_t)(store_bytes(o->store, "sampling.high") / (model_elements(o->config) * sizeof(float)));
}

// --batch does not fit: the largest that does is found by planning.
static igvk_status refuse_batch(sampler_options *s, uint32_t given) {
    igvk_status status = IGVK_OK;
    uint32_t most = 0;
    bool good = false;
    for (uint32_t least_bad = s->batch; least_bad - most > 1;) {
        s->batch = most + (least_bad - most) / 2;
        TRY(fits(s, &good)); // of one image, says what it needs
        if (good)
            most = s->batch;
        else
            least_bad = s->batch;
    }
    THROW(
        IGVK_ERROR_DEVICE_MEMORY,
        "--batch %u does not fit the device's memory: %u images at a time are the most that do; leave it away to have "
        "it chosen",
        given, most);
done:
    return status;
}

static igvk_status choose_size(const image_batch_options *o, sampler_options *s) {
    igvk_status status = IGVK_OK;
    bool good = false;
    uint32_t held = size_of_store(o);
    s->batch = o->batch ? o->batch : MOST_AT_ONCE;
    if (o->expected < s->batch)
        s->batch = (uint32_t)o->expected;
    if (held)
        s->batch = held;
    for (;; s->batch = (s->batch + 1) / 2) {
        TRY(fits(s, &good));
        if (good)
            break;
        if (held)
            THROW(IGVK_ERROR_DEVICE_MEMORY, "sampling %u images at a time no longer fits the device's memory", held);
        if (o->batch)
            TRY(refuse_batch(s, o->batch));
    }
done:
    return status;
}

static sampler_options sampler_of(const image_batch_options *o, const sampling_stage *stages, size_t count) {
    return (sampler_options){.device = o->device,
                             .store = o->store,
                             .workspace = o->workspace,
                             .config = o->config,
                             .parameters = o->parameters,
                             .weak_config = o->weak_config,
                             .weak_parameters = o->weak_parameters,
                             .cfg_channels = o->method->cfg_channels,
                             .stages = stages,
                             .stage_count = count,
                             .adaptive = o->method->solver == SOLVER_DOPRI5};
}

igvk_status image_batch_choose(const image_batch_options *o, uint32_t *size) {
    sampling_stage *stages = NULL;
    size_t count = 0;
    igvk_status status = schedule_make(o->method, &stages, &count);
    sampler_options s = sampler_of(o, stages, count);
    if (status == IGVK_OK)
        status = choose_size(o, &s);
    *size = s.batch;
    free(stages);
    return status;
}

igvk_status image_batch_create(const image_batch_options *o, image_batch **out) {
    igvk_status status = IGVK_OK;
    image_batch *b = calloc(1, sizeof *b);
    *out = NULL;
    if (!b)
        return fail_memory("a batch", sizeof *b);
    TRY(schedule_make(o->method, &b->stages, &b->stage_count));
    sampler_options s = sampler_of(o, b->stages, b->stage_count);
    TRY(choose_size(o, &s));
    b->size = s.batch;
    b->method = *o->method;
    b->steps = s.adaptive ? SAMPLING_ADAPTIVE_PARTS : o->method->steps;
    b->elements = model_elements(o->config);
    b->labels = calloc(b->size, sizeof *b->labels);
    b->seeds = calloc(b->size, sizeof *b->seeds);
    b->images = calloc(b->size * b->elements, sizeof *b->images);
    if (!b->labels || !b->seeds || !b->images) {
        status = fail_memory("a batch of images", b->size * b->elements * sizeof *b->images);
        goto done;
    }
    TRY(sampler_create(&s, &b->sampler));
    *out = b;
    b = NULL;
done:
    image_batch_destroy(&b);
    return status;
}

void image_batch_destroy(image_batch **b) {
    if (!*b)
        return;
    sampler_destroy(&(*b)->sampler);
    free((*b)->stages);
    free((*b)->labels);
    free((*b)->seeds);
    free((*b)->images);
    free(*b);
    *b = NULL;
}

uint32_t image_batch_size(const image_batch *b) {
    return b->size;
}

typedef struct watched_run {
    const image_batch *batch;
    const sampling_progress *progress;
    uint32_t count;
} watched_run;

static igvk_status after_step(void *user, uint32_t step) {
    const watched_run *w = user;
    return sampling_progress_step(w->progress, w->count, step + 1, w->batch->steps);
}

igvk_status image_batch_run(image_batch *b, const image_request *requests, uint32_t count,
                            const sampling_progress *progress, float *out) {
    igvk_status status = IGVK_OK;
    watched_run watched = {b, progress, count};
    for (uint32_t i = 0; i < b->size; i++) { // a short last batch is filled up with its last image
        const image_request *r = &requests[i < count ? i : count - 1];
        b->labels[i] = r->label;
        b->seeds[i] = r->seed;
    }
    sampling_run run = {.adaptive = b->method.solver == SOLVER_DOPRI5 ? &b->method : NULL,
                        .stages = b->stages,
                        .stage_count = b->stage_count,
                        .labels = b->labels,
                        .seeds = b->seeds,
                        .after_step = progress ? after_step : NULL,
                        .user = &watched};
    TRY(sampler_run(b->sampler, &run));
    TRY(sampler_read(b->sampler, b->images));
    memcpy(out, b->images, count * b->elements * sizeof *out);
done:
    return status;
}
