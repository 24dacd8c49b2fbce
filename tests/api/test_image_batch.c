// SPDX-License-Identifier: MIT
// Batches of images: what a device limits makes a chosen batch smaller, never other images.
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
#define ROWS 2

static const model_config config = {.kind = "sit",
                                    .height = 8,
                                    .width = 8,
                                    .channels = 3,
                                    .patch = 2,
                                    .hidden = 24,
                                    .depth = 2,
                                    .heads = 2,
                                    .head_after = 1,
                                    .classes = 3,
                                    .null_class = true,
                                    .mlp_ratio = 4};

typedef struct model {
    device *device;
    parameter_layout *layout;
    store *store;
} model;

// Random weights everywhere, in chunks of the device's limits.
static void open_model(model *m, device_options o) {
    o.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL;
    assert_int_equal(device_open(&o, &m->device), IGVK_OK);
    const capabilities *c = device_capabilities(m->device);
    m->layout = parameter_layout_create(c->max_binding < c->max_allocation ? c->max_binding : c->max_allocation);
    sit_kind.parameters(&config, m->layout);
    assert_int_equal(parameter_layout_check(m->layout), IGVK_OK);
    assert_int_equal(store_create(m->device, &m->store), IGVK_OK);
    assert_int_equal(parameter_memory_add(m->store, m->layout, "ema", STORAGE_F32), IGVK_OK);
    for (size_t i = 0; i < parameter_count(m->layout); i++) {
        uint64_t n = shape_elements(parameter_at(m->layout, i)->shape);
        float *v = malloc(n * sizeof *v);
        for (uint64_t k = 0; k < n; k++)
            v[k] = 0.1f * (float)random_normal(1, STREAM_INITIALISATION, 0, (uint32_t)i, k);
        assert_int_equal(parameter_memory_write(m->store, m->layout, "ema", i, v), IGVK_OK);
        free(v);
    }
}

static void close_model(model *m) {
    store_destroy(&m->store);
    parameter_layout_destroy(&m->layout);
    device_close(&m->device);
}

typedef struct kept {
    float *images;
    size_t rows;
} kept;

static igvk_status keep_row(void *user, const char *label, const float *images) {
    (void)label;
    kept *k = user;
    size_t elements = IMAGES * model_elements(&config);
    memcpy(k->images + k->rows++ * elements, images, elements * sizeof *images);
    return IGVK_OK;
}

// Images at once on a device with these limits, and all images of all rows.
static uint32_t sample(device_options limits, float *out) {
    image_request requests[IMAGES];
    model m = {0};
    kept k = {.images = out};
    open_model(&m, limits);
    for (uint32_t i = 0; i < IMAGES; i++)
        requests[i] = (image_request){.label = i % 3, .seed = 7 * i};
    parameter_set set = {.layout = m.layout, .arena_name = "ema", .role = ROLE_PARAMETER};
    sheet_job job = {.device = m.device,
                     .models = {{.store = m.store, .config = &config, .parameters = &set}},
                     .model_count = 1,
                     .requests = requests,
                     .request_count = IMAGES,
                     .method = {.solver = SOLVER_EULER, .steps = 2, .ig = {1.5, 0, 1}, .cfg = {1.5, 0, 1}}};
    assert_int_equal(sheet_job_rows(&job, "ig+cfg,none"), IGVK_OK);
    assert_int_equal(sheet_job_draw(&job, NULL, keep_row, &k), IGVK_OK);
    assert_int_equal(k.rows, ROWS);
    uint64_t bytes = store_bytes(m.store, "sampling.high");
    close_model(&m);
    return (uint32_t)(bytes / (model_elements(&config) * sizeof(float)));
}

static void what_a_device_limits_makes_the_batch_smaller(void **state) {
    (void)state;
    uint64_t elements = ROWS * IMAGES * model_elements(&config);
    float *whole = calloc(elements, sizeof *whole), *split = calloc(elements, sizeof *split);
    const device_options limits[] = {{.max_binding = 36 << 10}, {.max_allocation = 36 << 10}};
    assert_int_equal(sample((device_options){0}, whole), IMAGES);
    for (size_t k = 0; k < 2; k++) {
        uint32_t size = sample(limits[k], split);
        assert_true(size >= 1 && size <= IMAGES / 2);
        assert_memory_equal(whole, split, elements * sizeof *whole);
    }
    free(whole);
    free(split);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_device_limits_makes_the_batch_smaller)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
