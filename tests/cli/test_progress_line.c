// SPDX-License-Identifier: MIT
// The progress line: what it says, and that it never writes beyond its room.
#include "cli/console.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_training(void **state) {
    (void)state;
    char line[256];
    igvk_progress p = {.what = "train",
                       .done = 1218,
                       .total = 2765,
                       .seconds = 132,
                       .seconds_left = 130.4,
                       .rate = 412.4,
                       .loss = 0.386,
                       .term_count = 2,
                       .terms = {{"final", 0.246}, {"auxiliary", 0.279}},
                       .gradient_norm = 0.8123,
                       .learning_rate = 2e-3,
                       .device_bytes = 310u << 20};
    progress_line(line, sizeof line, &p);
    assert_string_equal(line,
                        "train 1218/2765, 2m10s left, loss 0.2460, auxiliary 0.2790, 412 images/s, gradient 0.812, "
                        "310 MiB, rate 0.002");
    p.terms[2] = (igvk_loss_term){"cosine", 0.5};
    p.term_count = 3;
    progress_line(line, sizeof line, &p);
    assert_non_null(strstr(line, ", loss 0.2460, auxiliary 0.2790, cosine 0.5000, "));
    p.loss = p.terms[0].value = NAN;
    progress_line(line, sizeof line, &p);
    assert_non_null(strstr(line, "loss nan"));
}

static void test_sampling(void **state) {
    (void)state;
    char line[256];
    igvk_progress p = {.what = "sample", .done = 26, .total = 104, .seconds = 4, .seconds_left = 12, .rate = 6.5};
    progress_line(line, sizeof line, &p);
    assert_string_equal(line, "sample 26/104, 12s left, 6.50 images/s");
    p.step = 7;
    p.steps = 250;
    progress_line(line, sizeof line, &p);
    assert_string_equal(line, "sample 26/104, step 7/250, 12s left, 6.50 images/s");
    p.step = p.steps = 0;
    p.done = p.total;
    progress_line(line, sizeof line, &p);
    assert_string_equal(line, "sample 104/104 in 4s, 6.50 images/s");
    p.done = 26;
    p.total = 0;
    p.seconds_left = -1;
    progress_line(line, sizeof line, &p);
    assert_string_equal(line, "sample 26, 4s, 6.50 images/s");
}

static void test_room(void **state) {
    (void)state;
    char line[64];
    igvk_progress p = {.what = "train",
                       .done = UINT64_MAX,
                       .total = UINT64_MAX,
                       .seconds_left = 1e300,
                       .rate = 1e300,
                       .loss = 1e300,
                       .term_count = 1,
                       .terms = {{"final", -1e300}},
                       .gradient_norm = INFINITY,
                       .device_bytes = UINT64_MAX};
    for (size_t size = 1; size < sizeof line; size++) {
        memset(line, '#', sizeof line);
        progress_line(line, size, &p);
        assert_true(memchr(line, 0, size) != NULL);
        assert_int_equal(line[size], '#');
    }
}

static void test_amounts(void **state) {
    (void)state;
    char text[32];
    assert_string_equal(bytes_text(text, 0), "0 B");
    assert_string_equal(bytes_text(text, 999), "999 B");
    assert_string_equal(bytes_text(text, 1536), "1.5 KiB");
    assert_string_equal(bytes_text(text, 128u << 20), "128 MiB");
    assert_string_equal(bytes_text(text, UINT64_MAX), "16 EiB");
    assert_string_equal(seconds_text(text, 0.2), "0s");
    assert_string_equal(seconds_text(text, 59.4), "59s");
    assert_string_equal(seconds_text(text, 59.6), "1m00s");
    assert_string_equal(seconds_text(text, 3600), "1h00m");
    assert_string_equal(seconds_text(text, 90000), "1d01h");
    assert_string_equal(seconds_text(text, NAN), "?");
    assert_string_equal(seconds_text(text, INFINITY), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_amounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
