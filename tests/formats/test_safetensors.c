// SPDX-License-Identifier: MIT
// safetensors: round trips, each way a header can lie, mutations of a valid file, and files that change in use.
#define _POSIX_C_SOURCE 200809L
#include "formats/safetensors.h"
#include "formats/helpers.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

// A file of that header (8 bytes of its size before it) and `data` zero bytes.
static const char *make_file(const char *header, size_t data) {
    const char *path = scratch("made.safetensors");
    size_t length = strlen(header);
    unsigned char *bytes = calloc(1, 8 + length + data);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, length);
    write_bytes(path, bytes, 8 + length + data);
    free(bytes);
    return path;
}

static void refused(const char *header, size_t data, const char *part) {
    safetensors_file *f = NULL;
    assert_fails(safetensors_open(make_file(header, data), &f), IGVK_ERROR_INVALID, part);
    assert_null(f);
}

static void accepted(const char *header, size_t data) {
    safetensors_file *f = NULL;
    assert_ok(safetensors_open(make_file(header, data), &f));
    safetensors_close(&f);
}

static void write_sample(const char *path) {
    safetensors_writer *w = NULL;
    float weights[6] = {0, 1, -2.5f, 1e30f, -0.0f, INFINITY};
    int64_t labels[2] = {-1, INT64_MAX};
    uint16_t halves[3] = {0x3c00, 0xc000, 0x7c00};
    assert_ok(safetensors_writer_create(path, &w));
    assert_ok(safetensors_set_metadata(w, "format", "replaced"));
    assert_ok(safetensors_declare(w, "blocks.0.attn.qkv.weight", ELEMENT_F32, 2, (uint64_t[]){2, 3}));
    assert_ok(safetensors_declare(w, "empty", ELEMENT_F32, 2, (uint64_t[]){0, 5}));
    assert_ok(safetensors_declare(w, "y\"\\\n\xc3\xa9", ELEMENT_I64, 1, (uint64_t[]){2}));
    assert_ok(safetensors_declare(w, "half", ELEMENT_F16, 1, (uint64_t[]){3}));
    assert_ok(safetensors_declare(w, "scalar", ELEMENT_U8, 0, NULL));
    assert_ok(safetensors_set_metadata(w, "format", "pt"));
    assert_ok(safetensors_set_metadata(w, "config", "{\"depth\": [[[[4]]]]}"));
    uint64_t size = safetensors_file_size(w);
    assert_ok(safetensors_begin_data(w));
    assert_ok(safetensors_write(w, weights, 10)); // in pieces that fit no tensor
    assert_ok(safetensors_write(w, (char *)weights + 10, sizeof weights - 10));
    assert_ok(safetensors_write(w, labels, sizeof labels));
    assert_ok(safetensors_write(w, halves, sizeof halves));
    assert_ok(safetensors_write(w, "\x07", 1));
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
    size_t actual;
    free(read_bytes(path, &actual));
    assert_int_equal(actual, size);
}

static void test_round_trip(void **state) {
    (void)state;
    safetensors_file *f = NULL;
    write_sample(scratch("a"));
    assert_ok(safetensors_open(scratch("a"), &f));
    assert_int_equal(safetensors_count(f), 5);
    assert_string_equal(safetensors_metadata(f, "format"), "pt");
    assert_string_equal(safetensors_metadata(f, "config"), "{\"depth\": [[[[4]]]]}");
    assert_null(safetensors_metadata(f, "none"));
    assert_null(safetensors_find(f, "none"));
    assert_null(safetensors_find(f, "__metadata__"));
    const safetensors_entry *e = safetensors_find(f, "blocks.0.attn.qkv.weight");
    assert_ptr_equal(e, safetensors_at(f, 0));
    assert_int_equal(e->offset % 8, 0);
    assert_true(e->type == ELEMENT_F32 && e->rank == 2 && e->shape[0] == 2 && e->shape[1] == 3 && e->elements == 6);
    float values[6];
    assert_ok(safetensors_read_f32(f, e, 1, 3, values));
    assert_true(values[0] == 1 && values[1] == -2.5f && values[2] == 1e30f);
    assert_ok(safetensors_read_f32(f, safetensors_find(f, "half"), 0, 3, values));
    assert_true(values[0] == 1 && values[1] == -2 && isinf(values[2]));
    int64_t labels[2];
    assert_ok(safetensors_read_i64(f, safetensors_find(f, "y\"\\\n\xc3\xa9"), 0, 2, labels));
    assert_true(labels[0] == -1 && labels[1] == INT64_MAX);
    assert_ok(safetensors_read_i64(f, safetensors_find(f, "scalar"), 0, 1, labels));
    assert_int_equal(labels[0], 7);
    assert_int_equal(safetensors_find(f, "scalar")->elements, 1);
    assert_int_equal(safetensors_find(f, "empty")->elements, 0);
    assert_ok(safetensors_read_f32(f, safetensors_find(f, "empty"), 0, 0, values));
    assert_fails(safetensors_read_i64(f, e, 0, 1, labels), IGVK_ERROR_INVALID, "is of type F32");
    assert_fails(safetensors_read_f32(f, safetensors_find(f, "scalar"), 0, 1, values), IGVK_ERROR_INVALID, "U8");
    assert_fails(safetensors_read_f32(f, e, 4, 3, values), IGVK_ERROR_INTERNAL, "beyond");
    assert_fails(safetensors_read_f32(f, e, UINT64_MAX, 2, values), IGVK_ERROR_INTERNAL, "beyond");
    assert_fails(safetensors_read(f, e, 20, 5, values), IGVK_ERROR_INTERNAL, "beyond");
    safetensors_close(&f);
    safetensors_close(&f);
    assert_null(f);
}

// Each type's extremes, and pieces larger than the converter's.
static void test_conversions(void **state) {
    (void)state;
    static const struct {
        element_type type;
        unsigned char bytes[8];
        int64_t value;
    } wholes[] = {
        {ELEMENT_I8, {0x80}, -128},
        {ELEMENT_U8, {0x80}, 128},
        {ELEMENT_I16, {0xfe, 0xff}, -2},
        {ELEMENT_U16, {0xfe, 0xff}, 65534},
        {ELEMENT_I32, {0, 0, 0, 0x80}, INT32_MIN},
        {ELEMENT_U32, {0, 0, 0, 0x80}, 2147483648},
        {ELEMENT_BOOL, {1}, 1},
        {ELEMENT_BOOL, {0}, 0},
    };
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        safetensors_writer *w = NULL;
        safetensors_file *f = NULL;
        size_t size = element_size(wholes[i].type);
        const uint64_t count = 20000;
        assert_ok(safetensors_writer_create(scratch("a"), &w));
        assert_ok(safetensors_declare(w, "x", wholes[i].type, 1, &count));
        assert_ok(safetensors_begin_data(w));
        for (uint64_t k = 0; k < count; k++)
            assert_ok(safetensors_write(w, wholes[i].bytes, size));
        assert_ok(safetensors_finish(w));
        safetensors_writer_destroy(&w);
        assert_ok(safetensors_open(scratch("a"), &f));
        int64_t *values = calloc(count, sizeof *values);
        assert_ok(safetensors_read_i64(f, safetensors_at(f, 0), 1, count - 1, values));
        for (uint64_t k = 0; k + 1 < count; k++)
            assert_true(values[k] == wholes[i].value);
        free(values);
        safetensors_close(&f);
    }
}

static void test_wide_conversions(void **state) {
    (void)state;
    safetensors_file *f = NULL;
    const char *path = make_file("{\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                                 "\"u\":{\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[8,16]},"
                                 "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[16,18]}}",
                                 18);
    size_t size;
    char *bytes = read_bytes(path, &size);
    double third = 1.0 / 3;
    uint64_t large = 1ull << 63;
    memcpy(bytes + size - 18, &third, 8);
    memcpy(bytes + size - 10, &large, 8);
    memcpy(bytes + size - 2, "\x80\xbf", 2);
    write_bytes(path, bytes, size);
    free(bytes);
    assert_ok(safetensors_open(path, &f));
    float value;
    int64_t whole;
    assert_ok(safetensors_read_f32(f, safetensors_find(f, "d"), 0, 1, &value));
    assert_true(value == (float)third);
    assert_ok(safetensors_read_f32(f, safetensors_find(f, "b"), 0, 1, &value));
    assert_true(value == -1);
    assert_fails(safetensors_read_i64(f, safetensors_find(f, "u"), 0, 1, &whole), IGVK_ERROR_INVALID, "too large");
    safetensors_close(&f);
}

#define ENTRY(name, type, shape, begin, end)                                                                           \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void test_lying_headers(void **state) {
    (void)state;
    accepted("{}", 0);
    accepted("{" ENTRY("a", "U8", "[4]", "0", "4") "}    ", 4);
    accepted("{" ENTRY("b", "U8", "[4]", "4", "8") "," ENTRY("a", "U8", "[4]", "0", "4") "}", 8); // in any order
    accepted("{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,4]", "0", "4") "}", 4);
    accepted("{\"__metadata__\":{}," ENTRY("a", "U8", "[4]", "0", "4") "}", 4);

    refused("", 10, "no JSON object");
    refused(" {}", 0, "no JSON object");
    refused("[]", 0, "no JSON object");
    refused("{ ", 0, "no strict JSON");
    refused("{}x", 0, "no strict JSON");
    refused("{} {}", 0, "no strict JSON");
    refused("{\"a\":1}", 0, "is not described");
    refused("{\"a\":{}}", 0, "is not described");
    refused("{\"\xff\":1}", 0, "no strict JSON");
    refused("{\"a\\u0000b\":1}", 0, "no strict JSON");
    refused("{" ENTRY("a", "U8", "[4]", "0", "4") "," ENTRY("a", "U8", "[4]", "4", "8") "}", 8, "duplicate");
    refused("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "duplicate");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"more\":0}}", 4, "is not described");
    refused("{\"a\":{\"dtype\":8,\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "is not described");
    refused("{" ENTRY("a", "F8_E4M3", "[4]", "0", "4") "}", 4, "F8_E4M3");
    refused("{" ENTRY("a", "f32", "[1]", "0", "4") "}", 4, "f32");

    refused("{" ENTRY("a", "U8", "4", "0", "4") "}", 4, "shape");
    refused("{" ENTRY("a", "U8", "[4.0]", "0", "4") "}", 4, "no whole number");
    refused("{" ENTRY("a", "U8", "[-4]", "0", "4") "}", 4, "no whole number");
    refused("{" ENTRY("a", "U8", "[\"4\"]", "0", "4") "}", 4, "no whole number");
    refused("{" ENTRY("a", "U8", "[1,1,1,1,1,1,1,1,4]", "0", "4") "}", 4, "at most 8");
    refused("{" ENTRY("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0, "too large");
    refused("{" ENTRY("a", "U8", "[4294967296,4294967296,0]", "0", "0") "}", 0, "too large");
    refused("{" ENTRY("a", "F64", "[4611686018427387904]", "0", "0") "}", 0, "too large");
    refused("{" ENTRY("a", "U8", "[99999999999999999999]", "0", "4") "}", 4, "no strict JSON");

    refused("{" ENTRY("a", "U8", "[4]", "0", "5") "}", 5, "not as many");
    refused("{" ENTRY("a", "U8", "[4]", "0", "4") "}", 3, "beyond the file");
    refused("{" ENTRY("a", "U8", "[4]", "0", "4") "}", 5, "do not fill");
    refused("{" ENTRY("a", "U8", "[4]", "1", "5") "}", 5, "gap");
    refused("{" ENTRY("a", "U8", "[4]", "4", "0") "}", 4, "backwards");
    refused("{" ENTRY("a", "U8", "[4]", "0", "4") "," ENTRY("b", "U8", "[4]", "2", "6") "}", 6, "overlaps");
    refused("{" ENTRY("a", "U8", "[4]", "0", "4") "," ENTRY("b", "U8", "[4]", "0", "4") "}", 4, "overlaps");
    refused("{" ENTRY("a", "U8", "[0]", "2", "2") "," ENTRY("b", "U8", "[4]", "0", "4") "}", 4, "overlaps");
    refused("{" ENTRY("a", "U8", "[4]", "9223372036854775807", "9223372036854775807") "}", 4, "beyond the file");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]}}", 4, "two whole numbers");

    refused("{\"__metadata__\":{\"a\":1}}", 0, "no text");
    refused("{\"__metadata__\":[]}", 0, "no object");
    refused("{\"__metadata__\":{\"a\":null}}", 0, "no text");
    refused("{\"__metadata__\":{\"a\":{\"b\":{}}}}", 0, "nested");
}

static void test_header_sizes(void **state) {
    (void)state;
    static const struct {
        uint64_t size;
        size_t file;
        const char *part;
    } cases[] = {{0, 9, "too short"},        {0, 10, "no JSON object"},
                 {1, 20, "no JSON object"},  {3, 10, "beyond"},
                 {UINT64_MAX, 64, "beyond"}, {UINT64_MAX - 7, 64, "beyond"},
                 {1ull << 63, 64, "beyond"}, {(32u << 20) + 1, 33u << 20, "beyond 32 MiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        safetensors_file *f = NULL;
        char *bytes = calloc(1, cases[i].file);
        assert_non_null(bytes);
        memcpy(bytes, &cases[i].size, 8);
        write_bytes(scratch("a"), bytes, cases[i].file);
        free(bytes);
        assert_fails(safetensors_open(scratch("a"), &f), IGVK_ERROR_INVALID, cases[i].part);
    }
    safetensors_file *f = NULL;
    write_bytes(scratch("a"), "", 0);
    assert_fails(safetensors_open(scratch("a"), &f), IGVK_ERROR_INVALID, "too short");
    assert_fails(safetensors_open(scratch("none"), &f), IGVK_ERROR_IO, "No such file");
    assert_fails(safetensors_open("/dev/zero", &f), IGVK_ERROR_INVALID, "no regular file");
}

// What would take far more memory than its own size must be refused before it is parsed.
static void test_costly_headers(void **state) {
    (void)state;
    static const struct {
        const char *begin, *repeated, *part;
    } cases[] = {{"{\"a\":", "[", "nested"},
                 {"{\"a\":[", "[],", "more than 65536"},
                 {"{\"a\":[", "1,", "more than 65536"},
                 {"{\"a\":", "{\"a\":", "nested"}};
    const size_t size = 8 << 20;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *header = malloc(size + 1);
        assert_non_null(header);
        size_t length = strlen(cases[i].begin), piece = strlen(cases[i].repeated);
        memcpy(header, cases[i].begin, length);
        for (; length + piece < size; length += piece)
            memcpy(header + length, cases[i].repeated, piece);
        header[length] = 0;
        refused(header, 0, cases[i].part);
        free(header);
    }
}

// What opens must be readable whole, and hold together.
static void attempt(const char *path) {
    safetensors_file *f = NULL;
    if (safetensors_open(path, &f) != IGVK_OK) {
        assert_true(strlen(igvk_error_text()) > 0 && !strchr(igvk_error_text(), '\n'));
        return;
    }
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const safetensors_entry *e = safetensors_at(f, i);
        char *bytes = malloc(e->bytes + 1);
        assert_ok(safetensors_read(f, e, 0, e->bytes, bytes));
        free(bytes);
        assert_ptr_equal(safetensors_find(f, e->name), e);
        assert_int_equal(e->bytes, e->elements * element_size(e->type));
    }
    safetensors_close(&f);
}

static void test_mutations(void **state) {
    (void)state;
    size_t size;
    write_sample(scratch("a"));
    char *bytes = read_bytes(scratch("a"), &size);
    mutate(bytes, size, 4000, attempt);
    free(bytes);
}

static void test_shrinking_file(void **state) {
    (void)state;
    safetensors_file *f = NULL;
    float values[6];
    write_sample(scratch("a"));
    assert_ok(safetensors_open(scratch("a"), &f));
    assert_int_equal(truncate(scratch("a"), 100), 0);
    assert_fails(safetensors_read_f32(f, safetensors_at(f, 0), 0, 6, values), IGVK_ERROR_IO, "ends early");
    safetensors_close(&f);
}

static void test_writer_refuses(void **state) {
    (void)state;
    safetensors_writer *w = NULL;
    const uint64_t huge[] = {1ull << 40, 1ull << 40}, four = 4;
    assert_ok(safetensors_writer_create(scratch("a"), &w));
    assert_ok(safetensors_declare(w, "a", ELEMENT_U8, 1, &four));
    assert_fails(safetensors_declare(w, "a", ELEMENT_U8, 1, &four), IGVK_ERROR_INVALID, "two tensors");
    assert_fails(safetensors_declare(w, "__metadata__", ELEMENT_U8, 1, &four), IGVK_ERROR_INVALID, "two tensors");
    assert_fails(safetensors_declare(w, "b", ELEMENT_U8, 2, huge), IGVK_ERROR_INVALID, "too large");
    assert_fails(safetensors_declare(w, "\xff", ELEMENT_U8, 1, &four), IGVK_ERROR_INVALID, "UTF-8");
    assert_fails(safetensors_set_metadata(w, "k", "\xff"), IGVK_ERROR_INVALID, "UTF-8");
    assert_fails(safetensors_write(w, "1234", 4), IGVK_ERROR_INTERNAL, "more bytes");
    assert_ok(safetensors_begin_data(w));
    assert_fails(safetensors_begin_data(w), IGVK_ERROR_INTERNAL, "twice");
    assert_fails(safetensors_declare(w, "b", ELEMENT_U8, 1, &four), IGVK_ERROR_INTERNAL, "after the data");
    assert_ok(safetensors_write(w, "123", 3));
    assert_fails(safetensors_finish(w), IGVK_ERROR_INTERNAL, "fewer");
    assert_fails(safetensors_write(w, "45", 2), IGVK_ERROR_INTERNAL, "more bytes");
    safetensors_writer_destroy(&w);
    assert_int_equal(scratch_count(), 0);
}

static void test_full_disk(void **state) {
    (void)state;
    struct rlimit before, low;
    safetensors_writer *w = NULL;
    const uint64_t count = 1 << 20;
    char *bytes = calloc(1, count);
    assert_non_null(bytes);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    assert_ok(safetensors_writer_create(scratch("a"), &w));
    assert_ok(safetensors_declare(w, "a", ELEMENT_U8, 1, &count));
    assert_ok(safetensors_begin_data(w));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    igvk_status status = safetensors_write(w, bytes, count);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_fails(status, IGVK_ERROR_IO, "cannot write");
    safetensors_writer_destroy(&w);
    assert_int_equal(scratch_count(), 0);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_round_trip),    SCRATCH_TEST(test_conversions),    SCRATCH_TEST(test_wide_conversions),
        SCRATCH_TEST(test_lying_headers), SCRATCH_TEST(test_header_sizes),   SCRATCH_TEST(test_costly_headers),
        SCRATCH_TEST(test_mutations),     SCRATCH_TEST(test_shrinking_file), SCRATCH_TEST(test_writer_refuses),
        SCRATCH_TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
