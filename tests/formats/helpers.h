// SPDX-License-Identifier: MIT
// A scratch folder for each test, files of given bytes, and mutations for the readers of untrusted files.
#ifndef TESTS_FORMATS_HELPERS_H
#define TESTS_FORMATS_HELPERS_H

#include "core/status.h"

// cmocka's setup and teardown: an empty folder, removed with all in it.
int scratch_create(void **state);
int scratch_remove(void **state);
#define SCRATCH_TEST(test) cmocka_unit_test_setup_teardown(test, scratch_create, scratch_remove)
// "SCRATCH/name"; valid until eight more are asked for.
const char *scratch(const char *name);
size_t scratch_count(void); // files in it

void write_bytes(const char *path, const void *bytes, size_t size);
char *read_bytes(const char *path, size_t *size); // malloc'd

// Runs `attempt` on a file of `size` bytes cut at every length in turn (at most 1000 of them, evenly), then on
// `flips` copies with one to four bits changed. The same mutations every time. No attempt may take
// hundreds of MB.
void mutate(const void *bytes, size_t size, uint32_t flips, void (*attempt)(const char *path));

// The call failed with `code`, and its text is one line with `part` in it.
#define assert_fails(call, code, part) assert_failed((call), (code), (part), __FILE__, __LINE__)
void assert_failed(igvk_status status, igvk_status code, const char *part, const char *file, int line);
#define assert_ok(call) assert_succeeded((call), __FILE__, __LINE__)
void assert_succeeded(igvk_status status, const char *file, int line);

#endif
