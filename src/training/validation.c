// SPDX-License-Identifier: MIT
#include "training/validation.h"

#include "core/philox.h"

#include <stdlib.h>
#include <string.h>

#define VALIDATION_SEED 0x1616u // not the run's: all runs on a dataset validate alike

struct validation {
    dataset *data;
    uint64_t elements, first; // first held-out image
    uint32_t count, terms;
};

igvk_status validation_create(dataset *d, const model_config *m, const objective_options *o, validation **out) {
    const dataset_info *info = dataset_describe(d);
    validation *v = *out = calloc(1, sizeof *v);
    if (!v)
        return fail_memory("validation", sizeof *v);
    v->data = d;
    v->elements = model_elements(m);
    v->terms = model_objective_for(m, o)->term_count;
    v->first = info->count - info->held_out;
    v->count = info->held_out < VALIDATION_MOST ? (uint32_t)info->held_out : VALIDATION_MOST;
    return IGVK_OK;
}

void validation_destroy(validation **v) {
    free(*v);
    *v = NULL;
}

typedef struct batch {
    float *images, *times, *terms;
    uint32_t *labels;
    uint64_t *seeds;
} batch;

static bool batch_alloc(batch *b, uint32_t count, uint64_t elements) {
    b->images = calloc(count * elements, sizeof *b->images);
    b->times = calloc(count, sizeof *b->times);
    b->terms = calloc((uint64_t)count * OBJECTIVE_TERMS, sizeof *b->terms);
    b->labels = calloc(count, sizeof *b->labels);
    b->seeds = calloc(count, sizeof *b->seeds);
    return b->images && b->times && b->terms && b->labels && b->seeds;
}

static void batch_free(batch *b) {
    free(b->images);
    free(b->times);
    free(b->terms);
    free(b->labels);
    free(b->seeds);
}

static igvk_status fill(validation *v, batch *b, uint32_t first, uint32_t count) {
    igvk_status status = IGVK_OK;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t item = first + i;
        double u = random_uniform(VALIDATION_SEED, STREAM_VALIDATION, 1, item, 0);
        b->times[i] = (float)((item % VALIDATION_BINS + u) / VALIDATION_BINS);
        b->seeds[i] = ((uint64_t)item << 32) | VALIDATION_SEED;
        TRY(dataset_read(v->data, v->first + item, NULL, b->images + i * v->elements, &b->labels[i]));
    }
done:
    return status;
}

igvk_status validation_run(validation *v, trainer *t, validation_result *out) {
    igvk_status status = IGVK_OK;
    uint32_t at_once = trainer_micro_batch(t), in_bin[VALIDATION_BINS] = {0};
    batch b = {0};
    memset(out, 0, sizeof *out);
    out->images = v->count;
    if (!batch_alloc(&b, at_once, v->elements)) {
        status = fail_memory("a validation batch", at_once * v->elements * sizeof(float));
        goto done;
    }
    for (uint32_t first = 0; first < v->count; first += at_once) {
        uint32_t count = v->count - first < at_once ? v->count - first : at_once;
        TRY(fill(v, &b, first, count));
        TRY(trainer_validate(t, &(validation_batch){count, b.images, b.times, b.labels, b.seeds}, b.terms));
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t k = 0; k < v->terms; k++)
                out->terms[k] += b.terms[k * count + i] / v->count;
            out->bins[(first + i) % VALIDATION_BINS] += b.terms[i];
            in_bin[(first + i) % VALIDATION_BINS]++;
        }
    }
    for (int i = 0; i < VALIDATION_BINS; i++)
        out->bins[i] = in_bin[i] ? out->bins[i] / in_bin[i] : 0;
done:
    batch_free(&b);
    return status;
}
