// SPDX-License-Identifier: MIT
// Error texts: one line, cut, safe to print, and buildable from themselves.
#include "core/status.h"

#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#undef fail // cmocka has a macro of that name

static void test_text_and_code(void **state) {
    (void)state;
    assert_int_equal(fail(IGVK_ERROR_INVALID, "--batch %d: must be at least 1", 0), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--batch 0: must be at least 1");
}

static void test_within(void **state) {
    (void)state;
    fail(IGVK_ERROR_IO, "inner");
    assert_int_equal(fail_within(IGVK_ERROR_IO, "shard %d", 3), IGVK_ERROR_IO);
    assert_string_equal(igvk_error_text(), "shard 3: inner");
    assert_int_equal(fail_within(IGVK_OK, "never"), IGVK_OK);
    assert_string_equal(igvk_error_text(), "shard 3: inner");
    fail(IGVK_ERROR_IO, "again: %s", igvk_error_text());
    assert_string_equal(igvk_error_text(), "again: shard 3: inner");
}

static void test_hostile_text(void **state) {
    (void)state;
    fail(IGVK_ERROR_INVALID, "%s",
         "a\nb\x1b[2Jc\x7f\xc2\x9b"
         "d\xc3\xa9");
    assert_string_equal(igvk_error_text(), "a?b?[2Jc???d\xc3\xa9");
    char big[5000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    fail(IGVK_ERROR_INVALID, "%s", big);
    assert_int_equal(strlen(igvk_error_text()), 1023);
    assert_string_equal(igvk_error_text() + 1018, "xx...");
}

static void test_memory(void **state) {
    (void)state;
    assert_int_equal(fail_memory("the plan", 3ull << 30), IGVK_ERROR_MEMORY);
    assert_non_null(strstr(igvk_error_text(), "the plan needs 3.00 GiB"));
}

static void test_names(void **state) {
    (void)state;
    for (int code = IGVK_OK; code <= IGVK_INTERRUPTED; code++)
        assert_string_not_equal(igvk_status_name((igvk_status)code), "unknown status");
    assert_string_equal(igvk_status_name((igvk_status)99), "unknown status");
    assert_string_equal(igvk_version(), IGVK_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_code), cmocka_unit_test(test_within), cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
