// SPDX-License-Identifier: MIT
// The bench's inside: timing and rows, shared by operators (bench.c), peaks and model steps (bench_model.c).
#ifndef IGVK_API_BENCH_INTERNAL_H
#define IGVK_API_BENCH_INTERNAL_H

#include "graph/compile.h"
#include "igvk/igvk_experimental.h"
#include "ops/ops.h"
#include "vulkan/program.h"

#include <jansson.h>

typedef struct bench {
    const igvk_bench_options *o;
    void (*row)(void *user, const igvk_bench_row *r);
    void *user;
    const igvk_events *events;
    device *device;
    store *store;
    json_t *rows;
    double peak_flops, peak_bytes; // per second, measured in this run; 0 until then
} bench;

typedef struct bench_times {
    double best, median; // seconds
} bench_times;

struct bench_program {
    device *device;
    program *program;
};

// Repeats run() for about o->seconds after one run that is not counted. A run that has parts which are not to be
// measured sets *seconds to what the rest took; else the whole call counts.
typedef igvk_status (*bench_run)(void *user, double *seconds);
igvk_status bench_time(bench *b, bench_run run, void *user, bench_times *out);
igvk_status bench_time_program(bench *b, program *p, bench_times *out); // submit to finish
igvk_status bench_row(bench *b, const char *name, const bench_times *t, double flops, double bytes);
// Takes the graph over; its externals are in b->store.
igvk_status bench_graph(bench *b, const char *name, graph **g, tensor_id out, double flops);

igvk_status bench_peaks(bench *b); // register-only multiply-adds; a copy
igvk_status bench_model(bench *b); // forward, training step, sampling step by guidance

#endif
