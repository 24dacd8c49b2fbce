// SPDX-License-Identifier: MIT
#include "helpers/run_graph.h"

#include "graph/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SKIPPED 77

void assert_ok_at(igvk_status status, const char *expression, const char *file, int line) {
    if (status == IGVK_OK)
        return;
    print_error("%s: %s (%s)\n", expression, igvk_error_text(), igvk_status_name(status));
    _fail(file, line);
}

void assert_fails_at(igvk_status status, igvk_status expected, const char *part, const char *expression,
                     const char *file, int line) {
    if (status == expected && strstr(igvk_error_text(), part))
        return;
    print_error("%s: %s instead of %s with '%s': %s\n", expression, igvk_status_name(status),
                igvk_status_name(expected), part, status == IGVK_OK ? "" : igvk_error_text());
    _fail(file, line);
}

// ---- the device ------------------------------------------------------------------------------------------

static device *devices[2]; // [1] by descriptors

int close_test_devices(void **state) {
    (void)state;
    device_close(&devices[0]);
    device_close(&devices[1]);
    return 0;
}

static device *opened(bool no_address) {
    device **d = &devices[no_address];
    device_options o = {.no_address = no_address};
    if (!*d && device_open(&o, d) != IGVK_OK) {
        printf("skipped: %s\n", igvk_error_text());
        exit(SKIPPED);
    }
    return *d;
}

device *test_device(void) {
    const char *no_address = getenv("IGVK_TEST_NO_ADDRESS");
    return opened(no_address && !strcmp(no_address, "1"));
}

device *test_device_descriptors(void) {
    return opened(true);
}

// ---- a graph recorded ------------------------------------------------------------------------------------

struct graph_run {
    graph *graph; // not owned
    store *store, *own_store;
    workspace *workspace;
    program *program;
};

static bool is_ring(const char *name) {
    return !strcmp(name, "steps") || !strcmp(name, "metrics");
}

static igvk_status add_externals(const graph *g, store *s) {
    igvk_status status = IGVK_OK;
    for (uint32_t i = 1; i <= graph_tensor_count(g); i++) {
        tensor_id id = {i};
        const tensor *t = tensor_of(g, id);
        if (tensor_same(t->root, id) && t->role != ROLE_ACTIVATION)
            TRY(store_add(s, t->name, tensor_bytes(g, id), is_ring(t->name) ? STORE_RING : STORE_DEVICE));
    }
done:
    return status;
}

// Only activations are kept by the plan; the store keeps the rest.
static size_t activations_of(const graph *g, const tensor_id *keep, size_t count, tensor_id *out) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (tensor_of(g, tensor_of(g, keep[i])->root)->role == ROLE_ACTIVATION)
            out[kept++] = keep[i];
    return kept;
}

static igvk_status record(graph_run *r, device *d, const tensor_id *keep, size_t keep_count) {
    igvk_status status = IGVK_OK;
    dispatch_list list = {0};
    memory_plan plan = {0};
    plan_options o = {
        .alignment = 256, .max_block = device_capabilities(d)->max_allocation, .keep = keep, .keep_count = keep_count};
    TRY(graph_check(r->graph));
    TRY(graph_lower(r->graph, device_capabilities(d), keep, keep_count, &list));
    TRY(memory_plan_make(&list, &o, &plan));
    TRY(workspace_create(d, &r->workspace));
    TRY(workspace_reserve(r->workspace, &plan));
    TRY(add_externals(r->graph, r->store));
    TRY(program_record(d, &list, &plan, r->store, r->workspace, NULL, &r->program));
done:
    memory_plan_free(&plan);
    dispatch_list_free(&list);
    return status;
}

graph_run *graph_run_open(device *d, store *s, graph *g, const tensor_id *keep, size_t keep_count) {
    graph_run *r = calloc(1, sizeof *r);
    tensor_id *kept = calloc(keep_count + 1, sizeof *kept);
    assert_non_null(r);
    assert_non_null(kept);
    r->graph = g;
    if (!s)
        assert_ok(store_create(d, &r->own_store));
    r->store = s ? s : r->own_store;
    igvk_status status = graph_check(g);
    if (status == IGVK_OK)
        status = record(r, d, kept, activations_of(g, keep, keep_count, kept));
    free(kept);
    if (status != IGVK_OK)
        graph_run_close(&r);
    assert_ok(status);
    return r;
}

void graph_run_close(graph_run **r) {
    if (!*r)
        return;
    program_destroy(&(*r)->program);
    workspace_destroy(&(*r)->workspace);
    store_destroy(&(*r)->own_store);
    free(*r);
    *r = NULL;
}

store *graph_run_store(graph_run *r) {
    return r->store;
}

program *graph_run_program(graph_run *r) {
    return r->program;
}

void graph_run_write(graph_run *r, const char *name, const void *data, uint64_t bytes) {
    assert_int_equal(store_bytes(r->store, name), bytes);
    assert_ok(store_write(r->store, name, 0, data, bytes));
}

void graph_run_go(graph_run *r) {
    assert_ok(program_run(r->program, NULL));
}

void graph_run_read(graph_run *r, tensor_id t, void *data, uint64_t bytes) {
    const tensor *it = tensor_of(r->graph, t), *root = tensor_of(r->graph, it->root);
    assert_int_equal(tensor_bytes(r->graph, t), bytes);
    if (root->role == ROLE_ACTIVATION)
        assert_ok(program_read(r->program, t, data, bytes));
    else
        assert_ok(store_read(r->store, root->name, it->offset, data, bytes));
}

// ---- one run ---------------------------------------------------------------------------------------------

void run_graph_on(device *d, graph *g, const run_input *inputs, size_t input_count, const run_output *outputs,
                  size_t output_count) {
    tensor_id *keep = calloc(output_count + 1, sizeof *keep);
    assert_non_null(keep);
    for (size_t i = 0; i < output_count; i++)
        keep[i] = outputs[i].tensor;
    graph_run *r = graph_run_open(d, NULL, g, keep, output_count);
    for (size_t i = 0; i < input_count; i++)
        graph_run_write(r, inputs[i].name, inputs[i].data, inputs[i].bytes);
    graph_run_go(r);
    for (size_t i = 0; i < output_count; i++)
        graph_run_read(r, outputs[i].tensor, outputs[i].data, outputs[i].bytes);
    graph_run_close(&r);
    free(keep);
}

void run_graph(graph *g, const run_input *inputs, size_t input_count, const run_output *outputs, size_t output_count) {
    run_graph_on(test_device(), g, inputs, input_count, outputs, output_count);
}
