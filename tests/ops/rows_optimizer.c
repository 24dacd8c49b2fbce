// SPDX-License-Identifier: MIT
// Rows of optimizer.c.
#include "graph/parameters.h"
#include "ops/op_test.h"

#include "step_block.h"

#include <float.h>
#include <math.h>
#include <string.h>

// ---- squares and the norm --------------------------------------------------------------------------------------

static double f32_of_word(double word) {
    const uint32_t bits = (uint32_t)word;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static double word_of_f32(double value) {
    const float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

// n[0]: chunks, chained; then the norm. n[1]: of a scaled loss. Outputs: the norm.
static void build_norm(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    tensor_id partials = NO_TENSOR;
    for (uint32_t k = 0; k < row->n[0]; k++)
        partials = op_squares(g, in[3 + k], partials);
    out[0] = op_gradient_norm(g, in[0], partials, in[1], in[2], row->n[1]);
}

static void refer_norm(const op_row *row, const op_value *in, op_value *out) {
    double sum = 0;
    for (uint32_t k = 0; k < row->n[0]; k++)
        for (uint64_t i = 0; i < in[3 + k].count; i++)
            sum += in[3 + k].v[i] * in[3 + k].v[i];
    const double *guard = in[1].v, scale = row->n[1] ? f32_of_word(guard[GUARD_SCALE]) : 1;
    const bool finite = sum <= (double)FLT_MAX; // squares are summed in f32
    const bool skips = !finite && row->n[1] && scale > LOSS_SCALE_LEAST;
    const bool stop = guard[GUARD_STOP] != 0 || (!finite && !skips);
    const double norm = finite ? sqrt(sum) / scale : INFINITY;
    const uint32_t fewer = row->n[2] < STEP_FEWER ? row->n[2] : STEP_FEWER;
    const uint32_t bias = fewer ? STEP_BIAS_FEWER + 2 * (fewer - 1) : STEP_BIAS1;
    out[0].v[NORM_VALUE] = norm;
    out[0].v[NORM_COEFFICIENT] =
        finite ? fmin(1, op_step_f32(&in[0], STEP_MAX_NORM) / (norm + 1e-6)) / scale : norm;
    out[0].v[NORM_TAKEN] = !stop && !skips;
    out[0].v[NORM_AVERAGED] = !stop;
    out[0].v[NORM_BIAS1] = op_step_f32(&in[0], bias);
    out[0].v[NORM_BIAS2] = op_step_f32(&in[0], bias + 1);
    out[1].v[GUARD_STOP] = stop;
    if (row->n[1] && !stop) {
        const bool doubles = !skips && guard[GUARD_GOOD] + 1 == LOSS_SCALE_INTERVAL;
        out[1].v[GUARD_SCALE] = word_of_f32(skips ? scale / 2 : doubles ? scale * 2 : scale);
        out[1].v[GUARD_GOOD] = skips || doubles ? 0 : guard[GUARD_GOOD] + 1;
        out[1].v[GUARD_SKIPPED] = guard[GUARD_SKIPPED] + skips;
    }
    double *block = out[2].v + OP_RUN % STEP_RING * METRIC_WORDS;
    block[METRIC_GRADIENT_NORM] = norm;
    block[METRIC_FINITE] = finite || skips;
    block[METRIC_SCALE] = scale;
    block[METRIC_SKIPPED] = guard[GUARD_SKIPPED] + skips;
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

#define SKIPPED 3

static void fill_guard_with(uint32_t *guard, double scale, uint32_t good) {
    guard[GUARD_STOP] = 0;
    op_set_f32(&guard[GUARD_SCALE], scale);
    guard[GUARD_GOOD] = good;
    guard[GUARD_SKIPPED] = SKIPPED;
}

static void fill_guard(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)count, (void)f32;
    fill_guard_with(u32, 1024, 7);
}

static void fill_stopped(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)count, (void)f32;
    fill_guard_with(u32, 1024, 7);
    u32[GUARD_STOP] = 1;
}

static void fill_interval(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)count, (void)f32;
    fill_guard_with(u32, 1024, LOSS_SCALE_INTERVAL - 1);
}

static void fill_least(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)count, (void)f32;
    fill_guard_with(u32, LOSS_SCALE_LEAST, 7);
}

// Of SKIPPED steps n[2] are unknown to the step block.
static void fill_norm_steps(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    op_fill_steps(row, count, f32, u32);
    op_step_block(u32)[STEP_SKIPPED] = SKIPPED - row->n[2];
    for (uint32_t k = 0; k < 2 * STEP_FEWER; k++)
        op_set_f32(&op_step_block(u32)[STEP_BIAS_FEWER + k], 0.5 + k);
}

static void build_scale(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_loss_scale(g, in[0]);
}

static void refer_scale(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    out[0].v[0] = f32_of_word(in[0].v[GUARD_SCALE]);
}

// ---- AdamW and EMA ---------------------------------------------------------------------------------------------

enum { IN_STEPS, IN_NORM, IN_SEGMENTS, IN_PARAMETER, IN_GRADIENT, IN_MOMENT1, IN_MOMENT2, IN_EMA };

static void build_adamw(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)out;
    const adamw_states s = {in[IN_PARAMETER], in[IN_GRADIENT], in[IN_MOMENT1], in[IN_MOMENT2], in[IN_EMA]};
    op_adamw_ema(g, in[IN_STEPS], in[IN_NORM], in[IN_SEGMENTS], &s, row->n[0] != 3);
}

static void refer_adamw(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const double decay = 1 - op_step_f32(in, STEP_LEARNING_RATE) * op_step_f32(in, STEP_WEIGHT_DECAY);
    for (uint64_t i = 0; i < in[IN_PARAMETER].count; i++) {
        double p = in[IN_PARAMETER].v[i];
        out[1].v[i] = row->n[0] == 3 ? out[1].v[i] : 0; // the gradient
        if (in[IN_NORM].v[NORM_TAKEN] != 0 && (uint32_t)in[IN_SEGMENTS].v[i / PARAMETER_GRANULE] & 1) {
            const double g = in[IN_GRADIENT].v[i] * in[IN_NORM].v[NORM_COEFFICIENT];
            const double m = op_step_f32(in, STEP_BETA1) * in[IN_MOMENT1].v[i] + op_step_f32(in, STEP_RATE1) * g;
            const double v = op_step_f32(in, STEP_BETA2) * in[IN_MOMENT2].v[i] + op_step_f32(in, STEP_RATE2) * g * g;
            const double denominator = sqrt(v) * in[IN_NORM].v[NORM_BIAS2] + op_step_f32(in, STEP_EPSILON);
            p = p * decay - in[IN_NORM].v[NORM_BIAS1] * m / denominator;
            out[0].v[i] = p;
            out[2].v[i] = m;
            out[3].v[i] = v;
        }
        if (in[IN_NORM].v[NORM_AVERAGED] != 0)
            out[4].v[i] = op_step_f32(in, STEP_EMA_DECAY) * in[IN_EMA].v[i] + op_step_f32(in, STEP_EMA_RATE) * p;
    }
}

static void fill_norm(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)count, (void)u32;
    f32[NORM_VALUE] = 4;
    f32[NORM_COEFFICIENT] = 0.25f;
    f32[NORM_TAKEN] = row->n[0] == 1 || row->n[0] == 2 ? 0 : 1;         // n[0]: 1 held back, 2 skipped, 3 a gradient of one batch
    f32[NORM_AVERAGED] = row->n[0] == 1 ? 0 : 1;
    f32[NORM_BIAS1] = 1.5e-3f;
    f32[NORM_BIAS2] = 1.25f;
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
#define NORM_INPUTS(fill_)                                                                                             \
    OP_STEPS_FILLED(fill_norm_steps),                                                                                  \
        {.name = "guard", .kind = OP_STATE_U32, .shape = SHAPE(GUARD_WORDS), .fill = fill_}, OP_METRICS
#define NORM_ROW(text, chunks, fill, ...) SCALED_ROW(text, chunks, 0, 0, fill, __VA_ARGS__)
#define SCALED_ROW(text, chunks, scaled, unknown, fill_, ...)                                                          \
    {.op = "gradient_norm", .label = text, .inputs = {NORM_INPUTS(fill_), __VA_ARGS__}, .outputs = 1,                   \
     .build = build_norm,                                                                                              \
     .reference = refer_norm, .tolerance = 2e-7, .n = {chunks, scaled, unknown}}
#define ADAMW_ROW(text, granules, held)                                                                                \
    {.op = "adamw_ema", .label = text,                                                                                 \
     .inputs = {OP_STEPS, OP_FILLED("norm", fill_norm, NORM_WORDS), OP_INTEGERS("segments", 0, 3, granules),                    \
                OP_STATE("parameter", PARAMETER_GRANULE * (granules)), OP_STATE("gradient", PARAMETER_GRANULE * (granules)),                         \
                OP_STATE_RANGE("moment1", -0.01, 0.01, PARAMETER_GRANULE * (granules)),                                               \
                OP_STATE_RANGE("moment2", 0, 0.01, PARAMETER_GRANULE * (granules)), OP_STATE("ema", PARAMETER_GRANULE * (granules))},                \
     .build = build_adamw, .reference = refer_adamw, .tolerance = 2e-7, .n = {held}}

static const op_row optimizer_rows[] = {
    NORM_ROW("one element", 1, fill_guard, OP_INPUT("a", 1)),
    NORM_ROW("1023", 1, fill_guard, OP_INPUT("a", 1023)),
    NORM_ROW("2501: sums of two and of three", 1, fill_guard, OP_INPUT("a", 2501)),
    NORM_ROW("one chunk of 64, not clipped", 1, fill_guard, OP_RANGE("a", -0.01, 0.01, 64)),
    NORM_ROW("three chunks", 3, fill_guard, OP_INPUT("a", 13), OP_INPUT("b", 128 * 127), OP_INPUT("c", 6400)),
    // More than fits the first pass with one square a sum; small and large values side by side.
    NORM_ROW("two million", 2, fill_guard, OP_RANGE("a", -1e-3, 1e-3, 2000003), OP_RANGE("b", -30, 30, 64)),
    NORM_ROW("an infinity", 1, fill_guard, OP_FILLED("a", fill_with_infinity, 1031)),
    NORM_ROW("a NaN", 2, fill_guard, OP_FILLED("a", fill_with_nan, 1031), OP_INPUT("b", 64)),
    NORM_ROW("squares overflow", 1, fill_guard, OP_RANGE("a", 1e19, 1e20, 100)),
    NORM_ROW("stopped before", 1, fill_stopped, OP_INPUT("a", 64)),
    SCALED_ROW("scaled, one unknown skip", 1, 1, 1, fill_guard, OP_INPUT("a", 700)),
    SCALED_ROW("scaled, the scale doubles, three unknown skips", 1, 1, 3, fill_interval, OP_RANGE("a", -300, 300, 700)),
    SCALED_ROW("scaled, an infinity halves", 1, 1, 0, fill_guard, OP_FILLED("a", fill_with_infinity, 1031)),
    SCALED_ROW("scaled, a NaN at an interval's end halves", 1, 1, 2, fill_interval, OP_FILLED("a", fill_with_nan, 1031)),
    SCALED_ROW("scaled, an infinity at the least scale stops", 1, 1, 0, fill_least, OP_FILLED("a", fill_with_infinity, 9)),
    SCALED_ROW("scaled, stopped before", 1, 1, 0, fill_stopped, OP_INPUT("a", 64)),
    {.op = "loss_scale", .label = "a power of two", .outputs = 1, .build = build_scale, .reference = refer_scale,
     .inputs = {{.name = "guard", .kind = OP_STATE_U32, .shape = SHAPE(GUARD_WORDS), .fill = fill_guard}}},
    ADAMW_ROW("one granule", 1, 0),
    ADAMW_ROW("127 granules, some frozen", 127, 0),
    ADAMW_ROW("held back", 13, 1),
    ADAMW_ROW("skipped: the EMA alone moves", 13, 2),
    ADAMW_ROW("a gradient that stays", 13, 3),
    {.op = "advance", .label = "one run", .inputs = {STEPS_STATE},
     .build = build_advance, .reference = refer_advance},
};
