// SPDX-License-Identifier: MIT
// The store: zeroed memory by name, copies both direct and staged.
#include "helpers/run_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WORDS 5000

static void fill_words(uint32_t *words, uint32_t seed) {
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = seed + i * 2654435761u;
}

static void check_copies(device *d) {
    static uint32_t words[WORDS], back[WORDS], zeros[WORDS];
    store *s = NULL;
    assert_ok(store_create(d, &s));
    assert_ok(store_add(s, "a", sizeof words, STORE_DEVICE));
    assert_ok(store_add(s, "b", sizeof words, STORE_DEVICE));
    assert_ok(store_read(s, "a", 0, back, sizeof back));
    assert_memory_equal(back, zeros, sizeof back);

    fill_words(words, 7);
    assert_ok(store_write(s, "a", 0, words, sizeof words));
    assert_ok(store_write(s, "a", 4 * 11, words + 100, 4 * 13)); // inside
    memcpy(words + 11, words + 100, 4 * 13);
    assert_ok(store_read(s, "a", 0, back, sizeof back));
    assert_memory_equal(back, words, sizeof back);
    assert_ok(store_read(s, "a", 4 * 4999, back, 4));
    assert_int_equal(back[0], words[4999]);
    assert_ok(store_read(s, "a", sizeof words, back, 0));

    assert_ok(store_copy(s, "a", 400, "b", 800, 1200));
    assert_ok(store_read(s, "b", 0, back, sizeof back));
    assert_memory_equal(back + 200, words + 100, 1200);
    assert_memory_equal(back, zeros, 800);
    assert_memory_equal(back + 500, zeros, 4 * (WORDS - 500));

    assert_ok(store_fill(s, "b", 4, 8, 0xabcdef01u));
    assert_ok(store_read(s, "b", 0, back, 16));
    assert_int_equal(back[1], 0xabcdef01u);
    assert_int_equal(back[2], 0xabcdef01u);
    assert_int_equal(back[0] | back[3], 0);
    store_destroy(&s);
    store_destroy(&s); // takes null
}

static void test_copies(void **state) {
    (void)state;
    check_copies(test_device());
}

// More than the staging buffer's 16 MiB, by pieces.
static void check_large_copy(device *d) {
    uint32_t count = (16u << 20) / 4 + 12345;
    uint32_t *words = malloc(count * sizeof *words), *back = calloc(count, sizeof *back);
    store *s = NULL;
    assert_true(words && back);
    for (uint32_t i = 0; i < count; i++)
        words[i] = i * 2654435761u;
    assert_ok(store_create(d, &s));
    assert_ok(store_add(s, "large", count * sizeof *words, STORE_DEVICE));
    assert_ok(store_write(s, "large", 4, words + 1, (count - 1) * sizeof *words));
    assert_ok(store_read(s, "large", 4, back + 1, (count - 1) * sizeof *back));
    assert_int_equal(words[0], back[0]);
    assert_memory_equal(back, words, count * sizeof *words);
    store_destroy(&s);
    free(words);
    free(back);
}

// As on discrete devices, where the host maps nothing of the device's memory.
static void test_staged_copies(void **state) {
    (void)state;
    device *d = NULL;
    test_device();
    setenv("IGVK_DISABLE", "unified", 1);
    assert_ok(device_open(NULL, &d));
    unsetenv("IGVK_DISABLE");
    check_copies(d);
    check_large_copy(d);
    device_close(&d);
}

static void test_names(void **state) {
    (void)state;
    store *s = NULL;
    uint32_t word = 5, back = 0;
    assert_ok(store_create(test_device(), &s));
    assert_ok(store_add(s, "x", 4, STORE_DEVICE));
    assert_ok(store_write(s, "x", 0, &word, 4));
    assert_ok(store_add(s, "x", 4, STORE_DEVICE)); // stays as it is
    assert_ok(store_read(s, "x", 0, &back, 4));
    assert_int_equal(back, 5);
    assert_true(store_has(s, "x"));
    assert_false(store_has(s, "y"));
    assert_int_equal(store_bytes(s, "x"), 4);
    assert_int_equal(store_bytes(s, "y"), 0);
    assert_fails(store_add(s, "x", 8, STORE_DEVICE), IGVK_ERROR_INTERNAL, "'x' is in the store with 4 bytes");
    assert_fails(store_add(s, "z", 0, STORE_DEVICE), IGVK_ERROR_INTERNAL, "'z'");
    assert_fails(store_read(s, "y", 0, &back, 4), IGVK_ERROR_INTERNAL, "'y' is not in the store");
    assert_fails(store_read(s, "x", 1, &back, 4), IGVK_ERROR_INTERNAL, "4 from 1 lie outside");
    assert_fails(store_read(s, "x", UINT64_MAX, &back, 4), IGVK_ERROR_INTERNAL, "outside");
    assert_fails(store_fill(s, "x", 0, 3, 0), IGVK_ERROR_INTERNAL, "words");
    assert_fails(store_copy(s, "x", 0, "x", 0, 4), IGVK_ERROR_INTERNAL, "over itself");
    store_destroy(&s);
}

static void test_ring(void **state) {
    (void)state;
    store *s = NULL;
    uint32_t words[3] = {1, 2, 3}, back[3];
    assert_ok(store_create(test_device(), &s));
    assert_ok(store_add(s, "steps", sizeof words, STORE_RING));
    assert_ok(store_add(s, "x", sizeof words, STORE_DEVICE));
    assert_null(store_map(s, "x"));
    assert_null(store_map(s, "y"));
    uint32_t *mapped = store_map(s, "steps");
    assert_non_null(mapped);
    memcpy(mapped, words, sizeof words);
    assert_ok(store_copy(s, "steps", 0, "x", 0, sizeof words)); // the device sees the host's writes
    assert_ok(store_read(s, "x", 0, back, sizeof back));
    assert_memory_equal(back, words, sizeof words);
    store_destroy(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_staged_copies),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, close_test_devices);
}
