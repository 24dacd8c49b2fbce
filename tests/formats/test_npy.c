// SPDX-License-Identifier: MIT
// numpy's single arrays: written and read, halves and doubles, and headers of any kind.
#define _POSIX_C_SOURCE 200809L
#include "formats/npy.h"
#include "formats/helpers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const float values[6] = {0, 1, -2.5f, 3, 1e-3f, 65504};

static void test_round_trip(void **state) {
    (void)state;
    const uint64_t shape[] = {2, 3};
    npy_array a = {0}, wrong = {.rank = 2, .shape = {3, 2}};
    float read[6];
    assert_ok(npy_write_f32(scratch("a.npy"), 2, shape, values));
    assert_ok(npy_describe(scratch("a.npy"), &a));
    assert_true(a.type == ELEMENT_F32 && a.rank == 2 && a.shape[0] == 2 && a.shape[1] == 3);
    assert_ok(npy_read_f32(scratch("a.npy"), &a, read));
    assert_memory_equal(read, values, sizeof read);
    assert_fails(npy_read_f32(scratch("a.npy"), &wrong, read), IGVK_ERROR_INVALID, "another shape");
}

// A header as numpy writes it, with `words` for the dictionary, before `size` bytes.
static const char *write_npy(const char *words, const void *data, size_t size) {
    unsigned char bytes[512] = "\x93NUMPY\x02\x00";
    const size_t length = strlen(words);
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 12, words, length);
    memcpy(bytes + 12 + length, data, size);
    write_bytes(scratch("w.npy"), bytes, 12 + length + size);
    return scratch("w.npy");
}

static void test_types(void **state) {
    (void)state;
    const npy_array wanted = {.rank = 1, .shape = {3}};
    const uint16_t halves[] = {0x3C00, 0xC000, 0x3555};
    const double doubles[] = {1, -2, 0.25};
    float read[3];
    assert_ok(npy_read_f32(write_npy("{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }\n", halves, 6), &wanted,
                           read));
    assert_true(read[0] == 1 && read[1] == -2);
    assert_ok(
        npy_read_f32(write_npy("{'shape': (3,),'fortran_order':False, 'descr':'<f8'}", doubles, 24), &wanted, read));
    assert_true(read[1] == -2 && read[2] == 0.25f);
}

static void refuse(const char *words, const char *part) {
    npy_array a = {0};
    assert_fails(npy_describe(write_npy(words, values, 12), &a), IGVK_ERROR_INVALID, part);
}

static void test_refused(void **state) {
    (void)state;
    npy_array a = {0};
    refuse("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", "little-endian floats");
    refuse("{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", "C order");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': 3, }", "no shape");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, x), }", "its shape is odd");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 3), }", "four dimensions");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", "zero");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }",
           "larger than any file");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", "cut off or damaged");
    write_bytes(scratch("w.npy"), "\x93NUMPY", 6);
    assert_fails(npy_describe(scratch("w.npy"), &a), IGVK_ERROR_INVALID, "too short");
    write_bytes(scratch("w.npy"), "not an array at all", 19);
    assert_fails(npy_describe(scratch("w.npy"), &a), IGVK_ERROR_INVALID, "begin as one");
}

// Whatever a header holds, it ends as a refusal or an array of sane size.
static void read_any(const char *path) {
    npy_array a = {0};
    if (npy_describe(path, &a) == IGVK_OK)
        assert_true(a.rank <= NPY_READ_RANK);
}

static void test_mutated_npy(void **state) {
    (void)state;
    size_t size = 0;
    const uint64_t shape[] = {1, 2, 3};
    assert_ok(npy_write_f32(scratch("m.npy"), 3, shape, values));
    char *bytes = read_bytes(scratch("m.npy"), &size);
    mutate(bytes, size, 3000, read_any);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_round_trip), SCRATCH_TEST(test_types),
                                       SCRATCH_TEST(test_refused), SCRATCH_TEST(test_mutated_npy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
