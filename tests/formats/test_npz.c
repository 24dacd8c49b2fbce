// SPDX-License-Identifier: MIT
// npz: read back by a small independent reader that starts from the end records, as zip readers do.
#define _POSIX_C_SOURCE 200809L
#include "formats/npz.h"
#include "formats/helpers.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

static uint64_t get(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

typedef struct archive {
    unsigned char *bytes;
    size_t size;
    const unsigned char *entry; // the next central header
    uint64_t members;
} archive;

static archive archive_open(const char *path) {
    archive a = {0};
    a.bytes = (unsigned char *)read_bytes(path, &a.size);
    const unsigned char *end = a.bytes + a.size - 22, *locator = end - 20;
    assert_int_equal(get(end, 4), 0x06054b50);
    assert_int_equal(get(locator, 4), 0x07064b50);
    const unsigned char *end64 = a.bytes + get(locator + 8, 8);
    assert_int_equal(get(end64, 4), 0x06064b50);
    assert_ptr_equal(end64 + 12 + get(end64 + 4, 8), locator);
    a.members = get(end64 + 24, 8);
    assert_int_equal(get(end64 + 32, 8), a.members);
    a.entry = a.bytes + get(end64 + 48, 8);
    assert_ptr_equal(a.entry + get(end64 + 40, 8), end64);
    return a;
}

// Checks the next member's records against each other and its checksum; gives its .npy bytes.
static const unsigned char *next_member(archive *a, const char *name, uint64_t *size) {
    const unsigned char *c = a->entry;
    size_t length = strlen(name);
    assert_int_equal(get(c, 4), 0x02014b50);
    assert_int_equal(get(c + 28, 2), length);
    assert_memory_equal(c + 46, name, length);
    const unsigned char *extra = c + 46 + length;
    assert_int_equal(get(extra, 2), 1);
    *size = get(extra + 4, 8);
    assert_int_equal(get(extra + 12, 8), *size);
    const unsigned char *local = a->bytes + get(extra + 20, 8);
    assert_int_equal(get(local, 4), 0x04034b50);
    assert_int_equal(get(local + 8, 2), 0); // stored
    assert_int_equal(get(local + 14, 4), get(c + 16, 4));
    assert_memory_equal(local + 30, name, length);
    assert_int_equal(get(local + 30 + length + 4, 8), *size);
    const unsigned char *data = local + 30 + length + get(local + 28, 2);
    assert_int_equal(crc32(0, data, (uInt)*size), get(c + 16, 4));
    a->entry = extra + get(c + 30, 2);
    return data;
}

static void check_npy(const unsigned char *npy, uint64_t size, const char *dictionary, const void *data, size_t bytes) {
    assert_memory_equal(npy, "\x93NUMPY\x01\x00", 8);
    uint64_t header = 10 + get(npy + 8, 2);
    assert_int_equal(header % 64, 0);
    assert_int_equal(npy[header - 1], '\n');
    assert_memory_equal(npy + 10, dictionary, strlen(dictionary));
    assert_int_equal(size, header + bytes);
    assert_memory_equal(npy + header, data, bytes);
}

static void test_arrays(void **state) {
    (void)state;
    npz_writer *w = NULL;
    uint8_t images[2 * 3 * 4 * 3];
    float values[5] = {1, -2, 3.5f, 0, 1e-30f};
    int64_t label = -7;
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)(i * 37);
    assert_ok(npz_create(scratch("a.npz"), &w));
    assert_ok(npz_begin(w, "arr_0", NPY_U8, 4, (uint64_t[]){2, 3, 4, 3}));
    assert_ok(npz_write(w, images, 36));
    assert_ok(npz_write(w, images + 36, 36));
    assert_ok(npz_begin(w, "values", NPY_F32, 1, (uint64_t[]){5}));
    assert_ok(npz_write(w, values, sizeof values));
    assert_ok(npz_begin(w, "label", NPY_I64, 0, NULL));
    assert_ok(npz_write(w, &label, 8));
    assert_ok(npz_begin(w, "none", NPY_F32, 2, (uint64_t[]){0, 3}));
    assert_ok(npz_write(w, NULL, 0));
    assert_ok(npz_finish(w));
    npz_destroy(&w);
    assert_null(w);

    archive a = archive_open(scratch("a.npz"));
    uint64_t size;
    assert_int_equal(a.members, 4);
    const unsigned char *npy = next_member(&a, "arr_0.npy", &size);
    check_npy(npy, size, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4, 3), }", images, sizeof images);
    npy = next_member(&a, "values.npy", &size);
    check_npy(npy, size, "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", values, sizeof values);
    npy = next_member(&a, "label.npy", &size);
    check_npy(npy, size, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", &label, 8);
    npy = next_member(&a, "none.npy", &size);
    check_npy(npy, size, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", "", 0);
    free(a.bytes);
}

static void test_wrong_order(void **state) {
    (void)state;
    npz_writer *w = NULL;
    const uint64_t four = 4, huge[] = {1ull << 40, 1ull << 40};
    assert_ok(npz_create(scratch("a.npz"), &w));
    assert_fails(npz_write(w, "x", 1), IGVK_ERROR_INTERNAL, "more bytes");
    assert_fails(npz_begin(w, "a", NPY_U8, 2, huge), IGVK_ERROR_INVALID, "too large");
    assert_ok(npz_begin(w, "a", NPY_U8, 1, &four));
    assert_ok(npz_write(w, "123", 3));
    assert_fails(npz_write(w, "45", 2), IGVK_ERROR_INTERNAL, "more bytes");
    assert_fails(npz_begin(w, "b", NPY_U8, 1, &four), IGVK_ERROR_INTERNAL, "fewer bytes");
    assert_fails(npz_finish(w), IGVK_ERROR_INTERNAL, "fewer bytes");
    npz_destroy(&w);
    npz_destroy(&w);
    assert_int_equal(scratch_count(), 0);
    assert_fails(npz_create(scratch("no/folder.npz"), &w), IGVK_ERROR_IO, "No such file");
}

int main(void) {
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_arrays), SCRATCH_TEST(test_wrong_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
