// SPDX-License-Identifier: MIT
// Rows of sampling.c.
#include "ops/op_test.h"

#include "step_block.h"

#include <math.h>

static void build_fill_time(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_fill_time(g, in[0], row->n[0]);
}

static void refer_fill_time(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = op_step_f32(&in[0], STEP_TIME);
}

// ---- guidance: n[0] intermediate outputs, n[1] null outputs, n[2] in place, n[3], n[4] elements of IG, of CFG
// -------------------------------------

static void build_guidance(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const guidance_inputs inputs = {
        .final_output = row->n[2] ? op_copy(g, in[1]) : in[1],
        .intermediate = row->n[0] ? in[2] : NO_TENSOR,
        .null_final = row->n[1] ? in[3] : NO_TENSOR,
        .null_intermediate = row->n[0] && row->n[1] ? in[4] : NO_TENSOR,
        .ig_elements = row->n[3],
        .cfg_elements = row->n[4],
    };
    out[0] = op_guidance(g, in[0], &inputs);
}

static void refer_guidance(const op_row *row, const op_value *in, op_value *out) {
    const double w = op_step_f32(&in[0], STEP_IG_SCALE), c = op_step_f32(&in[0], STEP_CFG_SCALE);
    const uint64_t sample = out[0].count / out[0].shape.dim[0];
    for (uint64_t i = 0; i < out[0].count; i++) {
        double u = in[1].v[i], u_null = in[3].v[i];
        const bool ig = !row->n[3] || i % sample < row->n[3], cfg = !row->n[4] || i % sample < row->n[4];
        if (row->n[0] && ig) {
            u = in[2].v[i] + w * (u - in[2].v[i]);
            u_null = in[4].v[i] + w * (u_null - in[4].v[i]);
        }
        out[0].v[i] = row->n[1] && cfg ? u_null + c * (u - u_null) : u;
    }
}

static void fill_scales_of_one(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    op_fill_steps(row, count, f32, u32);
    op_set_f32(&op_step_block(u32)[STEP_IG_SCALE], 1);
    op_set_f32(&op_step_block(u32)[STEP_CFG_SCALE], 1);
}

// With both scales 1 the outcome is the final output, whatever the others hold.
static void fill_infinity(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = INFINITY;
}

static void refer_first(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[1].v[i];
}

// ---- score: n[0] path -------------------------------------------------------------------------------------------

static void build_score(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_score(g, row->n[1] ? op_copy(g, in[0]) : in[0], in[1], in[2], (path_kind)row->n[0]);
}

static void refer_score(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t elements = in[0].count / in[2].count;
    const double half_pi = 1.57079632679489661923;
    for (uint64_t i = 0; i < out[0].count; i++) {
        const double t = in[2].v[i / elements];
        const bool cosine = row->n[0] == PATH_COSINE;
        const double a = cosine ? cos(half_pi * t) : 1 - t, da = cosine ? -half_pi * sin(half_pi * t) : -1;
        const double s = cosine ? sin(half_pi * t) : t, ds = cosine ? half_pi * cos(half_pi * t) : 1;
        const double r = a / da, variance = s * s - r * ds * s;
        out[0].v[i] = (r * in[0].v[i] - in[1].v[i]) / variance;
    }
}

// ---- solver: n[0] noise; n[1] the stage is not committed; n[2] previous not used ----------------------------------

enum { OF_STEPS, OF_VELOCITY, OF_NOISE, OF_HIGH, OF_LOW, OF_INPUT, OF_PREVIOUS };

static void build_solver(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)out;
    const solver_states s = {in[OF_HIGH], in[OF_LOW], in[OF_INPUT], in[OF_PREVIOUS]};
    op_solver(g, in[OF_STEPS], in[OF_VELOCITY], row->n[0] ? in[OF_NOISE] : NO_TENSOR, &s);
}

static double pair_of(const op_value *steps, uint32_t k) {
    return op_step_f32(steps, STEP_COEFFICIENTS + 2 * k) + op_step_f32(steps, STEP_COEFFICIENTS + 2 * k + 1);
}

static void refer_solver(const op_row *row, const op_value *in, op_value *out) {
    for (uint64_t i = 0; i < in[OF_HIGH].count; i++) {
        double x = pair_of(in, 0) * (in[OF_HIGH].v[i] + in[OF_LOW].v[i]) + pair_of(in, 1) * in[OF_VELOCITY].v[i];
        if (!row->n[2])
            x += pair_of(in, 2) * in[OF_PREVIOUS].v[i];
        if (row->n[0])
            x += pair_of(in, 3) * in[OF_NOISE].v[i];
        if (!row->n[1]) {
            out[0].v[i] = (double)(float)x;
            out[1].v[i] = x - (double)(float)x;
        }
        out[2].v[i] = (double)(float)x;
        out[3].v[i] = in[OF_VELOCITY].v[i];
    }
}

static void fill_solver_steps(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    op_fill_steps(row, count, f32, u32);
    uint32_t *block = op_step_block(u32);
    block[STEP_COMMIT] = !row->n[1];
    if (row->n[2])
        block[STEP_COEFFICIENTS + 4] = block[STEP_COEFFICIENTS + 5] = 0;
}

// ---- runge_kutta: n[0] velocity, n[1] the slope's slot, n[2] committed ---------------------------------------------

enum { RK_STEPS, RK_VELOCITY, RK_HIGH, RK_LOW, RK_INPUT, RK_SLOPES };

static void build_runge_kutta(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)out;
    const runge_kutta_states s = {in[RK_HIGH], in[RK_LOW], in[RK_INPUT], in[RK_SLOPES]};
    op_runge_kutta(g, in[RK_STEPS], row->n[0] ? in[RK_VELOCITY] : NO_TENSOR, &s);
}

static double slope_weight(const op_value *steps, uint32_t j) {
    return op_step_f32(steps, STEP_SLOPES + 2 * j) + op_step_f32(steps, STEP_SLOPES + 2 * j + 1);
}

static void refer_runge_kutta(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t count = in[RK_HIGH].count;
    const uint32_t last = RUNGE_KUTTA_SLOPES - 1;
    for (uint64_t i = 0; i < count; i++) {
        const double v = row->n[0] ? in[RK_VELOCITY].v[i] : in[RK_SLOPES].v[last * count + i];
        double x = in[RK_HIGH].v[i] + in[RK_LOW].v[i];
        for (uint32_t j = 0; j < RUNGE_KUTTA_SLOPES; j++)
            if (slope_weight(in, j) != 0)
                x += slope_weight(in, j) * (row->n[0] && j == row->n[1] ? v : in[RK_SLOPES].v[j * count + i]);
        if (row->n[2]) {
            out[0].v[i] = (double)(float)x;
            out[1].v[i] = x - (double)(float)x;
        }
        out[2].v[i] = (double)(float)x;
        out[3].v[row->n[1] * count + i] = v;
    }
}

// Slope 2 has no weight and holds infinity.
static void fill_slope_steps(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    op_fill_steps(row, count, f32, u32);
    uint32_t *block = op_step_block(u32);
    block[STEP_SLOT] = row->n[1];
    block[STEP_COMMIT] = row->n[2];
    for (uint32_t j = 0; j < RUNGE_KUTTA_SLOPES; j++) {
        op_set_f32(&block[STEP_SLOPES + 2 * j], j == 2 ? 0 : 0.3f * (float)j - 0.8f);
        op_set_f32(&block[STEP_SLOPES + 2 * j + 1], j == 2 ? 0 : 1e-9f * (float)(j + 1));
    }
    op_set_f32(&block[STEP_COEFFICIENTS], 0.25f);
    op_set_f32(&block[STEP_ABSOLUTE], 1e-2f);
    op_set_f32(&block[STEP_RELATIVE], 0.5f);
}

static void fill_slopes(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = i / (count / RUNGE_KUTTA_SLOPES) == 2 ? INFINITY : (float)((i * 7919 + 13) % 1009) / 500 - 1;
}

// ---- scaled_error ------------------------------------------------------------------------------------------------

static void build_scaled_error(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    const runge_kutta_states s = {.high = in[1], .input = in[2], .slopes = in[3]};
    out[0] = op_scaled_error(g, in[0], &s);
}

static void refer_scaled_error(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++) {
        const double x = in[1].v[i], other = in[2].v[i];
        double sum = op_step_f32(&in[0], STEP_COEFFICIENTS) * x;
        for (uint32_t j = 0; j < RUNGE_KUTTA_SLOPES; j++)
            if (slope_weight(&in[0], j) != 0)
                sum += op_step_f32(&in[0], STEP_SLOPES + 2 * j) * in[3].v[j * out[0].count + i];
        out[0].v[i] = sum / (op_step_f32(&in[0], STEP_ABSOLUTE) +
                             op_step_f32(&in[0], STEP_RELATIVE) * fmax(fabs(x), fabs(other)));
    }
}

#define RUNGE_KUTTA_ROW(text, velocity, slot, committed, ...)                                                          \
    {.op = "runge_kutta", .label = text,                                                                               \
     .inputs = {OP_STEPS_FILLED(fill_slope_steps), OP_RANGE("velocity", -2, 2, __VA_ARGS__),                           \
                OP_STATE_RANGE("high", -3, 3, __VA_ARGS__),                                                            \
                {.name = "low", .kind = OP_STATE_F32, .shape = SHAPE(__VA_ARGS__), .low = -2e-8, .high = 2e-8,         \
                 .tolerance = 1e-6},                                                                                   \
                OP_STATE("input", __VA_ARGS__),                                                                        \
                {.name = "slopes", .kind = OP_STATE_F32, .shape = SHAPE(RUNGE_KUTTA_SLOPES, __VA_ARGS__),              \
                 .fill = fill_slopes}},                                                                                \
     .build = build_runge_kutta, .reference = refer_runge_kutta, .tolerance = 1e-8, .n = {velocity, slot, committed}}
#define SCALED_ERROR_ROW(text, ...)                                                                                    \
    {.op = "scaled_error", .label = text,                                                                              \
     .inputs = {OP_STEPS_FILLED(fill_slope_steps), OP_RANGE("high", -3, 3, __VA_ARGS__),                               \
                OP_RANGE("input", -3, 3, __VA_ARGS__), OP_FILLED("slopes", fill_slopes, RUNGE_KUTTA_SLOPES, __VA_ARGS__)},\
     .outputs = 1, .build = build_scaled_error, .reference = refer_scaled_error, .tolerance = 1e-6}
#define GUIDANCE_ROW(text, has_intermediate, has_null, place, ...)                                                     \
    {.op = "guidance", .label = text,                                                                                  \
     .inputs = {OP_STEPS, OP_INPUT("final", __VA_ARGS__), OP_INPUT("intermediate", __VA_ARGS__),                       \
                OP_INPUT("null", __VA_ARGS__), OP_INPUT("null intermediate", __VA_ARGS__)},                            \
     .outputs = 1, .build = build_guidance, .reference = refer_guidance, .tolerance = 4e-7,                            \
     .n = {has_intermediate, has_null, place}}
#define SCORE_ROW(text, path, place, images, ...)                                                                      \
    {.op = "score", .label = text,                                                                                     \
     .inputs = {OP_INPUT("velocity", images, __VA_ARGS__), OP_INPUT("x", images, __VA_ARGS__),                         \
                OP_RANGE("t", 0.04, 1, images)},                                                                       \
     .outputs = 1, .build = build_score, .reference = refer_score, .tolerance = 4e-7, .n = {path, place}}
// The low halves are compared to 1e-6 of themselves: 2^-44 of the state.
#define SOLVER_ROW(text, noise, not_committed, not_previous, previous_fill, ...)                                       \
    {.op = "solver", .label = text,                                                                                    \
     .inputs = {OP_STEPS_FILLED(fill_solver_steps),                                                                    \
                OP_RANGE("velocity", -2, 2, __VA_ARGS__),                                                              \
                OP_RANGE("noise", -4, 4, __VA_ARGS__), OP_STATE_RANGE("high", -3, 3, __VA_ARGS__),                     \
                {.name = "low", .kind = OP_STATE_F32, .shape = SHAPE(__VA_ARGS__), .low = -2e-8, .high = 2e-8,         \
                 .tolerance = 1e-6},                                                                                   \
                OP_STATE("input", __VA_ARGS__),                                                                        \
                {.name = "previous", .kind = OP_STATE_F32, .shape = SHAPE(__VA_ARGS__), .low = -2, .high = 2,          \
                 .fill = previous_fill}},                                                                              \
     .build = build_solver, .reference = refer_solver, .tolerance = 1e-8, .n = {noise, not_committed, not_previous}}

static const op_row sampling_rows[] = {
    {.op = "fill_time",
     .label = "13",
     .inputs = {OP_STEPS},
     .outputs = 1,
     .build = build_fill_time,
     .reference = refer_fill_time,
     .tolerance = 1e-9,
     .n = {13}},
    GUIDANCE_ROW("none", 0, 0, 0, 1),
    GUIDANCE_ROW("IG", 1, 0, 0, 13, 127),
    GUIDANCE_ROW("CFG", 0, 1, 0, 3, 4, 65),
    GUIDANCE_ROW("IG and CFG", 1, 1, 0, 127, 13),
    GUIDANCE_ROW("IG and CFG in place", 1, 1, 1, 257),
    {.op = "guidance",
     .label = "IG on 66, CFG on 65 of 131",
     .inputs = {OP_STEPS, OP_INPUT("final", 3, 131), OP_INPUT("intermediate", 3, 131), OP_INPUT("null", 3, 131),
                OP_INPUT("null intermediate", 3, 131)},
     .outputs = 1,
     .build = build_guidance,
     .reference = refer_guidance,
     .tolerance = 4e-7,
     .n = {1, 1, 0, 66, 65}},
    {.op = "guidance",
     .label = "scales of 1",
     .inputs = {OP_STEPS_FILLED(fill_scales_of_one), OP_INPUT("final", 77),
                OP_FILLED("intermediate", fill_infinity, 77), OP_FILLED("null", fill_infinity, 77),
                OP_FILLED("null intermediate", fill_infinity, 77)},
     .outputs = 1,
     .build = build_guidance,
     .reference = refer_first,
     .tolerance = 1e-12,
     .n = {1, 1}},
    SCORE_ROW("linear, 1", PATH_LINEAR, 0, 1, 1),
    SCORE_ROW("linear, 13x127", PATH_LINEAR, 0, 13, 127),
    SCORE_ROW("cosine in place, 5x3x7", PATH_COSINE, 1, 5, 3, 7),
    SOLVER_ROW("1", 0, 0, 0, NULL, 1),
    SOLVER_ROW("with noise, 13x127", 1, 0, 0, NULL, 13, 127),
    SOLVER_ROW("a stage, 3x65", 0, 1, 0, NULL, 3, 65),
    SOLVER_ROW("infinite previous of no weight, 257", 1, 0, 1, fill_infinity, 257),
    RUNGE_KUTTA_ROW("first slope, 1", 1, 0, 0, 1),
    RUNGE_KUTTA_ROW("slope 4, 13x127", 1, 4, 1, 13, 127),
    RUNGE_KUTTA_ROW("slope 2 of no weight, 3x65", 1, 2, 0, 3, 65),
    RUNGE_KUTTA_ROW("no velocity, the last becomes the first, 5x51", 0, 0, 1, 5, 51),
    SCALED_ERROR_ROW("1", 1),
    SCALED_ERROR_ROW("2x3x43", 2, 3, 43),
};
