// SPDX-License-Identifier: MIT
// An image depends on its seed and class alone: the same bits in batches of 1, 3 and 5, with every guidance.
#include "core/philox.h"
#include "models/model.h"
#include "sampling/sampler.h"
#include "vulkan/parameter_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMAGES 5

static struct {
    device *device;
    parameter_layout *layout;
    model_config config;
    uint32_t calls; // of the last adaptive run
    const model_config *weak; // guides in the head's place where there
} test;

static int set_up(void **state) {
    (void)state;
    test.config = (model_config){.kind = "sit", .height = 8, .width = 12, .channels = 3, .patch = 2, .hidden = 48, .depth = 2, .heads = 4,
                                 .head_after = 1, .classes = 3, .null_class = true, .mlp_ratio = 4};
    device_options o = {.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL};
    if (device_open(&o, &test.device) != IGVK_OK) {
        print_message("cannot run: %s\n", igvk_error_text());
        return -1;
    }
    test.layout = parameter_layout_create(1 << 20);
    sit_kind.parameters(&test.config, test.layout);
    return parameter_layout_check(test.layout) == IGVK_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    parameter_layout_destroy(&test.layout);
    device_close(&test.device);
    return 0;
}

static uint32_t name_number(const char *name) {
    uint32_t number = 0;
    while (*name)
        number = 31 * number + (uint8_t)*name++;
    return number;
}

// Random weights everywhere, so that nothing is hidden by zero initialisation; by name, so that a model without the
// head has those of one with it.
static void add_weights(store *s, const parameter_layout *l, const char *set) {
    assert_int_equal(parameter_memory_add(s, l, set, STORAGE_F32), IGVK_OK);
    for (size_t i = 0; i < parameter_count(l); i++) {
        uint64_t n = shape_elements(parameter_at(l, i)->shape);
        float *v = malloc(n * sizeof *v);
        for (uint64_t k = 0; k < n; k++)
            v[k] = 0.1f * (float)random_normal(1, STREAM_INITIALISATION, 0, name_number(parameter_at(l, i)->name), k);
        assert_int_equal(parameter_memory_write(s, l, set, i, v), IGVK_OK);
        free(v);
    }
}

static store *make_store(void) {
    store *s = NULL;
    assert_int_equal(store_create(test.device, &s), IGVK_OK);
    add_weights(s, test.layout, "ema");
    return s;
}

static void sample(const sampling_method *m, uint32_t batch, float *out) {
    const uint32_t labels[IMAGES] = {0, 1, 2, 1, 0};
    const uint64_t seeds[IMAGES] = {5, 1ull << 40, 7, 5, 9};
    uint64_t elements = model_elements(&test.config);
    sampling_stage *stages = NULL;
    store *s = make_store();
    sampler *sampler = NULL;
    parameter_set set = {.layout = test.layout, .arena_name = "ema", .role = ROLE_PARAMETER};
    sampler_options o = {.device = test.device, .store = s, .config = &test.config, .parameters = &set, .batch = batch,
                         .adaptive = m->solver == SOLVER_DOPRI5};
    parameter_layout *weak_layout = parameter_layout_create(1 << 20);
    parameter_set weak_set = {.layout = weak_layout, .arena_name = "weak", .role = ROLE_PARAMETER};
    if (test.weak) {
        model_kind_find(test.weak->kind)->parameters(test.weak, weak_layout);
        add_weights(s, weak_layout, "weak");
        o.weak_config = test.weak;
        o.weak_parameters = &weak_set;
    }
    assert_int_equal(schedule_make(m, &stages, &o.stage_count), IGVK_OK);
    o.stages = stages;
    assert_int_equal(sampler_create(&o, &sampler), IGVK_OK);
    for (uint32_t i = 0; i + batch <= IMAGES; i += batch) {
        sampling_run r = {.adaptive = o.adaptive ? m : NULL, .calls = &test.calls, .stages = stages, .stage_count = o.stage_count,
                          .labels = labels + i, .seeds = seeds + i};
        assert_int_equal(sampler_run(sampler, &r), IGVK_OK);
        assert_int_equal(sampler_read(sampler, out + i * elements), IGVK_OK);
    }
    sampler_destroy(&sampler);
    store_destroy(&s);
    parameter_layout_destroy(&weak_layout);
    free(stages);
}

static void images_do_not_depend_on_their_batch(void **state) {
    (void)state;
    const solver_kind solvers[] = {SOLVER_SDE, SOLVER_EULER, SOLVER_HEUN};
    const double scales[4][2] = {{1, 1}, {1.5, 1}, {1, 1.5}, {1.5, 1.3}};
    uint64_t elements = model_elements(&test.config);
    float *one = calloc(IMAGES * elements, sizeof *one), *three = calloc(IMAGES * elements, sizeof *three);
    float *five = calloc(IMAGES * elements, sizeof *five);
    for (int s = 0; s < 3; s++)
        for (int k = 0; k < 4; k++) {
            sampling_method m = {.solver = solvers[s], .steps = 4, .ig = {scales[k][0], 0.1, 0.9}, .cfg = {scales[k][1], 0, 0.7}};
            sample(&m, 1, one);
            sample(&m, 3, three);
            sample(&m, 5, five);
            assert_memory_equal(one, five, IMAGES * elements * sizeof *one);
            assert_memory_equal(one, three, 3 * elements * sizeof *one);
            // Another seed is another image; the same seed and another class, too.
            assert_memory_not_equal(one, one + elements, elements * sizeof *one);
            assert_memory_not_equal(one, one + 3 * elements, elements * sizeof *one);
        }
    for (uint64_t i = 0; i < IMAGES * elements; i++)
        assert_true(isfinite(one[i]));
    free(one);
    free(three);
    free(five);
}

static void a_model_without_a_head_samples(void **state) {
    (void)state;
    const sampling_method m = {.solver = SOLVER_EULER, .steps = 3, .ig = {1, 0, 1}, .cfg = {1.5, 0, 1}};
    const model_config whole = test.config;
    parameter_layout *layout = test.layout;
    uint64_t count = IMAGES * model_elements(&test.config);
    float *with = calloc(count, sizeof *with), *without = calloc(count, sizeof *without);
    sample(&m, 5, with);
    test.config.head_after = 0;
    test.layout = parameter_layout_create(1 << 20);
    sit_kind.parameters(&test.config, test.layout);
    assert_null(parameter_find(test.layout, "final_layer_xr.linear.weight"));
    sample(&m, 5, without);
    assert_memory_equal(with, without, count * sizeof *with);
    parameter_layout_destroy(&test.layout);
    test.layout = layout;
    test.config = whole;
    free(with);
    free(without);
}

// With the weak model's weights equal to the head's model nothing is gained: any scale gives the unguided image; and a
// weak model of its own size changes it.
static void autoguidance(void **state) {
    (void)state;
    uint64_t count = IMAGES * model_elements(&test.config);
    float *plain = calloc(count, sizeof *plain), *same = calloc(count, sizeof *same), *weaker = calloc(count, sizeof *weaker);
    sampling_method m = {.solver = SOLVER_EULER, .steps = 3, .ig = {1, 0, 1}, .cfg = {1.5, 0, 1}};
    model_config weak = test.config;
    sample(&m, 5, plain);
    m.ig.scale = 2;
    test.weak = &weak;
    sample(&m, 5, same);
    double difference = 0, change = 0;
    weak.depth = 1;
    weak.head_after = 0;
    sample(&m, 5, weaker);
    test.weak = NULL;
    for (uint64_t i = 0; i < count; i++) {
        difference = fmax(difference, fabs((double)plain[i] - (double)same[i]));
        change = fmax(change, fabs((double)plain[i] - (double)weaker[i]));
    }
    assert_true(difference < 1e-5);
    assert_true(change > 1e-2);
    free(plain);
    free(same);
    free(weaker);
}

// Noises and variances of DDPM belong to images, too.
static void diffusion_images_do_not_depend_on_their_batch(void **state) {
    (void)state;
    const model_config kept = test.config;
    parameter_layout *layout = test.layout;
    strcpy(test.config.kind, "dit");
    test.config.learn_sigma = true;
    test.layout = parameter_layout_create(1 << 20);
    dit_kind.parameters(&test.config, test.layout);
    assert_int_equal(parameter_layout_check(test.layout), IGVK_OK);
    uint64_t elements = model_elements(&test.config);
    float *one = calloc(IMAGES * elements, sizeof *one), *five = calloc(IMAGES * elements, sizeof *five);
    sampling_method m = {.solver = SOLVER_DDPM, .steps = 4, .ig = {1.5, 0, 0.7}, .cfg = {1.3, 0.3, 1}};
    sample(&m, 1, one);
    sample(&m, 5, five);
    assert_memory_equal(one, five, IMAGES * elements * sizeof *one);
    assert_memory_not_equal(one, one + elements, elements * sizeof *one);
    for (uint64_t i = 0; i < IMAGES * elements; i++)
        assert_true(isfinite(one[i]));
    m.solver = SOLVER_DDIM;
    sample(&m, 5, one);
    assert_memory_not_equal(one, five, IMAGES * elements * sizeof *one);
    free(one);
    free(five);
    parameter_layout_destroy(&test.layout);
    test.layout = layout;
    test.config = kept;
}

static double largest_difference(const float *a, const float *b, uint64_t count) {
    double largest = 0;
    for (uint64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

// Both ways of time: dopri5 of small tolerances and Heun of many steps come to the same end, a loose dopri5 with fewer
// calls of the model nearby, and an image of a batch of one is always the same.
static void adaptive_steps_reach_the_same_end(void **state) {
    (void)state;
    uint64_t elements = model_elements(&test.config), count = IMAGES * elements;
    float *heun = calloc(count, sizeof *heun), *tight = calloc(count, sizeof *tight), *loose = calloc(count, sizeof *loose);
    for (int way = 0; way < 2; way++) {
        sampling_method m = {.solver = SOLVER_HEUN, .steps = 60, .data_at_one = way, .ig = {1.4, 0, 3}, .cfg = {1.3, 0, 1},
                             .absolute = 1e-6, .relative = 1e-6};
        sample(&m, 1, heun);
        m.solver = SOLVER_DOPRI5;
        sample(&m, 1, tight);
        const uint32_t tight_calls = test.calls;
        assert_true(largest_difference(heun, tight, count) < 1e-3);
        m.absolute = m.relative = 1e-4;
        sample(&m, 1, loose);
        assert_true(test.calls < tight_calls && test.calls >= 8);
        assert_true(largest_difference(heun, loose, count) < 0.05);
        assert_memory_not_equal(tight, loose, count * sizeof *tight);
        sample(&m, 1, tight);
        assert_memory_equal(tight, loose, count * sizeof *tight);
    }
    free(heun);
    free(tight);
    free(loose);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(images_do_not_depend_on_their_batch),
                                       cmocka_unit_test(a_model_without_a_head_samples),
                                       cmocka_unit_test(autoguidance),
                                       cmocka_unit_test(diffusion_images_do_not_depend_on_their_batch),
                                       cmocka_unit_test(adaptive_steps_reach_the_same_end)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
