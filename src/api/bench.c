// SPDX-License-Identifier: MIT
// igvk_bench: operators, forward, training step and sampling steps beside the device's own peaks, in one run.
#include "api/bench_internal.h"

#include "api/device_choice.h"
#include "api/options.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MOST_RUNS 1000
#define LEAST_RUNS 5

// ---- timing ----------------------------------------------------------------------------------------

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

igvk_status bench_time(bench *b, bench_run run, void *user, bench_times *out) {
    igvk_status status = IGVK_OK;
    double *times = calloc(MOST_RUNS, sizeof *times);
    size_t count = 0;
    double own = -1;
    if (!times)
        return fail_memory("a list of times", MOST_RUNS * sizeof *times);
    TRY(run(user, &own)); // compiles and touches memory
    double begin = clock_seconds();
    while (count < MOST_RUNS && (count < LEAST_RUNS || clock_seconds() - begin < b->o->seconds)) {
        double start = clock_seconds();
        own = -1;
        TRY(run(user, &own));
        times[count++] = own >= 0 ? own : clock_seconds() - start;
        if (b->events && b->events->stop && b->events->stop(b->events->user))
            THROW(IGVK_INTERRUPTED, "stopped");
    }
    qsort(times, count, sizeof *times, ascending);
    *out = (bench_times){.best = times[0], .median = times[count / 2]};
done:
    free(times);
    return status;
}

static igvk_status run_and_wait(void *user, double *seconds) {
    (void)seconds;
    struct bench_program *p = user;
    igvk_status status = program_run(p->program, NULL);
    return status == IGVK_OK ? device_wait(p->device) : status;
}

igvk_status bench_time_program(bench *b, program *p, bench_times *out) {
    struct bench_program pair = {b->device, p};
    return bench_time(b, run_and_wait, &pair, out);
}

// ---- rows ------------------------------------------------------------------------------------------

igvk_status bench_row(bench *b, const char *name, const bench_times *t, double flops, double bytes) {
    igvk_bench_row r = {.name = name,
                        .milliseconds = t->best * 1e3,
                        .median = t->median * 1e3,
                        .gflops = flops / t->best * 1e-9,
                        .gigabytes = bytes / t->best * 1e-9};
    if (b->peak_flops > 0 && flops > 0)
        r.share = flops / t->best / b->peak_flops;
    else if (b->peak_bytes > 0 && bytes > 0)
        r.share = bytes / t->best / b->peak_bytes;
    if (b->row)
        b->row(b->user, &r);
    json_t *entry = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "name", name, "milliseconds", r.milliseconds, "median",
                              r.median, "gflops", r.gflops, "gigabytes", r.gigabytes, "share", r.share);
    return json_array_append_new(b->rows, entry) == 0 ? IGVK_OK : fail_memory("a row", 0);
}

// ---- a graph on its own ----------------------------------------------------------------------------

igvk_status bench_graph(bench *b, const char *name, graph **g, tensor_id out, double flops) {
    igvk_status status = IGVK_OK;
    compiled_graph compiled = {0};
    workspace *w = NULL;
    program *p = NULL;
    bench_times times;
    TRY(graph_compile(g, device_capabilities(b->device), &out, 1, &compiled));
    TRY(workspace_create(b->device, &w));
    TRY(workspace_reserve(w, &compiled.plan));
    TRY(program_record(b->device, &compiled.list, &compiled.plan, b->store, w, NULL, &p));
    TRY(bench_time_program(b, p, &times));
    TRY(bench_row(b, name, &times, flops, 0));
done:
    program_destroy(&p);
    workspace_destroy(&w);
    compiled_graph_free(&compiled);
    return status;
}

static igvk_status external(bench *b, graph *g, const char *name, uint64_t rows, uint64_t columns, tensor_id *out) {
    *out = graph_external(g, ROLE_INPUT, name, STORAGE_F32, SHAPE(rows, columns));
    return store_add(b->store, name, rows * columns * 4, STORE_DEVICE);
}

// One product of the shape; which: 0 forward, 1 input gradient, 2 weight gradient.
static igvk_status linear_row(bench *b, int which) {
    static const char *const names[] = {"linear forward", "linear input gradient", "linear weight gradient"};
    igvk_status status = IGVK_OK;
    uint64_t m = b->o->rows, k = b->o->input, n = b->o->output;
    tensor_id x, w, dy, out;
    char name[96];
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    TRY(external(b, g, "bench.x", m, k, &x));
    TRY(external(b, g, "bench.w", n, k, &w));
    TRY(external(b, g, "bench.dy", m, n, &dy));
    out = which == 0   ? op_linear(g, x, w, &(linear_options){0})
          : which == 1 ? op_linear_input_gradient(g, dy, w)
                       : op_linear_weight_gradient(g, dy, x);
    snprintf(name, sizeof name, "%s %llux%llux%llu", names[which], (unsigned long long)m, (unsigned long long)k,
             (unsigned long long)n);
    TRY(bench_graph(b, name, &g, out, 2.0 * (double)m * (double)k * (double)n));
done:
    graph_destroy(&g);
    return status;
}

static igvk_status attention_row(bench *b) {
    igvk_status status = IGVK_OK;
    const uint64_t n = 4, t = 256, heads = 12, d = 64;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    tensor_id qkv = graph_external(g, ROLE_INPUT, "bench.qkv", STORAGE_F32, SHAPE(n, t, 3 * heads * d));
    TRY(store_add(b->store, "bench.qkv", n * t * 3 * heads * d * 4, STORE_DEVICE));
    tensor_id out = op_attention(g, qkv, heads);
    TRY(bench_graph(b, "attention forward 4x256, 12 heads of 64", &g, out, 4.0 * (double)(n * heads * t * t * d)));
done:
    graph_destroy(&g);
    return status;
}

// ---- all -------------------------------------------------------------------------------------------

static igvk_status write_json(const bench *b) {
    const device_facts *f = device_facts_of(b->device);
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:O}", "igvk", IGVK_VERSION, "device", f->name, "driver",
                             f->driver, "driver_info", f->driver_info, "peak_gflops", b->peak_flops * 1e-9,
                             "peak_copy_gigabytes", b->peak_bytes * 1e-9, "rows", b->rows);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    igvk_status status = text ? file_write_atomic(b->o->json, text, strlen(text)) : fail_memory("the report", 0);
    free(text);
    json_decref(root);
    return status;
}

igvk_status igvk_bench(const igvk_bench_options *o, void (*row)(void *user, const igvk_bench_row *r), void *user,
                       const igvk_events *events) {
    igvk_status status = IGVK_OK;
    bench b = {.o = o, .row = row, .user = user, .events = events, .rows = json_array()};
    TRY(options_check(igvk_bench_option_list(), o));
    if (o->json[0])
        TRY(file_check_writable(o->json));
    TRY(device_open(DEVICE_OPTIONS_OF(o), &b.device));
    TRY(store_create(b.device, &b.store));
    TRY(bench_peaks(&b));
    for (int which = 0; which < 3; which++)
        TRY(linear_row(&b, which));
    TRY(attention_row(&b));
    if (!o->operators_only)
        TRY(bench_model(&b));
    if (o->json[0])
        TRY(write_json(&b));
done:
    json_decref(b.rows);
    store_destroy(&b.store);
    device_close(&b.device);
    return status;
}
