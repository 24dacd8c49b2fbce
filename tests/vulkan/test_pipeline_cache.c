// SPDX-License-Identifier: MIT
// The cache file: written on close, read again, replaced where it is broken or another's, never in the way.
#include "helpers/run_graph.h"

#include "core/file.h"
#include "graph/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char folder[128], cache_folder[160];

static int create_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/cache-test-XXXXXX", IGVK_BINARY_DIR);
    if (!mkdtemp(folder))
        return -1;
    snprintf(cache_folder, sizeof cache_folder, "%s/igvk", folder);
    return setenv("XDG_CACHE_HOME", folder, 1);
}

// The only file in the cache folder; the caller frees it. Null where there is none.
static char *cache_file(void) {
    char **names = NULL;
    size_t count = 0;
    if (!path_exists(cache_folder))
        return NULL;
    assert_ok(folder_list(cache_folder, &names, &count));
    assert_true(count <= 1);
    char *path = count ? path_join(cache_folder, names[0]) : NULL;
    folder_list_free(&names, count);
    return path;
}

static int remove_folder(void **state) {
    close_test_devices(state);
    char *path = cache_file();
    if (path)
        remove(path);
    free(path);
    remove(cache_folder);
    remove(folder);
    return 0;
}

// Opens a device, makes one pipeline and closes: what any program does.
static void session(void) {
    device *d = NULL;
    assert_ok(device_open(NULL, &d));
    graph *g = graph_create(NULL);
    tensor_id x = graph_external(g, ROLE_STATE, "x", STORAGE_U32, SHAPE(8));
    dispatch_list list = {.graph = g};
    lowering l = {.capabilities = device_capabilities(d), .graph = g, .list = &list};
    dispatch copy = {.shader = "copy_words", .local_size = 8, .groups = {1, 1, 1}};
    dispatch_constant(&copy, 0);
    dispatch_scalar(&copy, 8);
    dispatch_scalar(&copy, 1);
    dispatch_bind(&copy, x, ACCESS_UPDATE);
    dispatch_bind(&copy, x, ACCESS_UPDATE);
    assert_ok(lowering_emit(&l, &copy));
    memory_plan plan = {0};
    assert_ok(memory_plan_make(&list, &(plan_options){.alignment = 256, .max_block = 4096}, &plan));
    store *s = NULL;
    workspace *w = NULL;
    program *p = NULL;
    uint32_t values[8] = {0};
    assert_ok(store_create(d, &s));
    assert_ok(store_add(s, "x", sizeof values, STORE_DEVICE));
    assert_ok(workspace_create(d, &w));
    assert_ok(workspace_reserve(w, &plan));
    assert_ok(program_record(d, &list, &plan, s, w, NULL, &p));
    assert_ok(program_run(p, NULL));
    assert_ok(store_read(s, "x", 0, values, sizeof values));
    assert_int_equal(values[7], 1);
    program_destroy(&p);
    workspace_destroy(&w);
    store_destroy(&s);
    memory_plan_free(&plan);
    dispatch_list_free(&list);
    graph_destroy(&g);
    device_close(&d);
}

static void read_all(const char *path, char **data, size_t *size) {
    assert_ok(file_read(path, 1 << 28, data, size));
}

static void check_valid(const char *path) {
    char *data = NULL;
    size_t size = 0;
    read_all(path, &data, &size);
    assert_true(size > 64);
    assert_memory_equal(data, "igvkpc01", 8);
    uint64_t checksum, hash = 0xcbf29ce484222325u; // FNV-1a of what follows the header
    memcpy(&checksum, data + 16, sizeof checksum);
    for (size_t i = 64; i < size; i++)
        hash = (hash ^ (uint8_t)data[i]) * 0x100000001b3u;
    assert_true(hash == checksum);
    free(data);
}

static void test_written(void **state) {
    (void)state;
    device *d = NULL;
    test_device();
    assert_ok(device_open(NULL, &d));
    device_close(&d);
    assert_false(path_exists(cache_folder)); // nothing compiled, nothing written
    setenv("IGVK_DISABLE", "pipeline-cache", 1);
    session();
    unsetenv("IGVK_DISABLE");
    assert_false(path_exists(cache_folder));
    session();
    char *path = cache_file();
    assert_non_null(path);
    check_valid(path);
    session();
    check_valid(path);
    free(path);
}

static void spoil(const char *path, const char *how) {
    char *data = NULL;
    size_t size = 0;
    read_all(path, &data, &size);
    if (!strcmp(how, "cut"))
        size /= 2;
    else if (!strcmp(how, "empty"))
        size = 0;
    else if (!strcmp(how, "header"))
        size = 20;
    else if (!strcmp(how, "data"))
        data[size - 1] ^= 1;
    else if (!strcmp(how, "build"))
        data[9] ^= 1;
    else if (!strcmp(how, "device"))
        data[40] ^= 1;
    else
        memset(data, 'x', size);
    assert_ok(file_write_atomic(path, data, size));
    free(data);
}

static void test_replaced(void **state) {
    (void)state;
    static const char *const ways[] = {"cut", "empty", "header", "data", "build", "device", "text"};
    test_device();
    session();
    char *path = cache_file();
    char *good = NULL, *again = NULL;
    size_t good_size = 0, again_size = 0;
    read_all(path, &good, &good_size);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        spoil(path, ways[i]);
        session();
        check_valid(path);
        free(again);
        read_all(path, &again, &again_size);
        assert_memory_equal(again, good, 16);           // magic and build
        assert_memory_equal(again + 32, good + 32, 32); // device and driver
    }
    free(again);
    free(good);
    free(path);
}

// A folder that cannot be made: here its parent is a file.
static void test_not_in_the_way(void **state) {
    (void)state;
    char blocked[160];
    test_device();
    snprintf(blocked, sizeof blocked, "%s/file", folder);
    assert_ok(file_write_atomic(blocked, "x", 1));
    setenv("XDG_CACHE_HOME", blocked, 1);
    (fail)(IGVK_ERROR_INVALID, "the text before");
    session();
    assert_string_equal(igvk_error_text(), "the text before");
    setenv("XDG_CACHE_HOME", folder, 1);
    remove(blocked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_not_in_the_way),
    };
    return cmocka_run_group_tests(tests, create_folder, remove_folder);
}
