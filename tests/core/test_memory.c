// SPDX-License-Identifier: MIT
// The arena, growing arrays and overflow-telling arithmetic.
#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_arena(void **state) {
    (void)state;
    arena *a = arena_create();
    assert_non_null(a);
    unsigned char *items[300];
    size_t sizes[300];
    for (size_t i = 0; i < 300; i++) {
        sizes[i] = i % 7 == 0 ? 70000 : i % 5 == 0 ? 0 : i * 13;
        items[i] = arena_alloc(a, sizes[i]);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(items[i][b], 0);
        memset(items[i], (int)(i & 255), sizes[i]);
    }
    for (size_t i = 0; i < 300; i++) // no two share a byte
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(items[i][b], i & 255);
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX - 40));
    assert_string_equal(arena_copy_text(a, "block.3"), "block.3");
    assert_string_equal(arena_format(a, "%s.%d", "blocks", 12), "blocks.12");
    arena_destroy(&a);
    assert_null(a);
    arena_destroy(&a);
    arena_destroy(NULL);
}

static void test_array(void **state) {
    (void)state;
    uint32_t *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(ARRAY_RESERVE(items, capacity, i + 1));
        assert_true(capacity > i);
        assert_int_equal(items[i], 0);
        items[i] = (uint32_t)i;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    size_t before = capacity;
    assert_false(ARRAY_RESERVE(items, capacity, SIZE_MAX / 2));
    assert_int_equal(capacity, before);
    assert_int_equal(items[999], 999);
    free(items);
}

static void test_overflow(void **state) {
    (void)state;
    uint64_t out = 5;
    assert_true(multiply_u64(1ull << 32, (1ull << 32) - 1, &out));
    assert_int_equal(out, 0xffffffff00000000ull);
    assert_false(multiply_u64(1ull << 32, 1ull << 32, &out));
    assert_false(add_u64(UINT64_MAX, 1, &out));
    assert_int_equal(out, 0xffffffff00000000ull);
    assert_true(add_u64(UINT64_MAX, 0, &out));
    assert_true(multiply_u64(UINT64_MAX, 0, &out));
    assert_int_equal(out, 0);
    assert_int_equal(align_up(17, 16), 32);
    assert_int_equal(align_up(32, 16), 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_array),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
