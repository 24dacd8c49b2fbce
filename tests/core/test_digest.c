// SPDX-License-Identifier: MIT
// file_digest: the published values of FNV-1a's recurrence, and that a byte anywhere counts.
#include "core/digest.h"
#include "core/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t digest(const void *bytes, size_t size) {
    char path[] = "/tmp/igvk-digest-XXXXXX";
    uint64_t h = 0;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    assert_int_equal(file_digest(path, &h), IGVK_OK);
    unlink(path);
    return h;
}

static void test_small(void **state) {
    (void)state;
    // FNV-1a 64 of eight zero bytes (the size) and of "\1" and seven zeros, then 'a'.
    assert_true(digest("", 0) == 0xa8c7f832281a39c5u);
    assert_true(digest("a", 1) != digest("b", 1));
    assert_true(digest("a", 1) == digest("a", 1));
    assert_true(digest("a\0", 2) != digest("a", 1));
}

static void test_large(void **state) {
    (void)state;
    size_t size = (65u << 20) + 13, places[] = {0, 1 << 20, size / 2 / 65536 * 65536, size - 1};
    unsigned char *bytes = calloc(size, 1);
    assert_non_null(bytes);
    uint64_t before = digest(bytes, size);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        memset(bytes + places[i], 1, i == 3 ? 1 : 4096);
        uint64_t after = digest(bytes, size);
        assert_true(after != before);
        before = after;
    }
    free(bytes);
}

static void test_refuses(void **state) {
    (void)state;
    uint64_t h = 0;
    assert_int_equal(file_digest("nowhere/at.all", &h), IGVK_ERROR_IO);
    assert_non_null(strstr(igvk_error_text(), "nowhere/at.all"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small), cmocka_unit_test(test_large),
                                       cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
