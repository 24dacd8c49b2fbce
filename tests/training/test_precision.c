// SPDX-License-Identifier: MIT
// Training in f16 and bf16: the scale of an overflowing loss halves, and the step is skipped as if it had not been but
// for the EMA; losses are near those of f32; a resumed run ends with the same bits.
#include "core/philox.h"
#include "step_block.h"
#include "training/checkpoint.h"
#include "training/trainer_internal.h"
#include "vulkan/parameter_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOO_MUCH 0x1p40f // of a loss scale: no gradient of f16 bears it
#define RATE 1e-3

static device *opened;

static int set_up(void **state) {
    (void)state;
    device_options o = {.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL};
    if (device_open(&o, &opened) == IGVK_OK)
        return 0;
    print_message("cannot run: %s\n", igvk_error_text());
    return -1;
}

static int tear_down(void **state) {
    (void)state;
    device_close(&opened);
    return 0;
}

static void assert_ok(igvk_status status) {
    if (status != IGVK_OK)
        fail_msg("%s", igvk_error_text());
}

static void need_16_bits(void) {
    if (device_capabilities(opened)->storage_16bit)
        return;
    print_message("skipped: the device stores no 16-bit numbers\n");
    skip();
}

static trainer_options options_for(const char *kind, storage_type precision) {
    trainer_options o = {.device = opened,
                         .model = {.height = 8,
                                   .width = 8,
                                   .channels = 2,
                                   .patch = 2,
                                   .hidden = 24,
                                   .depth = 2,
                                   .heads = 2,
                                   .head_after = 1,
                                   .classes = 3,
                                   .null_class = true,
                                   .mlp_ratio = 4},
                         .objective = {.auxiliary_weight = 0.5, .guided_target = 1},
                         .optimizer = {.learning_rate = RATE,
                                       .beta1 = 0.9,
                                       .beta2 = 0.99,
                                       .momentum = 0.95,
                                       .epsilon = 1e-12,
                                       .clip = 1,
                                       .ema_decay = 0.9},
                         .precision = precision,
                         .label_dropout = 0.2,
                         .batch = 4,
                         .micro_batch = 2,
                         .seed = 5};
    strcpy(o.model.kind, kind);
    if (strcmp(kind, "lightningdit") == 0) {
        o.model.rms_norm = o.model.swiglu = o.model.rotary = true;
        o.optimizer.kind = OPTIMIZER_MUON;
    }
    return o;
}

// `user`: a value that the images have besides noise (not finite: a broken dataset).
static igvk_status read_batch(void *user, uint64_t step, uint32_t first, uint32_t count, float *images,
                              uint32_t *labels) {
    const float *offset = user;
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t k = 0; k < 128; k++)
            images[i * 128 + k] = *offset + (float)random_normal(7, STREAM_NOISE, (uint32_t)step, first + i, k);
        labels[i] = (uint32_t)(step + first + i) % 3;
    }
    return IGVK_OK;
}

// Not zeros, which would hide most of the model.
static igvk_status weights(void *user, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                           float *out) {
    (void)user;
    const double scale = parameter_at(l, i)->shape.rank > 1 ? 0.15 : 0.05;
    for (uint64_t k = first; k < first + count; k++)
        *out++ = (float)(scale * random_normal(1, STREAM_INITIALISATION, 0, (uint32_t)i, k));
    return IGVK_OK;
}

static trainer *start(const trainer_options *o, float scale) {
    trainer *t = NULL;
    assert_ok(trainer_create(o, &t));
    assert_ok(trainer_initialise(t, &(parameter_source){.read = weights}));
    if (scale > 0)
        assert_ok(trainer_write_scale(t, &(loss_scale){.scale = scale}));
    return t;
}

static float *read_set(trainer *t, const char *set) {
    const parameter_layout *l = trainer_layout(t);
    float *values = calloc(parameter_elements(l), sizeof *values), *next = values;
    for (size_t i = 0; i < parameter_count(l); i++) {
        assert_ok(parameter_memory_read(trainer_store(t), l, set, i, next));
        next += shape_elements(parameter_at(l, i)->shape);
    }
    return values;
}

static double largest_change(const float *a, const float *b, uint64_t count) {
    double most = 0;
    for (uint64_t i = 0; i < count; i++)
        most = fmax(most, fabs((double)a[i] - b[i]));
    return most;
}

static training_result step(trainer *t, uint64_t number, float *offset) {
    training_result r;
    assert_ok(trainer_step(t, number, read_batch, offset));
    assert_ok(trainer_finish(t));
    assert_true(trainer_take(t, &r));
    return r;
}

// Skipped steps leave the model; the first that is taken moves most parameters by the learning rate, as Adam's first
// update does: a correction for any other number of updates would give another length.
static void skipped_steps_do_not_count(void **state) {
    (void)state;
    need_16_bits();
    const trainer_options o = options_for("sit", STORAGE_F16);
    float offset = 0;
    uint64_t number = 0;
    double scale = (double)TOO_MUCH;
    trainer *t = start(&o, TOO_MUCH);
    float *before = read_set(t, SET_MODEL);
    const uint64_t count = parameter_elements(trainer_layout(t));
    training_result r = step(t, number++, &offset);
    for (; r.skipped; r = step(t, number++, &offset)) {
        float *now = read_set(t, SET_MODEL);
        assert_memory_equal(now, before, count * sizeof *now);
        free(now);
        assert_true(r.finite && !isfinite(r.gradient_norm) && isfinite(r.loss));
        assert_true(r.loss_scale == scale);
        scale /= 2;
    }
    assert_true(number > 10 && r.loss_scale == scale && isfinite(r.gradient_norm));
    float *after = read_set(t, SET_MODEL);
    const double moved = largest_change(before, after, count);
    if (fabs(moved - RATE) > 1e-3 * RATE)
        fail_msg("the first update moved by %g, must by %g", moved, RATE);
    loss_scale s;
    assert_ok(trainer_read_scale(t, &s));
    assert_true((double)s.scale == scale && s.good == 1 && s.skipped == number - 1);
    free(before);
    free(after);
    trainer_destroy(&t);
}

// The EMA of a skipped step moves towards the model.
static void a_skipped_step_moves_the_ema(void **state) {
    (void)state;
    need_16_bits();
    const trainer_options o = options_for("sit", STORAGE_F16);
    float offset = 0;
    trainer *t = start(&o, TOO_MUCH);
    for (size_t i = 0; i < parameter_count(trainer_layout(t)); i++) {
        float *zeros = calloc(shape_elements(parameter_at(trainer_layout(t), i)->shape), sizeof *zeros);
        assert_ok(parameter_memory_write(trainer_store(t), trainer_layout(t), SET_EMA, i, zeros));
        free(zeros);
    }
    assert_true(step(t, 0, &offset).skipped);
    float *model = read_set(t, SET_MODEL), *ema = read_set(t, SET_EMA);
    for (uint64_t i = 0; i < parameter_elements(trainer_layout(t)); i++)
        assert_true(fabs((double)ema[i] - 0.1 * (double)model[i]) <= 1e-6 * fabs((double)model[i]));
    free(model);
    free(ema);
    trainer_destroy(&t);
}

// What no scale can help halves it down to 1, then stops as f32 does.
static void a_broken_dataset_stops_at_the_least_scale(void **state) {
    (void)state;
    need_16_bits();
    const trainer_options o = options_for("sit", STORAGE_F16);
    float offset = NAN;
    uint64_t number = 0;
    trainer *t = start(&o, 0);
    training_result r = step(t, number++, &offset);
    while (r.skipped)
        r = step(t, number++, &offset);
    assert_int_equal(number, 17); // from 65536
    assert_true(!r.finite && r.loss_scale == LOSS_SCALE_LEAST);
    trainer_destroy(&t);
}

static void losses_are_near_those_of_f32(void **state) {
    (void)state;
    need_16_bits();
    static const char *const kinds[] = {"sit", "lightningdit"};
    for (int kind = 0; kind < 2; kind++)
        for (int k = 0; k < 2; k++) {
            trainer_options o = options_for(kinds[kind], STORAGE_F32);
            float offset = 0;
            trainer *plain = start(&o, 0);
            o.precision = k ? STORAGE_BF16 : STORAGE_F16;
            trainer *half = start(&o, 0);
            double most = 0, norms = 0;
            for (uint64_t n = 0; n < 8; n++) {
                const training_result a = step(plain, n, &offset), b = step(half, n, &offset);
                assert_true(b.finite && !b.skipped);
                most = fmax(most, fabs(b.loss / a.loss - 1));
                norms = fmax(norms, fabs(b.gradient_norm / a.gradient_norm - 1));
            }
            print_message("%s, %s: losses within %.2g, norms within %.2g of f32\n", kinds[kind], k ? "bf16" : "f16", most,
                          norms);
            assert_true(most > 0); // or it is f32
            assert_true(most < (k ? 2e-2 : 2e-3) && norms < (k ? 5e-2 : 1e-2));
            trainer_destroy(&plain);
            trainer_destroy(&half);
        }
}

// ---- resumed -----------------------------------------------------------------------------------------

#define STEPS 30
#define SAVED 5 // while the scale still falls

static void save(trainer *t, uint64_t number, const char *path) {
    const checkpoint_texts texts = {"{}", "[]"};
    checkpoint_counters c = {.step = number, .micro_batch = 2, .kernels = "k", .dataset = "d"};
    if (training_scales_loss(t->o.precision))
        assert_ok(trainer_read_scale(t, &c.scale));
    assert_ok(checkpoint_save(t, &t->o.model, &c, &texts, path));
}

// Steps [from, to), several in flight.
static void run(trainer *t, uint64_t from, uint64_t to) {
    float offset = 0;
    training_result r;
    for (uint64_t n = from; n < to; n++) {
        assert_ok(trainer_step(t, n, read_batch, &offset));
        while (trainer_take(t, &r))
            ;
    }
    assert_ok(trainer_finish(t));
    while (trainer_take(t, &r))
        assert_true(r.finite);
}

static void assert_same_sets(trainer *a, trainer *b) {
    static const char *const names[] = {SET_MODEL, SET_EMA, SET_MOMENT1};
    const uint64_t bytes = parameter_elements(trainer_layout(a)) * sizeof(float);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        float *x = read_set(a, names[i]), *y = read_set(b, names[i]);
        assert_memory_equal(x, y, bytes);
        free(x);
        free(y);
    }
}

static void resumed_runs_end_with_the_same_bits(void **state) {
    (void)state;
    need_16_bits();
    for (int k = 0; k < 4; k++) {
        char path[] = "/tmp/igvk-precision-XXXXXX";
        const int file = mkstemp(path);
        assert_true(file >= 0);
        const storage_type precision = k % 2 ? STORAGE_BF16 : STORAGE_F16;
        const trainer_options o = options_for(k / 2 ? "lightningdit" : "sit", precision);
        checkpoint_counters c;
        trainer *whole = start(&o, training_scales_loss(precision) ? TOO_MUCH : 0);
        run(whole, 0, SAVED);
        save(whole, SAVED, path);
        run(whole, SAVED, STEPS);

        trainer *resumed = NULL;
        assert_ok(trainer_create(&o, &resumed));
        assert_ok(checkpoint_read_counters(path, &c));
        assert_int_equal(c.scale.skipped, precision == STORAGE_F16 ? SAVED : 0);
        assert_ok(checkpoint_load(resumed, path));
        if (training_scales_loss(precision))
            assert_ok(trainer_write_scale(resumed, &c.scale));
        run(resumed, SAVED, STEPS);
        assert_same_sets(whole, resumed);
        trainer_destroy(&whole);
        trainer_destroy(&resumed);
        remove(path);
    }
}

// The host writes a step's numbers before it knows what became of those in flight.
static void steps_in_flight_end_with_the_bits_of_steps_awaited(void **state) {
    (void)state;
    need_16_bits();
    const trainer_options o = options_for("sit", STORAGE_F16);
    float offset = 0;
    trainer *ahead = start(&o, TOO_MUCH), *awaited = start(&o, TOO_MUCH);
    run(ahead, 0, STEPS);
    for (uint64_t n = 0; n < STEPS; n++)
        step(awaited, n, &offset);
    assert_same_sets(ahead, awaited);
    trainer_destroy(&ahead);
    trainer_destroy(&awaited);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skipped_steps_do_not_count),
        cmocka_unit_test(a_skipped_step_moves_the_ema),
        cmocka_unit_test(a_broken_dataset_stops_at_the_least_scale),
        cmocka_unit_test(losses_are_near_those_of_f32),
        cmocka_unit_test(resumed_runs_end_with_the_same_bits),
        cmocka_unit_test(steps_in_flight_end_with_the_bits_of_steps_awaited),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
