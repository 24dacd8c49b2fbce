// SPDX-License-Identifier: MIT
// Files: whole or not at all, also where the disk is full; bounded reads; folders.
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"

#include <setjmp.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];

static char *in_folder(const char *name) {
    char *path = path_join(folder, name);
    assert_non_null(path);
    return path;
}

static size_t count_files(void) {
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(folder_list(folder, &names, &count), IGVK_OK);
    folder_list_free(&names, count);
    return count;
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/igvk_test_file_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char **names = NULL;
    size_t count = 0;
    if (folder_list(folder, &names, &count) == IGVK_OK)
        for (size_t i = 0; i < count; i++) {
            char *path = in_folder(names[i]);
            if (remove(path) != 0) // a folder of one folder
                abort();
            free(path);
        }
    folder_list_free(&names, count);
    return rmdir(folder);
}

static void test_round_trip(void **state) {
    (void)state;
    char *path = in_folder("a"), *data = NULL;
    size_t size = 0;
    assert_int_equal(file_write_atomic(path, "first", 5), IGVK_OK);
    assert_int_equal(file_write_atomic(path, "second\0!", 8), IGVK_OK);
    assert_int_equal(count_files(), 1);
    assert_int_equal(file_read(path, 8, &data, &size), IGVK_OK);
    assert_int_equal(size, 8);
    assert_memory_equal(data, "second\0!\0", 9);
    free(data);
    assert_int_equal(file_read(path, 7, &data, &size), IGVK_ERROR_INVALID);
    assert_int_equal(file_write_atomic(path, "", 0), IGVK_OK);
    assert_int_equal(file_read(path, 0, &data, &size), IGVK_OK);
    assert_int_equal(size, 0);
    assert_string_equal(data, "");
    free(data);
    free(path);
}

static void test_without_commit(void **state) {
    (void)state;
    char *path = in_folder("a");
    atomic_file *f = NULL, *other = NULL;
    assert_int_equal(atomic_file_create(path, &f), IGVK_OK);
    assert_int_equal(atomic_file_create(path, &other), IGVK_OK); // two writers keep apart
    assert_int_equal(atomic_file_write(f, "half", 4), IGVK_OK);
    assert_int_equal(atomic_file_position(f), 4);
    assert_false(path_exists(path));
    assert_int_equal(count_files(), 2);
    atomic_file_destroy(&f);
    atomic_file_destroy(&other);
    assert_null(f);
    assert_int_equal(count_files(), 0);
    atomic_file_destroy(&f);
    free(path);
}

// A limit on the file's size stands for the full disk: the same path through the code.
static void test_full_disk(void **state) {
    (void)state;
    char *path = in_folder("a"), *data = NULL, *big = calloc(1, 1 << 20);
    size_t size = 0;
    assert_int_equal(file_write_atomic(path, "old", 3), IGVK_OK);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    igvk_status large = file_write_atomic(path, big, 1 << 20);
    atomic_file *f = NULL;
    igvk_status small = atomic_file_create(path, &f);
    for (int i = 0; small == IGVK_OK && i < 101; i++) // fits the stream's buffer to the last
        small = atomic_file_write(f, big, 1000);
    if (small == IGVK_OK)
        small = atomic_file_commit(f);
    atomic_file_destroy(&f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(large, IGVK_ERROR_IO);
    assert_int_equal(small, IGVK_ERROR_IO);
    assert_non_null(strstr(igvk_error_text(), path));
    assert_non_null(strstr(igvk_error_text(), "ulimit"));
    assert_int_equal(count_files(), 1);
    assert_int_equal(file_read(path, 10, &data, &size), IGVK_OK);
    assert_string_equal(data, "old");
    free(data);
    free(big);
    free(path);
}

static void test_refused_targets(void **state) {
    (void)state;
    atomic_file *f = NULL;
    char *missing = in_folder("no/such/file"), *data = NULL;
    size_t size = 0;
    assert_int_equal(atomic_file_create(folder, &f), IGVK_ERROR_INVALID);
    assert_int_equal(atomic_file_create("/dev/null", &f), IGVK_ERROR_INVALID);
    assert_int_equal(atomic_file_create("", &f), IGVK_ERROR_INVALID);
    assert_int_equal(atomic_file_create(missing, &f), IGVK_ERROR_IO);
    assert_non_null(strstr(igvk_error_text(), "No such file"));
    assert_null(f);
    assert_int_equal(file_read(folder, 100, &data, &size), IGVK_ERROR_INVALID);
    assert_int_equal(file_read("/dev/zero", 100, &data, &size), IGVK_ERROR_INVALID);
    assert_int_equal(file_read(missing, 100, &data, &size), IGVK_ERROR_IO);
    char *pipe = in_folder("pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(file_read(pipe, 100, &data, &size), IGVK_ERROR_INVALID); // and does not wait for a writer
    unlink(pipe);
    free(pipe);
    free(missing);
}

static void test_folders(void **state) {
    (void)state;
    char *deep = in_folder("x/y//z/"), *file = in_folder("f"), *below = in_folder("f/g");
    assert_int_equal(folder_create(deep), IGVK_OK);
    assert_int_equal(folder_create(deep), IGVK_OK);
    assert_true(path_is_folder(deep));
    assert_int_equal(file_write_atomic(file, "", 0), IGVK_OK);
    assert_false(path_is_folder(file));
    assert_int_equal(folder_create(file), IGVK_ERROR_INVALID);
    assert_int_equal(folder_create(below), IGVK_ERROR_INVALID);
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(folder_list(folder, &names, &count), IGVK_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "f");
    assert_string_equal(names[1], "x");
    folder_list_free(&names, count);
    assert_int_equal(folder_list(file, &names, &count), IGVK_ERROR_IO);
    uint64_t bytes = 0;
    assert_int_equal(disk_free(folder, &bytes), IGVK_OK);
    assert_true(bytes > 0);
    assert_int_equal(disk_free(below, &bytes), IGVK_ERROR_IO);
    char *inner = in_folder("x/y/z");
    assert_int_equal(rmdir(inner), 0);
    inner[strlen(inner) - 2] = 0;
    assert_int_equal(rmdir(inner), 0);
    free(inner);
    free(deep);
    free(file);
    free(below);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_without_commit, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_full_disk, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_refused_targets, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_folders, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
