// SPDX-License-Identifier: MIT
// Strict numbers, numbers for people, near words, growing text.
#include "core/text.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_whole_numbers(void **state) {
    (void)state;
    uint64_t value = 42;
    static const char *const bad[] = {
        "",    " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "18446744073709551616", "99999999999999999999999",
        "one", "1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse_u64("--n", bad[i], 0, UINT64_MAX, &value), IGVK_ERROR_INVALID);
        assert_int_equal(value, 42);
    }
    assert_int_equal(parse_u64("--n", "18446744073709551615", 0, UINT64_MAX, &value), IGVK_OK);
    assert_true(value == UINT64_MAX);
    assert_int_equal(parse_u64("--n", "0", 0, 0, &value), IGVK_OK);
    assert_int_equal(parse_u64("--batch", "0", 1, 64, &value), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--batch \"0\": must be a whole number from 1 to 64");
    assert_int_equal(parse_u64("--batch", "65", 1, 64, &value), IGVK_ERROR_INVALID);
    assert_int_equal(parse_u64("--steps", "0", 1, UINT64_MAX, &value), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--steps \"0\": must be a whole number of at least 1");
}

static void test_decimals(void **state) {
    (void)state;
    double value = 42;
    static const char *const bad[] = {"",    " 1", "1 ", "+1", "nan", "inf",   "-inf", "infinity", "0x1p3", "1e",
                                      "1e+", ".",  "-",  "-.", "1,5", "1e400", "1..2", "1.2.3",    "e5",    "1f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse_f64("--x", bad[i], -INFINITY, INFINITY, &value), IGVK_ERROR_INVALID);
        assert_true(value == 42);
    }
    static const struct {
        const char *text;
        double value;
    } good[] = {{"1", 1}, {"-2.5", -2.5}, {".5", 0.5}, {"5.", 5}, {"1e-4", 1e-4}, {"1E+3", 1000}, {"1e-400", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_f64("--x", good[i].text, -INFINITY, INFINITY, &value), IGVK_OK);
        assert_true(value == good[i].value);
    }
    assert_int_equal(parse_f64("--ema", "1.5", 0, 1, &value), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--ema \"1.5\": must be a number from 0 to 1");
    assert_int_equal(parse_f64("--lr", "-1", 0, INFINITY, &value), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--lr \"-1\": must be a number of at least 0");
}

// A host program's locale must change neither what is read nor what is written. Skipped where no such locale is.
static void test_locale(void **state) {
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        skip();
    double value = 0;
    assert_int_equal(parse_f64("--x", "2.5", 0, 10, &value), IGVK_OK);
    assert_true(value == 2.5);
    text_buffer b = {0};
    text_append(&b, "%.1f", 2.5);
    assert_string_equal(b.text, "2.5");
    text_free(&b);
    setlocale(LC_ALL, "C");
}

static void test_durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } good[] = {{"90", 90},     {"90s", 90},    {"15m", 900},      {"8h", 28800},
                {"2d", 172800}, {"1.5h", 5400}, {"366d", 31622400}};
    double value = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse_duration("--time", good[i].text, &value), IGVK_OK);
        assert_true(value == good[i].seconds);
    }
    static const char *const bad[] = {"",     "s",   "0",   "0.5",
                                      "367d", "8 h", "8hs", "-1h",
                                      "h8",   "nan", "1e9", "00000000000000000000000000000000000000000008h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_duration("--time", bad[i], &value), IGVK_ERROR_INVALID);
}

static void test_for_people(void **state) {
    (void)state;
    char out[32];
    assert_string_equal(format_bytes(out, 0), "0 B");
    assert_string_equal(format_bytes(out, 1023), "1023 B");
    assert_string_equal(format_bytes(out, 640 * 1024), "640 KiB");
    assert_string_equal(format_bytes(out, 1048575), "1.00 MiB");
    assert_string_equal(format_bytes(out, 1300000000), "1.21 GiB");
    assert_string_equal(format_bytes(out, UINT64_MAX), "16.0 EiB");
    assert_string_equal(format_duration(out, 0.25), "0.25 s");
    assert_string_equal(format_duration(out, 12.34), "12.3 s");
    assert_string_equal(format_duration(out, 59.97), "1 min 00 s");
    assert_string_equal(format_duration(out, 303), "5 min 03 s");
    assert_string_equal(format_duration(out, 3720), "1 h 02 min");
    assert_string_equal(format_duration(out, 180000), "2 d 02 h");
    assert_string_equal(format_duration(out, NAN), "unknown");
    assert_string_equal(format_duration(out, INFINITY), "unknown");
}

static void test_closest(void **state) {
    (void)state;
    static const char *const words[] = {"train", "sample", "info", "bench", "parity", "data"};
    const size_t count = sizeof words / sizeof *words;
    assert_string_equal(closest_word("trian", words, count), "train");
    assert_string_equal(closest_word("smaple", words, count), "sample");
    assert_string_equal(closest_word("inf", words, count), "info");
    assert_string_equal(closest_word("benches", words, count), "bench");
    assert_null(closest_word("xyzzy", words, count));
    assert_null(closest_word("", words, count));
    char endless[200];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_null(closest_word(endless, words, count));
    assert_null(closest_word("train", words, 0));
}

static void test_buffer(void **state) {
    (void)state;
    text_buffer b = {0};
    text_append(&b, "%s", "");
    assert_string_equal(b.text, "");
    char expected[20001] = "";
    for (int i = 0; i < 2000; i++) {
        text_append(&b, "%010d", i);
        sprintf(expected + i * 10, "%010d", i);
    }
    assert_string_equal(b.text, expected);
    text_append(&b, "%s", expected); // longer than the stack's piece
    assert_int_equal(b.length, 40000);
    text_append_bytes(&b, "a\0b", 3);
    assert_memory_equal(b.text + 40000, "a\0b", 4);
    text_append_bytes(&b, "x", SIZE_MAX - 5);
    assert_true(b.failed);
    text_append(&b, "more");
    assert_null(b.text);
    text_free(&b);
    assert_false(b.failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers), cmocka_unit_test(test_decimals),   cmocka_unit_test(test_locale),
        cmocka_unit_test(test_durations),     cmocka_unit_test(test_for_people), cmocka_unit_test(test_closest),
        cmocka_unit_test(test_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
