// SPDX-License-Identifier: MIT
// Programs from dispatch lists made by hand: order, barriers, bindings, cuts, replays, times, refusals. The kernel is
// copy_words: target[FIRST + i] = source[FIRST + i] + add for i < count.
#include "helpers/run_graph.h"

#include "graph/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT 1000
#define LOCAL 64

// y = x + 1 + 2 + 3 by way of two scratch tensors, and the state `counter` counts runs.
typedef struct chain {
    device *device;
    graph *graph;
    tensor_id x, a, b, y, counter;
    dispatch_list list;
    memory_plan plan;
    store *store;
    workspace *workspace;
    program *program;
} chain;

static dispatch copy_words(tensor_id source, tensor_id target, uint32_t first, uint32_t count, uint32_t addend) {
    dispatch d = {.shader = "copy_words",
                  .local_size = LOCAL,
                  .groups = {1, (count + LOCAL - 1) / LOCAL, 1},
                  .flops = count,
                  .bytes = 8 * count};
    dispatch_constant(&d, first);
    dispatch_scalar(&d, count);
    dispatch_scalar(&d, addend);
    dispatch_bind(&d, source, ACCESS_READ);
    dispatch_bind(&d, target, tensor_same(source, target) ? ACCESS_UPDATE : ACCESS_WRITE);
    return d;
}

static void emit(chain *c, dispatch d) {
    lowering l = {.capabilities = device_capabilities(c->device), .graph = c->graph, .list = &c->list};
    assert_ok(lowering_emit(&l, &d));
}

static void emit_chain(chain *c) {
    c->list.graph = c->graph = graph_create(NULL);
    c->x = graph_external(c->graph, ROLE_INPUT, "x", STORAGE_U32, SHAPE(COUNT));
    c->y = graph_external(c->graph, ROLE_OUTPUT, "y", STORAGE_U32, SHAPE(COUNT));
    c->counter = graph_external(c->graph, ROLE_STATE, "counter", STORAGE_U32, SHAPE(COUNT));
    c->a = graph_scratch(c->graph, STORAGE_U32, SHAPE(COUNT));
    c->b = graph_scratch(c->graph, STORAGE_U32, SHAPE(COUNT));
    assert_ok(graph_check(c->graph));
    emit(c, copy_words(c->x, c->a, 0, COUNT, 1));
    emit(c, copy_words(c->counter, c->counter, 3, COUNT - 3, 1)); // independent
    emit(c, copy_words(c->a, c->b, 0, COUNT, 2));
    emit(c, copy_words(c->b, c->y, 0, COUNT, 3));
}

static void plan_chain(chain *c) {
    tensor_id keep[] = {c->b};
    plan_options o = {.alignment = 256, .max_block = 1 << 20, .keep = keep, .keep_count = 1};
    assert_ok(memory_plan_make(&c->list, &o, &c->plan));
    assert_ok(workspace_create(c->device, &c->workspace));
    assert_ok(workspace_reserve(c->workspace, &c->plan));
}

static void fill_store(chain *c) {
    uint32_t x[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        x[i] = i * i;
    assert_ok(store_create(c->device, &c->store));
    assert_ok(store_add(c->store, "x", sizeof x, STORE_DEVICE));
    assert_ok(store_add(c->store, "y", sizeof x, STORE_DEVICE));
    assert_ok(store_add(c->store, "counter", sizeof x, STORE_RING));
    assert_ok(store_write(c->store, "x", 0, x, sizeof x));
}

static chain chain_open(device *d, const program_options *o) {
    chain c = {.device = d};
    emit_chain(&c);
    plan_chain(&c);
    fill_store(&c);
    assert_ok(program_record(d, &c.list, &c.plan, c.store, c.workspace, o, &c.program));
    return c;
}

static void chain_close(chain *c) {
    program_destroy(&c->program);
    program_destroy(&c->program); // takes null
    workspace_destroy(&c->workspace);
    store_destroy(&c->store);
    memory_plan_free(&c->plan);
    dispatch_list_free(&c->list);
    graph_destroy(&c->graph);
}

static void check_chain(chain *c, uint32_t runs) {
    uint32_t y[COUNT], b[COUNT];
    const uint32_t *counter = store_map(c->store, "counter");
    assert_ok(store_read(c->store, "y", 0, y, sizeof y));
    assert_ok(program_read(c->program, c->b, b, sizeof b));
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(y[i], i * i + 6);
        assert_int_equal(b[i], i * i + 3);
        assert_int_equal(counter[i], i < 3 ? 0 : i < COUNT ? runs : 0);
    }
}

// ---- tests -----------------------------------------------------------------------------------------------

static void check_runs(device *d, const program_options *o) {
    chain c = chain_open(d, o);
    uint64_t ticket = 0, first = 0;
    assert_ok(program_run(c.program, &first));
    assert_ok(device_wait_for(d, first));
    assert_true(device_last_finished(d) >= first);
    check_chain(&c, 1);
    for (int i = 0; i < 20; i++) {
        assert_ok(program_run(c.program, &ticket));
        assert_true(ticket - device_last_finished(d) <= PROGRAM_IN_FLIGHT);
    }
    assert_true(ticket >= first + 20); // copies count too
    assert_ok(device_wait(d));
    assert_int_equal(device_last_finished(d), ticket);
    check_chain(&c, 21);
    assert_true(program_submit_cost(c.program) > 0);
    assert_fails(device_wait_for(d, ticket + 1000), IGVK_ERROR_INTERNAL, "never submitted");
    chain_close(&c);
}

static void test_runs(void **state) {
    (void)state;
    check_runs(test_device(), NULL);
}

static void test_runs_by_descriptors(void **state) {
    (void)state;
    check_runs(test_device_descriptors(), NULL);
}

// So short a limit that every dispatch is cut into single workgroups, each a submission.
static void test_cuts(void **state) {
    (void)state;
    check_runs(test_device(), &(program_options){.max_submit_ms = 1e-9});
    check_runs(test_device_descriptors(), &(program_options){.max_submit_ms = 1e-4});
}

// A device that pauses, and whose programs are cut as it says where they say nothing.
static void test_gentle(void **state) {
    (void)state;
    device *d = NULL;
    assert_ok(device_open(&(device_options){.gentle = true, .max_submit_ms = 1e-9}, &d));
    check_runs(d, NULL);
    device_close(&d);
}

static void test_two_programs_share(void **state) {
    (void)state;
    chain c = chain_open(test_device(), NULL);
    program *second = NULL;
    assert_ok(program_record(c.device, &c.list, &c.plan, c.store, c.workspace, NULL, &second));
    for (int i = 0; i < 5; i++) {
        assert_ok(program_run(c.program, NULL));
        assert_ok(program_run(second, NULL));
    }
    program_destroy(&second); // waits by itself
    check_chain(&c, 10);
    chain_close(&c);
}

// Nothing but the barrier at its start orders a run of this program after the one before.
static void test_replay_barrier(void **state) {
    (void)state;
    device *devices[] = {test_device(), test_device_descriptors()};
    for (int i = 0; i < 2; i++) {
        chain c = {.device = devices[i]};
        c.list.graph = c.graph = graph_create(NULL);
        c.counter = graph_external(c.graph, ROLE_STATE, "counter", STORAGE_U32, SHAPE(COUNT));
        emit(&c, copy_words(c.counter, c.counter, 0, COUNT, 1));
        assert_ok(memory_plan_make(&c.list, &(plan_options){.alignment = 256, .max_block = 1 << 20}, &c.plan));
        assert_ok(workspace_create(c.device, &c.workspace));
        fill_store(&c);
        assert_ok(program_record(c.device, &c.list, &c.plan, c.store, c.workspace, NULL, &c.program));
        for (int run = 0; run < 10; run++)
            assert_ok(program_run(c.program, NULL));
        assert_ok(device_wait(c.device));
        const uint32_t *counter = store_map(c.store, "counter");
        assert_int_equal(counter[0], 10);
        assert_int_equal(counter[COUNT - 1], 10);
        chain_close(&c);
    }
}

static void test_times(void **state) {
    (void)state;
    device *d = test_device();
    double times[4];
    chain c = chain_open(d, &(program_options){.timestamps = true, .max_submit_ms = 1e-4});
    assert_fails(program_times(c.program, times, 4), IGVK_ERROR_INTERNAL, "never ran");
    assert_ok(program_run(c.program, NULL));
    assert_ok(program_run(c.program, NULL));
    assert_ok(program_times(c.program, times, 4));
    for (int i = 0; i < 4; i++)
        assert_true(times[i] >= 0 && times[i] < 1e9);
    assert_fails(program_times(c.program, times, 3), IGVK_ERROR_INTERNAL, "another length");
    check_chain(&c, 2);
    chain_close(&c);
    c = chain_open(d, NULL);
    assert_ok(program_run(c.program, NULL));
    assert_fails(program_times(c.program, times, 4), IGVK_ERROR_INTERNAL, "without them");
    chain_close(&c);
}

static void test_reads(void **state) {
    (void)state;
    uint32_t out[COUNT];
    chain c = chain_open(test_device(), NULL);
    assert_ok(program_run(c.program, NULL));
    assert_fails(program_read(c.program, c.a, out, sizeof out), IGVK_ERROR_INTERNAL, "not kept");
    assert_fails(program_read(c.program, (tensor_id){999}, out, sizeof out), IGVK_ERROR_INTERNAL, "not kept");
    assert_fails(program_read(c.program, c.b, out, 4), IGVK_ERROR_INTERNAL, "4000 bytes and 4 are");
    assert_ok(program_read(c.program, c.y, out, sizeof out)); // externals too
    assert_int_equal(out[2], 4 + 6);
    chain_close(&c);
}

static void test_workspace_growth(void **state) {
    (void)state;
    chain c = chain_open(test_device(), NULL);
    uint64_t block = workspace_bytes(c.workspace) * 4;
    memory_plan larger = {.block_bytes = &block, .block_count = 1};
    assert_ok(workspace_reserve(c.workspace, &c.plan)); // no growth: still valid
    assert_ok(program_run(c.program, NULL));
    assert_ok(workspace_reserve(c.workspace, &larger));
    assert_true(workspace_bytes(c.workspace) >= block);
    assert_fails(program_run(c.program, NULL), IGVK_ERROR_INTERNAL, "the workspace grew");
    chain_close(&c);
}

static igvk_status record_again(chain *c, device *d) {
    program *p = NULL;
    igvk_status status = program_record(d, &c->list, &c->plan, c->store, c->workspace, NULL, &p);
    assert_true((status == IGVK_OK) == (p != NULL));
    program_destroy(&p);
    return status;
}

static void test_refusals(void **state) {
    (void)state;
    device *d = test_device();
    chain c = chain_open(d, NULL);
    store *full = c.store;
    dispatch kept = c.list.items[0];
    assert_ok(store_create(d, &c.store));
    assert_fails(record_again(&c, d), IGVK_ERROR_INTERNAL, "'x' is not in the store");
    assert_ok(store_add(c.store, "x", 8, STORE_DEVICE));
    assert_fails(record_again(&c, d), IGVK_ERROR_INTERNAL, "'x' has 8 bytes in the store");
    store_destroy(&c.store);
    c.store = full;
    c.list.items[0].shader = "copy_word";
    assert_fails(record_again(&c, d), IGVK_ERROR_INTERNAL, "shader 'copy_word' is not in this build");
    c.list.items[0] = kept;
    c.list.items[0].local_size = 1 << 20;
    assert_fails(record_again(&c, d), IGVK_ERROR_INTERNAL, "1048576 invocations");
    c.list.items[0] = kept;
    c.list.items[0].groups[0] = 0;
    assert_fails(record_again(&c, d), IGVK_ERROR_INTERNAL, "0x16x1 workgroups");
    c.list.items[0] = kept;
    assert_ok(record_again(&c, d));
    chain_close(&c);
}

// Bindings have limits with descriptors alone; a test may set one anywhere.
static void test_binding_limit(void **state) {
    (void)state;
    device *d = NULL;
    test_device();
    assert_ok(device_open(&(device_options){.no_address = true, .max_binding = 2000}, &d));
    chain c = {.device = test_device()}; // lowering for `d` would refuse it earlier
    emit_chain(&c);
    c.device = d;
    plan_chain(&c);
    fill_store(&c);
    assert_fails(record_again(&c, d), IGVK_ERROR_INTERNAL, "binds at most 2000");
    chain_close(&c);
    device_close(&d);
}

static void test_empty(void **state) {
    (void)state;
    chain c = {.device = test_device(), .graph = graph_create(NULL)};
    c.list.graph = c.graph;
    assert_ok(memory_plan_make(&c.list, &(plan_options){.alignment = 256, .max_block = 1 << 20}, &c.plan));
    assert_ok(workspace_create(c.device, &c.workspace));
    assert_ok(workspace_reserve(c.workspace, &c.plan));
    assert_ok(store_create(c.device, &c.store));
    assert_ok(program_record(c.device, &c.list, &c.plan, c.store, c.workspace, &(program_options){.timestamps = true},
                             &c.program));
    assert_ok(program_run(c.program, NULL));
    assert_ok(device_wait(c.device));
    chain_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_runs_by_descriptors),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_gentle),
        cmocka_unit_test(test_two_programs_share),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_workspace_growth),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_binding_limit),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_replay_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, close_test_devices);
}
