// SPDX-License-Identifier: MIT
// The bench's inside: timing and rows (bench.c), peaks (bench_peaks.c), operators (bench_operators.c), steps of a model
// (bench_model.c), an earlier run's file (bench_compare.c).
#ifndef IGVK_API_BENCH_INTERNAL_H
#define IGVK_API_BENCH_INTERNAL_H

#include "graph/compile.h"
#include "igvk/igvk_experimental.h"
#include "models/model.h"
#include "ops/ops.h"
#include "training/trainer.h"
#include "vulkan/program.h"

#include <jansson.h>

typedef struct bench {
    const igvk_bench_options *o;
    void (*row)(void *user, const igvk_bench_row *r);
    void *user;
    const igvk_events *events;
    device *device;
    store *store;
    model_config config; // of --model
    bool timestamps; // the device has them
    json_t *rows;
    json_t *earlier;               // rows of --compare by name, null without
    double peak_flops, peak_bytes; // per second, measured last; 0 until then
} bench;

typedef struct bench_times {
    double best, median, spread; // seconds; spread: between the quartiles
    double joules;               // a run; 0: not told
} bench_times;

enum bench_part { BENCH_ALL, BENCH_OPERATORS, BENCH_FORWARD, BENCH_TRAINING, BENCH_SAMPLING, BENCH_KERNELS };
static inline bool bench_wants(const bench *b, enum bench_part part) {
    return b->o->only == BENCH_ALL || b->o->only == part;
}

// Repeats run() for about o->seconds after one run that is not counted. A run that has parts which are not to be
// measured sets *seconds to what the rest took; else the whole call counts.
typedef igvk_status (*bench_run)(void *user, double *seconds);
igvk_status bench_time(bench *b, bench_run run, void *user, bench_times *out);
igvk_status bench_time_program(bench *b, program *p, bench_times *out); // submit to finish
// The spread of `count` times, sorted in place; best and median likewise.
void bench_summary(double *times, size_t count, bench_times *out);
igvk_status bench_row(bench *b, const char *name, const bench_times *t, double flops, double bytes);
igvk_status bench_note(bench *b, const char *name, const char *note);
igvk_status bench_fact(bench *b, const char *name, double value, const char *unit); // a row that is no time
// Takes the graph over; its externals are in b->store.
igvk_status bench_graph(bench *b, const char *name, graph **g, tensor_id out, double flops);

igvk_status bench_peaks(bench *b); // register-only multiply-adds; a copy. Again before each part: machines drift
igvk_status bench_operators(bench *b);
igvk_status bench_model(bench *b); // forward, training step, sampling step by guidance

// The trainer of --model and --batch on a device; its forward.
trainer_options bench_trainer(const bench *b, device *d);
igvk_status bench_forward_graph(const model_config *c, const parameter_layout *l, uint32_t batch, graph **out,
                                tensor_id *keep);
// Forward and training step compiled, nothing allocated or run: a row a kernel, with what the driver tells of it.
igvk_status bench_kernels(bench *b);

// The rows of a --json file by name; refuses another format by one line, and tells of another device.
igvk_status bench_compare_open(bench *b);
void bench_compare_row(const bench *b, igvk_bench_row *r); // fills in `before` and `noise`

// Joules that the processor has used since some moment, by the system's counter (Linux powercap); negative: not told.
double bench_joules(void);

#endif
