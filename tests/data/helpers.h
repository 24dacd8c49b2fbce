// SPDX-License-Identifier: MIT
// A scratch folder for each test, and small datasets in it.
#ifndef TESTS_DATA_HELPERS_H
#define TESTS_DATA_HELPERS_H

#include "data/dataset.h"
#include "formats/image.h"

// cmocka's setup and teardown: an empty folder, removed with all in it.
int scratch_create(void **state);
int scratch_remove(void **state);
#define SCRATCH_TEST(test) cmocka_unit_test_setup_teardown(test, scratch_create, scratch_remove)
// "SCRATCH/name" of a format; valid until the scratch folder is removed.
const char *scratch(const char *format, ...) __attribute__((format(printf, 1, 2)));

void write_text(const char *path, const char *text);
void cut_file(const char *path, long bytes); // takes so many off the end
size_t count_entries(const char *folder);
char *read_text(const char *path); // malloc'd
// Puts `to` in place of the first `from` in a text file; fails the test where there is none.
void replace_in_file(const char *path, const char *from, const char *to);

// `count` images of 1 x 4 x 4 in 3 classes: byte i of image k is (k * 16 + i) mod 256, its label k mod 3.
void make_dataset(const char *folder, uint64_t count, uint64_t held_out, uint64_t shard_bytes);
// One shade, with a lighter left half; PNG.
void make_png(const char *path, uint32_t width, uint32_t height, uint32_t channels, uint8_t shade);

// The call failed with `code`, and its text is one line with `part` in it.
#define assert_fails(call, code, part) assert_failed((call), (code), (part), __FILE__, __LINE__)
void assert_failed(igvk_status status, igvk_status code, const char *part, const char *file, int line);
#define assert_ok(call) assert_succeeded((call), __FILE__, __LINE__)
void assert_succeeded(igvk_status status, const char *file, int line);

#endif
