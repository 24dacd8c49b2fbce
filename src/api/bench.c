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

void bench_summary(double *times, size_t count, bench_times *out) {
    qsort(times, count, sizeof *times, ascending);
    *out = (bench_times){
        .best = times[0], .median = times[count / 2], .spread = times[count * 3 / 4] - times[count / 4]};
}

igvk_status bench_time(bench *b, bench_run run, void *user, bench_times *out) {
    igvk_status status = IGVK_OK;
    double *times = calloc(MOST_RUNS, sizeof *times);
    size_t count = 0;
    double own = -1;
    if (!times)
        return fail_memory("a list of times", MOST_RUNS * sizeof *times);
    TRY(run(user, &own)); // compiles and touches memory
    const double begin = clock_seconds(), joules = bench_joules();
    while (count < MOST_RUNS && (count < LEAST_RUNS || clock_seconds() - begin < b->o->seconds)) {
        double start = clock_seconds();
        own = -1;
        TRY(run(user, &own));
        times[count++] = own >= 0 ? own : clock_seconds() - start;
        if (b->events && b->events->stop && b->events->stop(b->events->user))
            THROW(IGVK_INTERRUPTED, "stopped");
    }
    const double used = bench_joules() - joules;
    bench_summary(times, count, out);
    out->joules = joules >= 0 && used > 0 ? used / (double)count : 0;
done:
    free(times);
    return status;
}

struct bench_program {
    device *device;
    program *program;
};

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

static igvk_status give_row(bench *b, igvk_bench_row *r) {
    bench_compare_row(b, r);
    if (b->row)
        b->row(b->user, r);
    json_t *entry = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s*, s:s*}", "name", r->name, "milliseconds",
                              r->milliseconds, "median", r->median, "spread", r->spread, "gflops", r->gflops, "gigabytes",
                              r->gigabytes, "share", r->share, "joules", r->joules, "value", r->value, "unit", r->unit, "note", r->note);
    return json_array_append_new(b->rows, entry) == 0 ? IGVK_OK : fail_memory("a row", 0);
}

igvk_status bench_row(bench *b, const char *name, const bench_times *t, double flops, double bytes) {
    igvk_bench_row r = {.name = name,
                        .milliseconds = t->best * 1e3,
                        .median = t->median * 1e3,
                        .spread = t->spread * 1e3,
                        .gflops = flops / t->best * 1e-9,
                        .gigabytes = bytes / t->best * 1e-9,
                        .joules = t->joules};
    if (b->peak_flops > 0 && flops > 0)
        r.share = flops / t->best / b->peak_flops;
    else if (b->peak_bytes > 0 && bytes > 0)
        r.share = bytes / t->best / b->peak_bytes;
    return give_row(b, &r);
}

igvk_status bench_note(bench *b, const char *name, const char *note) {
    return give_row(b, &(igvk_bench_row){.name = name, .note = note});
}

igvk_status bench_fact(bench *b, const char *name, double value, const char *unit) {
    return give_row(b, &(igvk_bench_row){.name = name, .value = value, .unit = unit});
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

static bool has_timestamps(const device *d) {
    const device_facts *f = device_facts_of(d);
    for (size_t i = 0; i < f->path_count; i++)
        if (!strcmp(f->paths[i].name, "timestamps"))
            return f->paths[i].enabled;
    return false;
}

static igvk_status bench_config(const igvk_bench_options *o, model_config *c) {
    *c = (model_config){.channels = 4,
                        .classes = 1000,
                        .null_class = true,
                        .mlp_ratio = 4,
                        .height = (uint32_t)o->image,
                        .width = (uint32_t)o->image};
    if ((o->input == 0) != (o->output == 0))
        return fail(IGVK_ERROR_INVALID, "--input and --output name one shape together: give both or neither");
    const igvk_status status = model_config_preset(o->model, c);
    return status == IGVK_OK ? model_config_check(c) : status;
}

igvk_status igvk_bench(const igvk_bench_options *o, void (*row)(void *user, const igvk_bench_row *r), void *user,
                       const igvk_events *events) {
    igvk_status status = IGVK_OK;
    bench b = {.o = o, .row = row, .user = user, .events = events, .rows = json_array()};
    TRY(options_check(igvk_bench_option_list(), o));
    TRY(bench_config(o, &b.config));
    if (o->json[0])
        TRY(file_check_writable(o->json));
    device_options device = *DEVICE_OPTIONS_OF(o, false);
    device.statistics = o->only == BENCH_KERNELS;
    TRY(device_open(&device, &b.device));
    b.timestamps = has_timestamps(b.device);
    if (o->compare[0])
        TRY(bench_compare_open(&b));
    TRY(store_create(b.device, &b.store));
    if (o->only == BENCH_KERNELS)
        TRY(bench_kernels(&b));
    else
        TRY(bench_peaks(&b));
    if (bench_wants(&b, BENCH_OPERATORS))
        TRY(bench_operators(&b));
    if (o->only != BENCH_OPERATORS && o->only != BENCH_KERNELS)
        TRY(bench_model(&b));
    if (o->json[0])
        TRY(write_json(&b));
done:
    json_decref(b.rows);
    json_decref(b.earlier);
    store_destroy(&b.store);
    device_close(&b.device);
    return status;
}
