// SPDX-License-Identifier: MIT
// Nearest training images: found among the training ones alone, at the right distance.
#include "data/nearest.h"

#include "core/philox.h"
#include "data/helpers.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { COUNT = 60, HELD_OUT = 12, TRAINING = COUNT - HELD_OUT, SIDE = 5, ELEMENTS = SIDE * SIDE };

static uint8_t random_byte(uint64_t image, uint64_t element) {
    return (uint8_t)(random_word(1, STREAM_NOISE, 0, (uint32_t)image, element) >> 24);
}

// Random images of 25 elements, no multiple of any vector's width; the last training image repeats the first.
static dataset *random_dataset(void) {
    static const char *const names[] = {"a", "b"};
    dataset_writer_options o = {.folder = scratch("set"),
                                .channels = 1,
                                .height = SIDE,
                                .width = SIDE,
                                .class_names = names,
                                .classes = 2,
                                .held_out = HELD_OUT,
                                .shard_bytes = 500};
    dataset_writer *w = NULL;
    dataset *d = NULL;
    assert_ok(dataset_writer_create(&o, &w));
    for (uint64_t k = 0; k < COUNT; k++) {
        uint8_t bytes[ELEMENTS];
        for (uint64_t i = 0; i < ELEMENTS; i++)
            bytes[i] = random_byte(k == TRAINING - 1 ? 0 : k, i);
        assert_ok(dataset_append(w, bytes, k % 2));
    }
    assert_ok(dataset_finish(w));
    dataset_writer_destroy(&w);
    assert_ok(dataset_open(scratch("set"), &d));
    return d;
}

// Every image of the dataset, a little brighter, the held-out ones too.
static void test_finds(void **state) {
    (void)state;
    dataset *d = random_dataset();
    static float samples[COUNT][ELEMENTS];
    nearest_match matches[COUNT];
    for (uint64_t k = 0; k < COUNT; k++) {
        uint32_t label;
        assert_ok(dataset_read(d, k, NULL, samples[k], &label));
        for (int i = 0; i < ELEMENTS; i++)
            samples[k][i] += 0.01f;
    }
    assert_ok(nearest_find(d, samples[0], COUNT, matches, NULL, NULL));
    for (uint64_t k = 0; k < COUNT; k++) {
        assert_int_equal(matches[k].label, matches[k].index % 2);
        if (k < TRAINING) {
            assert_int_equal(matches[k].index, k == TRAINING - 1 ? 0 : k); // the lowest of equals
            assert_true(fabsf(matches[k].distance - 0.05f) < 1e-5f);       // 0.01 sqrt(25)
        } else {
            assert_true(matches[k].index < TRAINING);
            assert_true(matches[k].distance > 1);
        }
    }
    dataset_close(&d);
}

static bool stop_now(void *user, uint64_t done, uint64_t total) {
    *(uint64_t *)user = done;
    return total == TRAINING;
}

static void test_stops_and_refuses(void **state) {
    (void)state;
    dataset *d = random_dataset();
    float sample[2 * ELEMENTS] = {0};
    nearest_match match[2];
    uint64_t done = 0;
    assert_ok(nearest_find(d, sample, 0, match, NULL, NULL));
    assert_fails(nearest_find(d, sample, 1, match, stop_now, &done), IGVK_INTERRUPTED, "stopped after comparing 48");
    assert_int_equal(done, TRAINING);
    sample[ELEMENTS + 3] = NAN;
    assert_fails(nearest_find(d, sample, 2, match, NULL, NULL), IGVK_ERROR_NOT_FINITE, "sample 1");
    dataset_close(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_create, scratch_remove)
int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_finds), TEST(test_stops_and_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
