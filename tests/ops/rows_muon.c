// SPDX-License-Identifier: MIT
// Rows of muon.c.
#include "ops/op_test.h"

#include "step_block.h"

#include <math.h>
#include <stdlib.h>

static bool muon_is_tall(tensor_shape s) {
    return s.dim[0] > s.dim[1];
}

static uint64_t muon_wide_index(tensor_shape s, uint64_t i) {
    return muon_is_tall(s) ? i % s.dim[1] * s.dim[0] + i / s.dim[1] : i;
}

// n[0]: held back
static void fill_muon_norm(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)count, (void)u32;
    f32[NORM_VALUE] = 4;
    f32[NORM_COEFFICIENT] = 0.25f;
    f32[NORM_TAKEN] = row->n[0] == 1 || row->n[0] == 2 ? 0 : 1; // n[0]: 1 held back, 2 skipped, 3 a gradient that stays
    f32[NORM_AVERAGED] = row->n[0] == 1 ? 0 : 1;
    f32[NORM_BIAS1] = f32[NORM_BIAS2] = 0;
}

// n[1]: rounded to bf16
static void build_muon_momentum(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_muon_momentum(g, in[0], in[1], in[2], in[3], row->n[1], row->n[0] != 3);
}

// Outputs, then the states in their order: gradient, momentum.
static void refer_muon_momentum(const op_row *row, const op_value *in, op_value *out) {
    const double keep = op_step_f32(in, STEP_MUON_MOMENTUM), rate = op_step_f32(in, STEP_MUON_RATE);
    for (uint64_t i = 0; i < in[2].count; i++) {
        const double g = in[2].v[i] * in[1].v[1], m = keep * in[3].v[i] + rate * g;
        out[0].v[muon_wide_index(in[2].shape, i)] = in[1].v[2] != 0 ? rate * g + keep * m : 0;
        out[1].v[i] = row->n[0] == 3 ? out[1].v[i] : 0;
        out[2].v[i] = in[1].v[2] != 0 ? m : in[3].v[i];
    }
}

static void build_orthogonalise(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_orthogonalise(g, in[0], row->n[1]);
}

// One step in place: x [R, C], with room for the products.
static void newton_schulz(double *x, uint64_t rows, uint64_t columns, double *gram, double *next) {
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t j = 0; j < rows; j++) {
            gram[i * rows + j] = 0;
            for (uint64_t k = 0; k < columns; k++)
                gram[i * rows + j] += x[i * columns + k] * x[j * columns + k];
        }
    for (uint64_t i = 0; i < rows * columns; i++)
        next[i] = 3.4445 * x[i];
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t j = 0; j < rows; j++) {
            double square = 0;
            for (uint64_t k = 0; k < rows; k++)
                square += gram[i * rows + k] * gram[k * rows + j];
            for (uint64_t k = 0; k < columns; k++)
                next[i * columns + k] += (-4.7750 * gram[i * rows + j] + 2.0315 * square) * x[j * columns + k];
        }
    for (uint64_t i = 0; i < rows * columns; i++)
        x[i] = next[i];
}

static void refer_orthogonalise(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t rows = in[0].shape.dim[0], columns = in[0].shape.dim[1];
    double norm = 0, *gram = malloc(rows * rows * sizeof *gram), *next = malloc(in[0].count * sizeof *next);
    if (!gram || !next)
        abort();
    for (uint64_t i = 0; i < in[0].count; i++)
        norm += in[0].v[i] * in[0].v[i];
    for (uint64_t i = 0; i < in[0].count; i++)
        out[0].v[i] = in[0].v[i] / (sqrt(norm) + 1e-7);
    for (int step = 0; step < 5; step++)
        newton_schulz(out[0].v, rows, columns, gram, next);
    free(gram);
    free(next);
}

// x[0]: the scale; n[1]: the decay alone
static void build_muon_apply(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)out;
    op_muon_apply(g, in[0], in[1], row->n[1] ? NO_TENSOR : in[2], in[3], in[4], (float)row->x[0]);
}

static void refer_muon_apply(const op_row *row, const op_value *in, op_value *out) {
    const double rate = op_step_f32(in, STEP_LEARNING_RATE), decay = 1 - rate * op_step_f32(in, STEP_MUON_DECAY);
    for (uint64_t i = 0; i < in[3].count && in[1].v[NORM_AVERAGED] != 0; i++) {
        const double u = row->n[1] ? 0 : in[2].v[muon_wide_index(in[3].shape, i)];
        if (in[1].v[NORM_TAKEN] != 0)
            out[0].v[i] = decay * in[3].v[i] - rate * (double)(float)row->x[0] * u;
        out[1].v[i] = op_step_f32(in, STEP_EMA_DECAY) * in[4].v[i] + op_step_f32(in, STEP_EMA_RATE) * out[0].v[i];
    }
}

#define MOMENTUM_ROW(text, rows, columns, held, bf16, bound)                                                           \
    {.op = "muon_momentum", .label = text,                                                                             \
     .inputs = {OP_STEPS, OP_FILLED("norm", fill_muon_norm, NORM_WORDS), OP_STATE("gradient", rows, columns),                   \
                {.name = "momentum", .kind = OP_STATE_F32, .shape = SHAPE(rows, columns), .tolerance = 2e-7}},         \
     .outputs = 1, .build = build_muon_momentum, .reference = refer_muon_momentum, .tolerance = bound,                 \
     .n = {held, bf16}}
#define ORTHOGONALISE_ROW(name, text, rows, columns, bf16, bound)                                                      \
    {.op = name, .label = text, .inputs = {OP_INPUT("x", rows, columns)}, .outputs = 1,                                \
     .build = build_orthogonalise, .reference = refer_orthogonalise, .tolerance = bound, .n = {0, bf16},               \
     .only_this_device = true} // SwiftShader takes minutes and gigabytes for a GPU's products
#define APPLY_ROW(text, rows, columns, wide_rows, wide_columns, held, alone)                                           \
    {.op = "muon_apply", .label = text,                                                                                \
     .inputs = {OP_STEPS, OP_FILLED("norm", fill_muon_norm, NORM_WORDS), OP_INPUT("update", wide_rows, wide_columns),           \
                OP_STATE("parameter", rows, columns), OP_STATE("ema", rows, columns)},                                 \
     .build = build_muon_apply, .reference = refer_muon_apply, .tolerance = 2e-7, .n = {held, alone}, .x = {1.7}}

static const op_row muon_rows[] = {
    MOMENTUM_ROW("1x1", 1, 1, 0, 0, 2e-7),
    MOMENTUM_ROW("wide, 13x127", 13, 127, 0, 0, 2e-7),
    MOMENTUM_ROW("tall, 129x7", 129, 7, 0, 0, 2e-7),
    MOMENTUM_ROW("rounded, 33x5", 33, 5, 0, 1, 0.004),
    MOMENTUM_ROW("held back, 9x5", 9, 5, 1, 0, 2e-7),
    MOMENTUM_ROW("a gradient that stays, 9x5", 9, 5, 3, 0, 2e-7),
    ORTHOGONALISE_ROW("muon_normalise", "a row of 20", 1, 20, 0, 1e-5),
    ORTHOGONALISE_ROW("muon_normalise", "13x67", 13, 67, 0, 1e-5),
    ORTHOGONALISE_ROW("muon_combine", "rounded, 8x40", 8, 40, 1, 0.1),
    APPLY_ROW("wide, 5x33", 5, 33, 5, 33, 0, 0),
    APPLY_ROW("tall, 127x3", 127, 3, 3, 127, 0, 0),
    APPLY_ROW("decay alone, 7x9", 7, 9, 7, 9, 0, 1),
    APPLY_ROW("held back, 7x9", 7, 9, 7, 9, 1, 0),
    APPLY_ROW("skipped: the EMA alone moves, 7x9", 7, 9, 7, 9, 2, 0),
};
