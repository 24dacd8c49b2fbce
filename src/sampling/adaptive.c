// SPDX-License-Identifier: MIT
// Dormand and Prince's steps on the device: slopes, sums and norms there, lengths and decisions here. `place` runs from
// 0 (noise) to 1 (data) whichever way the model's time does. The norm is over the whole batch, as torchdiffeq's.
#include "sampling/dopri5.h"
#include "sampling/sampler_internal.h"
#include "sampling/step_words.h"

#include <math.h>
#include <stdlib.h>

// A run of more is not going to end: steps have become too short to be of use.
#define MOST_CALLS 20000

_Static_assert(DOPRI5_SLOPES == RUNGE_KUTTA_SLOPES, "the step block has room for the solver's slopes");

typedef struct adaptive_run {
    sampler *s;
    const sampling_run *r;
    const sampling_method *m;
    double way; // d(x)/d(place) = way * velocity
    uint32_t calls;
} adaptive_run;

static void slope_words(const adaptive_run *a, uint32_t slot, const double *weights, uint32_t *block) {
    block[STEP_SLOT] = slot;
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++)
        step_words_pair(a->way * weights[j], block + STEP_SLOPES + 2 * j);
    block[STEP_ABSOLUTE] = step_word(a->m->absolute);
    block[STEP_RELATIVE] = step_word(a->m->relative);
}

// Slope `slot` from the model at `place`; then its input is x + weights.
static igvk_status call_model(adaptive_run *a, double place, uint32_t slot, const double *weights) {
    const double time = a->m->data_at_one ? place : 1 - place;
    sampling_stage stage = {.time = time};
    sampling_guidance(a->m, time, time, &stage.ig, &stage.cfg);
    program *p = a->s->programs[kind_of(&stage)];
    if (!p)
        return fail(IGVK_ERROR_INTERNAL, "the sampler was not made for guidance at time %g", time);
    uint32_t *block = sampler_next_block(a->s);
    step_words_of_stage(&stage, block);
    slope_words(a, slot, weights, block);
    a->calls++;
    return program_run(p, NULL);
}

// The model's input, and with `commit` the state, becomes x + weights; then slope `slot` the last one's value.
static igvk_status update(adaptive_run *a, bool commit, uint32_t slot, const double *weights) {
    uint32_t *block = sampler_next_block(a->s);
    block[STEP_COMMIT] = commit;
    slope_words(a, slot, weights, block);
    return program_run(a->s->programs[PROGRAM_UPDATE], NULL);
}

// The root mean square of own x + weights over the tolerance.
static igvk_status measure(adaptive_run *a, double own, const double *weights, double *out) {
    igvk_status status = IGVK_OK;
    const uint32_t batch = a->s->o.batch;
    double sum = 0;
    float squares[64], *all = batch <= 64 ? squares : malloc(batch * sizeof *all);
    if (!all)
        return fail_memory("errors", batch * sizeof *all);
    uint32_t *block = sampler_next_block(a->s);
    slope_words(a, 0, weights, block);
    step_words_pair(own, block + STEP_COEFFICIENTS);
    TRY(program_run(a->s->programs[PROGRAM_MEASURE], NULL));
    TRY(device_wait(a->s->o.device));
    TRY(program_read(a->s->programs[PROGRAM_MEASURE], a->s->measured, all, batch * sizeof *all));
    for (uint32_t i = 0; i < batch; i++)
        sum += all[i];
    *out = sqrt(sum / batch);
    if (!isfinite(*out))
        status = fail(IGVK_ERROR_INVALID, "sampling gave numbers that are not finite after %u model calls", a->calls);
done:
    if (all != squares)
        free(all);
    return status;
}

static const double no_slopes[DOPRI5_SLOPES] = {0};

static igvk_status first_length(adaptive_run *a, double *h) {
    static const double first[DOPRI5_SLOPES] = {1}, change[DOPRI5_SLOPES] = {-1, 1};
    const uint32_t last = DOPRI5_SLOPES - 1; // to which an update leaves what it is
    igvk_status status = IGVK_OK;
    double d0 = 0, d1 = 0, d2 = 0;
    TRY(call_model(a, 0, 0, no_slopes));
    TRY(measure(a, 1, no_slopes, &d0));
    TRY(measure(a, 0, first, &d1));
    const double trial = dopri5_trial(d0, d1), there[DOPRI5_SLOPES] = {trial};
    TRY(update(a, false, last, there));
    TRY(call_model(a, trial, 1, no_slopes));
    TRY(measure(a, 0, change, &d2));
    *h = dopri5_first(trial, d1, d2 / trial);
done:
    return status;
}

// Slopes 1 .. 6 of a step of length h from `place`, and the error's ratio.
static igvk_status try_step(adaptive_run *a, double place, double h, double *ratio) {
    const uint32_t last = DOPRI5_SLOPES - 1;
    igvk_status status = IGVK_OK;
    double weights[DOPRI5_SLOPES];
    dopri5_stage(1, h, weights);
    TRY(update(a, false, last, weights));
    for (uint32_t k = 1; k <= last; k++) {
        dopri5_stage(k < last ? k + 1 : last, h, weights);
        TRY(call_model(a, place + dopri5_place(k) * h, k, weights));
    }
    dopri5_error(h, weights);
    TRY(measure(a, 0, weights, ratio));
done:
    return status;
}

static igvk_status tell(const adaptive_run *a, double place) {
    const double part = fmin(1, place) * SAMPLING_ADAPTIVE_PARTS;
    return a->r->after_step && part >= 1 ? a->r->after_step(a->r->user, (uint32_t)part - 1) : IGVK_OK;
}

igvk_status sampler_run_adaptive(sampler *s, const sampling_run *r) {
    igvk_status status = IGVK_OK;
    adaptive_run a = {.s = s, .r = r, .m = r->adaptive, .way = r->adaptive->data_at_one ? 1 : -1};
    double place = 0, h = 0, ratio = 0, weights[DOPRI5_SLOPES];
    TRY(first_length(&a, &h));
    while (place < 1) {
        if (a.calls > MOST_CALLS || !(h > 1e-9))
            THROW(IGVK_ERROR_INVALID,
                  "sampling by dopri5 does not get on: steps of %g after %u model calls; raise --atol or --rtol, or "
                  "use another solver",
                  h, a.calls);
        TRY(try_step(&a, place, h, &ratio));
        if (ratio <= 1) {
            const bool end = place + h >= 1; // the last step goes beyond and is read inside
            if (end)
                dopri5_inside((1 - place) / h, h, weights);
            else
                dopri5_stage(DOPRI5_SLOPES - 1, h, weights);
            TRY(update(&a, true, end ? DOPRI5_SLOPES - 1 : 0, weights));
            place += h;
        }
        h = dopri5_next(h, ratio);
        TRY(tell(&a, place));
    }
    if (r->calls)
        *r->calls = a.calls;
done:
    return status;
}
