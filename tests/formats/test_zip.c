// SPDX-License-Identifier: MIT
// Zip: what is written reads back; every lie that a container can tell of its members is refused.
#include "formats/helpers.h"
#include "formats/zip.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LOCAL_BYTES 30
#define ENTRY_NAME 46 // of a directory entry
#define DIRECTORY_ENTRY(file) ((file)->bytes + (file)->directory)

// A good file of two members, its directory's place known from the zip64 end record.
typedef struct archive {
    char *bytes;
    size_t size, directory, end64, end;
} archive;

static void write_archive(const char *path) {
    zip_writer *w = NULL;
    assert_ok(zip_writer_create(path, &w));
    assert_ok(zip_begin(w, "top/one", 5));
    assert_ok(zip_write(w, "hello", 5));
    assert_ok(zip_begin(w, "top/two", 0));
    assert_ok(zip_begin(w, "top/three", 3));
    assert_ok(zip_write(w, "a", 1));
    assert_ok(zip_write(w, "bc", 2));
    assert_ok(zip_finish(w));
    zip_writer_destroy(&w);
}

static archive good_archive(void) {
    archive a = {0};
    write_archive(scratch("good"));
    a.bytes = read_bytes(scratch("good"), &a.size);
    a.end = a.size - 22;
    a.end64 = a.end - 20 - 56;
    uint32_t directory;
    memcpy(&directory, a.bytes + a.end64 + 48, 4);
    a.directory = directory;
    return a;
}

static void refused(const archive *a, const char *part) {
    zip_file *z = NULL;
    write_bytes(scratch("bad"), a->bytes, a->size);
    assert_fails(zip_open(scratch("bad"), &z), IGVK_ERROR_INVALID, part);
    assert_null(z);
}

// Opens a copy with `size` bytes at `place` replaced.
static void refused_with(size_t place, const void *bytes, size_t size, const char *part) {
    archive a = good_archive();
    memcpy(a.bytes + place, bytes, size);
    refused(&a, part);
    free(a.bytes);
}

static void test_read_back(void **state) {
    (void)state;
    zip_file *z = NULL;
    char text[8] = "";
    write_archive(scratch("good"));
    assert_ok(zip_open(scratch("good"), &z));
    assert_int_equal(zip_count(z), 3);
    assert_string_equal(zip_at(z, 0)->name, "top/one");
    assert_null(zip_find(z, "one"));
    const zip_member *m = zip_find(z, "top/three");
    assert_int_equal(m->size, 3);
    assert_ok(input_file_read(zip_input(z), m->offset, 3, text));
    assert_string_equal(text, "abc");
    assert_ok(zip_check(z, m));
    assert_int_equal(zip_find(z, "top/two")->size, 0);
    zip_close(&z);
    zip_close(&z);
}

static void test_wrong_checksum(void **state) {
    (void)state;
    zip_file *z = NULL;
    archive a = good_archive();
    a.bytes[LOCAL_BYTES + 7 + 20] ^= 1; // the member's first byte
    write_bytes(scratch("bad"), a.bytes, a.size);
    assert_ok(zip_open(scratch("bad"), &z));
    assert_fails(zip_check(z, zip_find(z, "top/one")), IGVK_ERROR_INVALID, "checksum");
    zip_close(&z);
    free(a.bytes);
}

static void test_lies_of_the_end(void **state) {
    (void)state;
    archive a = good_archive();
    size_t end = a.end, end64 = a.end64;
    free(a.bytes);
    refused_with(end, "XX", 2, "no end record");
    refused_with(end + 4, "\x01", 1, "disks");
    refused_with(end64 + 24, "\x09\0\0\0\0\0\0\0\x09", 9, "directory"); // entries
    refused_with(end64 + 24, "\3\0\0\0\0\0\0\x10\3\0\0\0\0\0\0\x10", 16,
                 "claims more than");                 // 2^60 entries // 2^60 entries
    refused_with(end64 + 40, "\x01", 1, "directory"); // its size
    refused_with(end64 + 54, "\x40", 1, "directory"); // its place
    refused_with(end64, "XX", 2, "zip64 end record");
    refused_with(end64 + 56 + 8, "\xff\xff\xff\xff\xff", 5, "zip64 end record"); // the locator's
    refused_with(end + 12, "\x01\0\0\0", 4, "disagree");
}

static void test_lies_of_the_directory(void **state) {
    (void)state;
    archive a = good_archive();
    size_t entry = a.directory, extra = entry + ENTRY_NAME + 7 + 4;
    free(a.bytes);
    refused_with(entry, "XX", 2, "fewer entries");
    refused_with(entry + 8, "\x01", 1, "encrypted");
    refused_with(entry + 10, "\x08", 1, "compressed");
    refused_with(entry + 28, "\xff\xff", 2, "too long");
    refused_with(extra, "\x06", 1, "contradicts itself");                 // sizes that differ
    refused_with(extra, "\x06\0\0\0\0\0\0\0\x06", 9, "disagrees");        // sizes that the local header denies
    refused_with(extra, "\0\0\0\x80\0\0\0\0\0\0\0\x80", 12, "disagrees"); // 2 GiB
    refused_with(extra + 16, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "beyond the directory");
    refused_with(extra - 4, "\x02", 1, "contradicts itself"); // no zip64 field for saturated values
    refused_with(entry + ENTRY_NAME, "../", 3, "its name is none");
    refused_with(entry + ENTRY_NAME, "/op", 3, "its name is none");
    refused_with(entry + ENTRY_NAME, "a\\b", 3, "its name is none");
    refused_with(entry + ENTRY_NAME, "to\0", 3, "its name is none");
    refused_with(entry + ENTRY_NAME, "pot", 3, "disagrees");
}

static void test_lies_of_local_headers(void **state) {
    (void)state;
    refused_with(0, "XX", 2, "disagrees");
    refused_with(8, "\x08", 1, "disagrees");
    refused_with(14, "\x01", 1, "disagrees");
    refused_with(26, "\xff\xff", 2, "disagrees");
    refused_with(LOCAL_BYTES + 7 + 4, "\x06", 1, "disagrees"); // its zip64 size
}

// Both entries of the directory point to the first member; then the same name twice.
static void test_shared_members(void **state) {
    (void)state;
    archive a = good_archive();
    size_t length = ENTRY_NAME + 7 + 28;
    memcpy(a.bytes + a.directory + length, a.bytes + a.directory, length);
    refused(&a, "overlaps another");
    free(a.bytes);

    zip_writer *w = NULL;
    zip_file *z = NULL;
    assert_ok(zip_writer_create(scratch("twice"), &w));
    assert_ok(zip_begin(w, "a", 0));
    assert_ok(zip_begin(w, "a", 0));
    assert_ok(zip_finish(w));
    zip_writer_destroy(&w);
    assert_fails(zip_open(scratch("twice"), &z), IGVK_ERROR_INVALID, "twice");
}

static void test_no_zip(void **state) {
    (void)state;
    zip_file *z = NULL;
    write_bytes(scratch("empty"), "", 0);
    assert_fails(zip_open(scratch("empty"), &z), IGVK_ERROR_INVALID, "no end record");
    assert_fails(zip_open(scratch("nowhere"), &z), IGVK_ERROR_IO, "nowhere");
    assert_fails(zip_open("/", &z), IGVK_ERROR_INVALID, "no regular file");
}

static void attempt(const char *path) {
    zip_file *z = NULL;
    if (zip_open(path, &z) == IGVK_OK)
        for (size_t i = 0; i < zip_count(z); i++)
            (void)zip_check(z, zip_at(z, i));
    zip_close(&z);
}

static void test_mutations(void **state) {
    (void)state;
    archive a = good_archive();
    mutate(a.bytes, a.size, 3000, attempt);
    free(a.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_read_back),
        SCRATCH_TEST(test_wrong_checksum),
        SCRATCH_TEST(test_lies_of_the_end),
        SCRATCH_TEST(test_lies_of_the_directory),
        SCRATCH_TEST(test_lies_of_local_headers),
        SCRATCH_TEST(test_shared_members),
        SCRATCH_TEST(test_no_zip),
        SCRATCH_TEST(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
