// SPDX-License-Identifier: MIT
// Listing, choosing and opening devices, and every way in which that can fail.
#include "helpers/run_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const device_path *path_named(const device_facts *f, const char *name) {
    for (size_t i = 0; i < f->path_count; i++)
        if (!strcmp(f->paths[i].name, name))
            return &f->paths[i];
    fail_msg("no path '%s'", name);
    return NULL;
}

static void test_facts(void **state) {
    (void)state;
    const device_facts *f = device_facts_of(test_device());
    const capabilities *c = device_capabilities(test_device());
    assert_true(f->usable);
    assert_string_equal(f->why_not, "");
    assert_true(f->api_version >= (1u << 22 | 2u << 12));
    assert_true(f->memory_bytes > 0 && f->free_bytes > 0 && f->free_bytes <= f->memory_bytes);
    assert_true(f->subgroup_size >= 4 && f->subgroup_min <= f->subgroup_size && f->subgroup_size <= f->subgroup_max);
    assert_true(c->max_invocations >= 128 && c->max_groups[0] >= 65535 && c->max_shared_bytes >= 16384);
    assert_true(c->max_allocation >= 1u << 30);
    assert_int_equal(c->cpu, !strcmp(f->kind, "cpu"));
    assert_int_equal(c->vector_width, f->subgroup_size);
    assert_int_equal(c->address, path_named(f, "address")->enabled);
    assert_int_equal(c->register_tile, path_named(f, "register-tile")->enabled);
    assert_int_equal(c->storage_16bit, path_named(f, "storage-16bit")->enabled);
    assert_int_equal(c->lanes_broadcast, path_named(f, "lanes-broadcast")->enabled);
    if (c->address)
        assert_true(c->max_binding == UINT64_MAX);
    assert_true(device_memory_free(test_device()) > 0);
}

static void test_list(void **state) {
    (void)state;
    device_facts *facts = NULL;
    size_t count = 0;
    test_device(); // or skipped
    assert_ok(device_list(&facts, &count));
    assert_true(count > 0 && facts[0].usable);
    for (size_t i = 1; i < count; i++)
        assert_true(facts[i - 1].usable || !facts[i].usable);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(facts[i].usable, !*facts[i].why_not);
    free(facts);
}

// ---- choice, on made-up devices --------------------------------------------------------------------------

static const device_facts made_up[] = {
    {.index = 1, .name = "Radeon 4090", .kind = "discrete", .usable = true},
    {.index = 2, .name = "llvmpipe (LLVM 15)", .kind = "cpu", .usable = true},
    {.index = 0, .name = "Mock", .kind = "cpu", .why_not = "it computes nothing"},
};
#define MADE_UP (sizeof made_up / sizeof *made_up)

static void test_choice(void **state) {
    (void)state;
    const struct {
        const char *variable, *select;
        size_t place; // in made_up; MADE_UP: refused
        const char *text;
    } rows[] = {
        {NULL, NULL, 0, NULL},
        {"", NULL, 0, NULL},
        {"2", NULL, 1, NULL},
        {"2", "1", 0, NULL}, // the option wins over the variable
        {NULL, "LLVMPipe", 1, NULL},
        {NULL, "4090", 0, NULL}, // no such index: part of a name
        {NULL, "15", 1, NULL},
        {NULL, "0", MADE_UP, "device 0 (Mock) cannot be used: it computes nothing"},
        {NULL, "mock", MADE_UP, "cannot be used"},
        {NULL, "GeForce", MADE_UP,
         "no device 'GeForce' by index or part of the name; there are: 1 (Radeon 4090), 2 (llv"},
        {NULL, "", MADE_UP, "no device ''"},
        {"7", NULL, MADE_UP, "no device '7'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t chosen = MADE_UP;
        if (rows[i].variable)
            setenv("IGVK_DEVICE", rows[i].variable, 1);
        else
            unsetenv("IGVK_DEVICE");
        igvk_status status = device_choose(made_up, MADE_UP, rows[i].select, &chosen);
        if (rows[i].text)
            assert_fails(status, IGVK_ERROR_INVALID, rows[i].text);
        else
            assert_ok(status);
        assert_int_equal(chosen, rows[i].place);
    }
    unsetenv("IGVK_DEVICE");
    size_t chosen;
    assert_fails(device_choose(made_up + 2, 1, NULL, &chosen), IGVK_ERROR_DEVICE,
                 "no device can be used: 0 (Mock): it computes");
}

// ---- environment and options -----------------------------------------------------------------------------

static void test_switches(void **state) {
    (void)state;
    device *d = NULL;
    test_device();
    setenv("IGVK_DISABLE", "address,register-tile,,timestamps", 1);
    assert_ok(device_open(NULL, &d));
    assert_false(device_capabilities(d)->address);
    assert_false(device_capabilities(d)->register_tile);
    assert_true(device_capabilities(d)->max_binding == device_facts_of(d)->max_storage_range);
    assert_false(path_named(device_facts_of(d), "timestamps")->enabled);
    device_close(&d);
    setenv("IGVK_DISABLE", "adress", 1);
    assert_fails(device_open(NULL, &d), IGVK_ERROR_INVALID, "IGVK_DISABLE: no path 'adress', did you mean 'address'?");
    assert_null(d);
    setenv("IGVK_DISABLE", "address,everything and a text that is longer than any name of a path could be", 1);
    assert_fails(device_open(NULL, &d), IGVK_ERROR_INVALID, "known are address, register-tile,");
    unsetenv("IGVK_DISABLE");
}

static void test_limits(void **state) {
    (void)state;
    device_options o = {.no_address = true, .max_allocation = 1 << 20, .max_binding = 4096};
    device *d = NULL;
    store *s = NULL;
    test_device();
    assert_ok(device_open(&o, &d));
    assert_false(device_capabilities(d)->address);
    assert_int_equal(device_capabilities(d)->max_allocation, 1 << 20);
    assert_int_equal(device_capabilities(d)->max_binding, 4096);
    assert_ok(store_create(d, &s));
    assert_fails(store_add(s, "weights", (1 << 20) + 4, STORE_DEVICE), IGVK_ERROR_DEVICE_MEMORY,
                 "weights needs 1.00 MiB");
    assert_false(store_has(s, "weights"));
    assert_ok(store_add(s, "weights", 1 << 20, STORE_DEVICE));
    assert_true(device_memory_used(d) >= 1 << 20);
    store_destroy(&s);
    device_close(&d);
    device_close(&d); // takes null
}

// Refused whole before a byte of it is taken, and before the system's out-of-memory killer has to.
static void test_memory(void **state) {
    (void)state;
    device *d = test_device();
    const device_facts *f = device_facts_of(d);
    uint64_t block = device_capabilities(d)->max_allocation, blocks[1024], used = device_memory_used(d);
    memory_plan plan = {.block_bytes = blocks, .block_count = f->memory_bytes / block + 2};
    workspace *w = NULL;
    assert_true(plan.block_count <= 1024);
    for (size_t i = 0; i < plan.block_count; i++)
        blocks[i] = block;
    assert_ok(workspace_create(d, &w));
    assert_fails(workspace_reserve(w, &plan), IGVK_ERROR_DEVICE_MEMORY, "the workspace for activations needs ");
    assert_non_null(strstr(igvk_error_text(), "of memory free"));
    assert_int_equal(workspace_bytes(w), 0);
    assert_int_equal(device_memory_used(d), used);
    workspace_destroy(&w);
}

static void test_no_driver(void **state) {
    (void)state;
    device *d = NULL;
    device_facts *facts = NULL;
    size_t count = 7;
    const char *files = getenv("VK_DRIVER_FILES");
    char *kept = files ? strdup(files) : NULL;
    setenv("VK_DRIVER_FILES", "/nonexistent", 1);
    assert_fails(device_open(NULL, &d), IGVK_ERROR_DEVICE, "no Vulkan driver: VK_DRIVER_FILES names '/nonexistent'");
    assert_null(d);
    assert_fails(device_list(&facts, &count), IGVK_ERROR_DEVICE, "no Vulkan driver");
    assert_null(facts);
    assert_int_equal(count, 0);
    if (kept)
        setenv("VK_DRIVER_FILES", kept, 1);
    else
        unsetenv("VK_DRIVER_FILES");
    free(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice), cmocka_unit_test(test_no_driver), cmocka_unit_test(test_list),
        cmocka_unit_test(test_facts),  cmocka_unit_test(test_switches),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, close_test_devices);
}
