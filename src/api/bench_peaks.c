// SPDX-License-Identifier: MIT
// What the device can do at most: multiply-adds in registers, and a copy.
#include "api/bench_internal.h"

#include <stdlib.h>

#define PEAK_CHAINS 12 // independent multiply-adds an invocation has in flight (shaders/peak_fma.comp)
#define PEAK_UNROLL 10
#define PEAK_GROUPS 1024
#define PEAK_LOCAL 64

// A dispatch without an operator: peaks are facts of the device, not of a model.
static igvk_status record_single(bench *b, graph *g, const dispatch *d, program **p, compiled_graph *c, workspace **w) {
    igvk_status status = IGVK_OK;
    c->list.graph = g;
    c->list.items = malloc(sizeof *d);
    if (!c->list.items)
        return fail_memory("a dispatch", sizeof *d);
    c->list.items[0] = *d;
    c->list.count = c->list.capacity = 1;
    TRY(memory_plan_make(&c->list,
                         &(plan_options){.alignment = 256, .max_block = device_capabilities(b->device)->max_allocation},
                         &c->plan));
    TRY(workspace_create(b->device, w));
    TRY(workspace_reserve(*w, &c->plan));
    TRY(program_record(b->device, &c->list, &c->plan, b->store, *w, NULL, p));
done:
    return status;
}

static igvk_status time_single(bench *b, graph *g, const dispatch *d, bench_times *times) {
    igvk_status status = IGVK_OK;
    compiled_graph c = {0};
    workspace *w = NULL;
    program *p = NULL;
    TRY(record_single(b, g, d, &p, &c, &w));
    TRY(bench_time_program(b, p, times));
done:
    program_destroy(&p);
    workspace_destroy(&w);
    memory_plan_free(&c.plan);
    dispatch_list_free(&c.list);
    return status;
}

static igvk_status fma_peak(bench *b) {
    igvk_status status = IGVK_OK;
    bool cpu = device_capabilities(b->device)->cpu;
    uint32_t rounds = cpu ? 2000 : 20000;
    bench_times times;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    dispatch d = {.shader = "peak_fma", .local_size = PEAK_LOCAL, .groups = {PEAK_GROUPS, 1, 1}};
    dispatch_bind(&d, graph_scratch(g, STORAGE_F32, SHAPE(PEAK_GROUPS * PEAK_LOCAL)), ACCESS_WRITE);
    dispatch_scalar(&d, rounds);
    TRY(time_single(b, g, &d, &times));
    double flops = 2.0 * PEAK_CHAINS * PEAK_UNROLL * rounds * PEAK_GROUPS * PEAK_LOCAL;
    b->peak_flops = flops / times.best;
    TRY(bench_row(b, "peak: multiply-adds in registers", &times, flops, 0));
done:
    graph_destroy(&g);
    return status;
}

struct copy_job {
    store *store;
    uint64_t bytes;
};

static igvk_status bench_copy(void *user, double *seconds) {
    (void)seconds;
    struct copy_job *j = user;
    return store_copy(j->store, "bench.from", 0, "bench.to", 0, j->bytes);
}

static igvk_status copy_peak(bench *b) {
    igvk_status status = IGVK_OK;
    const uint64_t bytes = 64u << 20;
    bench_times times;
    TRY(store_add(b->store, "bench.from", bytes, STORE_DEVICE));
    TRY(store_add(b->store, "bench.to", bytes, STORE_DEVICE));
    struct copy_job job = {b->store, bytes};
    TRY(bench_time(b, bench_copy, &job, &times));
    b->peak_bytes = 2.0 * (double)bytes / times.best;
    double kept = b->peak_flops;
    b->peak_flops = 0; // a copy's share is of bytes
    status = bench_row(b, "peak: copy, read and written", &times, 0, 2.0 * (double)bytes);
    b->peak_flops = kept;
done:
    return status;
}

igvk_status bench_peaks(bench *b) {
    igvk_status status = fma_peak(b);
    return status == IGVK_OK ? copy_peak(b) : status;
}
