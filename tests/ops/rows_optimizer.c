// SPDX-License-Identifier: MIT
// Rows of optimizer.c.
#include "graph/parameters.h"
#include "ops/op_test.h"

#include "step_block.h"

#include <float.h>
#include <math.h>

// ---- squares and the norm --------------------------------------------------------------------------------------

// n[0]: chunks, chained; then the norm. Outputs: the norm.
static void build_norm(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    tensor_id partials = NO_TENSOR;
    for (uint32_t k = 0; k < row->n[0]; k++)
        partials = op_squares(g, in[3 + k], partials);
    out[0] = op_gradient_norm(g, in[0], partials, in[1], in[2]);
}

static void refer_norm(const op_row *row, const op_value *in, op_value *out) {
    double sum = 0;
    for (uint32_t k = 0; k < row->n[0]; k++)
        for (uint64_t i = 0; i < in[3 + k].count; i++)
            sum += in[3 + k].v[i] * in[3 + k].v[i];
    const bool finite = sum <= (double)FLT_MAX, stop = in[1].v[0] != 0 || !finite; // squares are summed in f32
    const double norm = finite ? sqrt(sum) : INFINITY;
    out[0].v[0] = norm;
    out[0].v[1] = finite ? fmin(1, op_step_f32(&in[0], STEP_MAX_NORM) / (norm + 1e-6)) : norm;
    out[0].v[2] = !stop;
    out[0].v[3] = 0;
    out[1].v[0] = stop;
    double *block = out[2].v + OP_RUN % STEP_RING * METRIC_WORDS;
    block[METRIC_GRADIENT_NORM] = norm;
    block[METRIC_FINITE] = finite;
}

static void fill_with_infinity(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = i == count / 2 ? INFINITY : 0.5f;
}

static void fill_with_nan(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = i == count - 1 ? NAN : 0.5f;
}

static void fill_one(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)count, (void)f32;
    u32[0] = 1;
}

static void fill_zero(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)count, (void)f32;
    u32[0] = 0;
}

// ---- AdamW and EMA ---------------------------------------------------------------------------------------------

enum { IN_STEPS, IN_NORM, IN_SEGMENTS, IN_PARAMETER, IN_GRADIENT, IN_MOMENT1, IN_MOMENT2, IN_EMA };

static void build_adamw(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row, (void)out;
    const adamw_states s = {in[IN_PARAMETER], in[IN_GRADIENT], in[IN_MOMENT1], in[IN_MOMENT2], in[IN_EMA]};
    op_adamw_ema(g, in[IN_STEPS], in[IN_NORM], in[IN_SEGMENTS], &s);
}

static void refer_adamw(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const double decay = 1 - op_step_f32(in, STEP_LEARNING_RATE) * op_step_f32(in, STEP_WEIGHT_DECAY);
    for (uint64_t i = 0; i < in[IN_PARAMETER].count; i++) {
        double p = in[IN_PARAMETER].v[i];
        out[1].v[i] = 0; // the gradient
        if (in[IN_NORM].v[2] == 0)
            continue;
        if ((uint32_t)in[IN_SEGMENTS].v[i / PARAMETER_GRANULE] & 1) {
            const double g = in[IN_GRADIENT].v[i] * in[IN_NORM].v[1];
            const double m = op_step_f32(in, STEP_BETA1) * in[IN_MOMENT1].v[i] + op_step_f32(in, STEP_RATE1) * g;
            const double v = op_step_f32(in, STEP_BETA2) * in[IN_MOMENT2].v[i] + op_step_f32(in, STEP_RATE2) * g * g;
            const double denominator = sqrt(v) * op_step_f32(in, STEP_BIAS2) + op_step_f32(in, STEP_EPSILON);
            p = p * decay - op_step_f32(in, STEP_BIAS1) * m / denominator;
            out[0].v[i] = p;
            out[2].v[i] = m;
            out[3].v[i] = v;
        }
        out[4].v[i] = op_step_f32(in, STEP_EMA_DECAY) * in[IN_EMA].v[i] + op_step_f32(in, STEP_EMA_RATE) * p;
    }
}

static void fill_norm(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)count, (void)u32;
    f32[0] = 4;
    f32[1] = 0.25f;
    f32[2] = row->n[0] ? 0 : 1; // n[0]: held back
    f32[3] = 0;
}

// ---- the run counter ----------------------------------------------------------------------------------------------

static void build_advance(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row, (void)out;
    op_advance(g, in[0]);
}

static void refer_advance(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    out[0].v[0] = in[0].v[0] + 1;
}

#define STEPS_STATE                                                                                                    \
    {.name = "steps", .kind = OP_STATE_U32, .shape = SHAPE((1 + STEP_RING) * STEP_WORDS), .fill = op_fill_steps}
#define NORM_INPUTS(fill_stop)                                                                                         \
    OP_STEPS, {.name = "stop", .kind = OP_STATE_U32, .shape = SHAPE(1), .fill = fill_stop}, OP_METRICS
#define NORM_ROW(text, chunks, fill_stop, ...)                                                                         \
    {.op = "gradient_norm", .label = text, .inputs = {NORM_INPUTS(fill_stop), __VA_ARGS__}, .outputs = 1,              \
     .build = build_norm,                                                                                              \
     .reference = refer_norm, .tolerance = 2e-7, .n = {chunks}}
#define ADAMW_ROW(text, granules, held)                                                                                \
    {.op = "adamw_ema", .label = text,                                                                                 \
     .inputs = {OP_STEPS, OP_FILLED("norm", fill_norm, 4), OP_INTEGERS("segments", 0, 3, granules),                    \
                OP_STATE("parameter", PARAMETER_GRANULE * (granules)), OP_STATE("gradient", PARAMETER_GRANULE * (granules)),                         \
                OP_STATE_RANGE("moment1", -0.01, 0.01, PARAMETER_GRANULE * (granules)),                                               \
                OP_STATE_RANGE("moment2", 0, 0.01, PARAMETER_GRANULE * (granules)), OP_STATE("ema", PARAMETER_GRANULE * (granules))},                \
     .build = build_adamw, .reference = refer_adamw, .tolerance = 2e-7, .n = {held}}

static const op_row optimizer_rows[] = {
    NORM_ROW("one element", 1, fill_zero, OP_INPUT("a", 1)),
    NORM_ROW("1023", 1, fill_zero, OP_INPUT("a", 1023)),
    NORM_ROW("2501: sums of two and of three", 1, fill_zero, OP_INPUT("a", 2501)),
    NORM_ROW("one chunk of 64, not clipped", 1, fill_zero, OP_RANGE("a", -0.01, 0.01, 64)),
    NORM_ROW("three chunks", 3, fill_zero, OP_INPUT("a", 13), OP_INPUT("b", 128 * 127), OP_INPUT("c", 6400)),
    // More than fits the first pass with one square a sum; small and large values side by side.
    NORM_ROW("two million", 2, fill_zero, OP_RANGE("a", -1e-3, 1e-3, 2000003), OP_RANGE("b", -30, 30, 64)),
    NORM_ROW("an infinity", 1, fill_zero, OP_FILLED("a", fill_with_infinity, 1031)),
    NORM_ROW("a NaN", 2, fill_zero, OP_FILLED("a", fill_with_nan, 1031), OP_INPUT("b", 64)),
    NORM_ROW("squares overflow", 1, fill_zero, OP_RANGE("a", 1e19, 1e20, 100)),
    NORM_ROW("stopped before", 1, fill_one, OP_INPUT("a", 64)),
    ADAMW_ROW("one granule", 1, 0),
    ADAMW_ROW("127 granules, some frozen", 127, 0),
    ADAMW_ROW("held back", 13, 1),
    {.op = "advance", .label = "one run", .inputs = {STEPS_STATE},
     .build = build_advance, .reference = refer_advance},
};
