// SPDX-License-Identifier: MIT
// Sheets of guidance scales: one batch that fits every cell, progress within a batch, a stop within one.
#include "api/sheet_job.h"
#include "core/philox.h"
#include "vulkan/parameter_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMAGES 8
#define STEPS 3

static struct {
    device *device;
    parameter_layout *layout;
    model_config config;
    store *store;
} test;

// The largest tensor of 8 images, 8 * 24 tokens * 4 * 48 floats, fits one allocation; that of 16 does not.
static int set_up(void **state) {
    (void)state;
    test.config = (model_config){.kind = "sit",
                                 .height = 8,
                                 .width = 12,
                                 .channels = 3,
                                 .patch = 2,
                                 .hidden = 48,
                                 .depth = 1,
                                 .heads = 4,
                                 .head_after = 1,
                                 .classes = 3,
                                 .null_class = true,
                                 .mlp_ratio = 4};
    device_options o = {.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL, .max_allocation = 200 << 10};
    if (device_open(&o, &test.device) != IGVK_OK) {
        print_message("cannot run: %s\n", igvk_error_text());
        return -1;
    }
    test.layout = parameter_layout_create(200 << 10);
    sit_kind.parameters(&test.config, test.layout);
    return parameter_layout_check(test.layout) == IGVK_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    parameter_layout_destroy(&test.layout);
    device_close(&test.device);
    return 0;
}

static int make_store(void **state) {
    (void)state;
    assert_int_equal(store_create(test.device, &test.store), IGVK_OK);
    uint64_t seed = 1;
    const parameter_set ema = {.layout = test.layout, .arena_name = "ema"};
    const parameter_source initial = {.read = parameter_initialise, .user = &seed};
    assert_int_equal(parameter_memory_add(test.store, test.layout, "ema", STORAGE_F32), IGVK_OK);
    assert_int_equal(parameter_memory_fill(test.store, &ema, &initial), IGVK_OK);
    return 0;
}

static int drop_store(void **state) {
    (void)state;
    store_destroy(&test.store);
    return 0;
}

typedef struct watch {
    uint32_t cells, steps_told, stop_at; // stop_at: asked so often, it says stop
    uint32_t asked;
    igvk_progress last;
} watch;

static void on_progress(void *user, const igvk_progress *p) {
    watch *w = user;
    w->last = *p;
    w->steps_told += p->steps > 0;
}

static bool on_stop(void *user) {
    watch *w = user;
    return ++w->asked == w->stop_at;
}

static igvk_status on_cell(void *user, const char *label, const float *images) {
    watch *w = user;
    (void)label;
    (void)images;
    w->cells++;
    return IGVK_OK;
}

static igvk_status draw(const char *rows, uint32_t batch, watch *w) {
    image_request requests[IMAGES];
    parameter_set set = {.layout = test.layout, .arena_name = "ema", .role = ROLE_PARAMETER};
    for (uint32_t i = 0; i < IMAGES; i++)
        requests[i] = (image_request){.label = i % 3, .seed = i};
    sheet_job j = {.device = test.device,
                   .model_count = 1,
                   .requests = requests,
                   .request_count = IMAGES,
                   .title = "",
                   .method = {.solver = SOLVER_EULER, .steps = STEPS, .ig = {1.5, 0, 1}, .cfg = {1.5, 0, 1}}};
    j.models[0] = (sheet_model){.store = test.store, .config = &test.config, .parameters = &set, .batch = batch};
    igvk_events events = {.user = w, .progress = on_progress, .stop = on_stop};
    assert_int_equal(sheet_job_rows(&j, rows), IGVK_OK);
    return sheet_job_draw(&j, &events, on_cell, w);
}

static void one_batch_fits_every_row(void **state) {
    (void)state;
    watch w = {0};
    igvk_status status = draw("none,cfg,ig+cfg", 0, &w);
    if (status != IGVK_OK)
        print_message("%s\n", igvk_error_text());
    assert_int_equal(status, IGVK_OK);
    assert_int_equal(w.cells, 3);
    assert_int_equal(w.last.done, 3 * IMAGES);
    // A later sheet of the same store keeps the batch.
    assert_int_equal(draw("none", 0, &w), IGVK_OK);
}

static void steps_are_told(void **state) {
    (void)state;
    watch w = {0};
    assert_int_equal(draw("none", 0, &w), IGVK_OK);
    assert_int_equal(w.steps_told, STEPS);
    assert_int_equal(w.last.done, IMAGES);
    assert_int_equal(w.last.steps, 0);
}

static void stops_within_a_batch(void **state) {
    (void)state;
    watch w = {.stop_at = 2};
    assert_int_equal(draw("none", 0, &w), IGVK_INTERRUPTED);
    assert_int_equal(w.cells, 0);
    assert_int_equal(w.last.done, 0);
    assert_int_equal(w.last.step, 2);
    w = (watch){0};
    assert_int_equal(draw("none", 0, &w), IGVK_OK); // the store is as usable as before
}

static void a_batch_asked_for_is_refused_at_once(void **state) {
    (void)state;
    watch w = {0};
    assert_int_equal(draw("none,cfg", IMAGES, &w), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(igvk_error_text(), "--batch 8"));
    assert_int_equal(w.cells, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_store, drop_store)
int main(void) {
    const struct CMUnitTest tests[] = {TEST(one_batch_fits_every_row), TEST(steps_are_told), TEST(stops_within_a_batch),
                                       TEST(a_batch_asked_for_is_refused_at_once)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
