// SPDX-License-Identifier: MIT
// Rows of linear.c and column_sum.c. Sizes meet every edge of the tiles (64 rows, 2 vectors of 4 to 16 lanes, 8 steps;
// 64 x 64 x 16 on GPUs): one, below, at, just above and far from multiples.
#include "ops/op_test.h"

#include <math.h>

enum { USES_BIAS = 1, USES_GATE = 2, USES_RESIDUAL = 4, REPEATED = 8 };

static double linear_activation(uint32_t kind, double x) {
    if (kind == ACTIVATION_SILU)
        return x / (1 + exp(-x));
    if (kind == ACTIVATION_GELU_TANH)
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    return x;
}

// Inputs: x, weight, then those of bias, gate and residual that n[1] names. n[0]: the activation. n[2], n[3]: the
// storage types of x and the weight.
static void build_linear(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    linear_options o = {.activation = (activation_kind)row->n[0]};
    uint32_t next = 2;
    if (row->n[1] & USES_BIAS)
        o.bias = in[next++];
    if (row->n[1] & USES_GATE)
        o.gate = in[next++];
    if (row->n[1] & (USES_RESIDUAL | REPEATED))
        o.residual = in[next++];
    const tensor_id x = op_convert(g, in[0], (storage_type)row->n[2]);
    out[0] = op_linear(g, x, op_convert(g, in[1], (storage_type)row->n[3]), &o);
}

static void refer_linear(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t columns = in[1].shape.dim[0], depth = in[1].count / columns, rows = in[0].count / depth;
    uint32_t next = 2;
    const op_value *bias = row->n[1] & USES_BIAS ? &in[next++] : NULL;
    const op_value *gate = row->n[1] & USES_GATE ? &in[next++] : NULL;
    const op_value *residual = row->n[1] & (USES_RESIDUAL | REPEATED) ? &in[next++] : NULL;
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t o = 0; o < columns; o++) {
            double sum = bias ? bias->v[o] : 0;
            for (uint64_t k = 0; k < depth; k++)
                sum += in[0].v[i * depth + k] * in[1].v[o * depth + k];
            sum = linear_activation(row->n[0], sum);
            if (gate)
                sum *= gate->v[i / (rows / gate->shape.dim[0]) * columns + o];
            if (residual)
                sum += residual->v[i % (residual->count / columns) * columns + o];
            out[0].v[i * columns + o] = sum;
        }
}

// n[1]: the storage type of both operands.
static void build_input_gradient(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const storage_type type = (storage_type)row->n[1];
    out[0] = op_linear_input_gradient(g, op_convert(g, in[0], type), op_convert(g, in[1], type));
}

static void refer_input_gradient(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t depth = in[1].shape.dim[0], columns = in[1].shape.dim[1], rows = in[0].count / depth;
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (uint64_t k = 0; k < depth; k++)
                sum += in[0].v[i * depth + k] * in[1].v[k * columns + c];
            out[0].v[i * columns + c] = sum;
        }
}

// n[0]: added to a state, as training accumulates. n[1]: the storage type of both operands.
static void build_weight_gradient(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const storage_type type = (storage_type)row->n[1];
    out[0] = op_linear_weight_gradient(g, op_convert(g, in[0], type), op_convert(g, in[1], type));
    if (row->n[0])
        graph_accumulate(g, out[0], in[2]);
}

static void refer_weight_gradient(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t rows = in[0].shape.dim[1], columns = in[1].shape.dim[1], depth = in[0].shape.dim[0];
    op_value *to = row->n[0] ? &out[row->outputs] : &out[0];
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (uint64_t k = 0; k < depth; k++)
                sum += in[0].v[k * rows + i] * in[1].v[k * columns + c];
            to->v[i * columns + c] = (row->n[0] ? to->v[i * columns + c] : 0) + sum;
        }
}

static void build_column_sum(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_column_sum(g, in[0]);
    if (row->n[0])
        graph_accumulate(g, out[0], in[1]);
}

static void refer_column_sum(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t columns = in[0].shape.dim[1];
    op_value *to = row->n[0] ? &out[row->outputs] : &out[0];
    for (uint64_t c = 0; c < columns; c++) {
        double sum = row->n[0] ? to->v[c] : 0;
        for (uint64_t r = 0; r < in[0].shape.dim[0]; r++)
            sum += in[0].v[r * columns + c];
        to->v[c] = sum;
    }
}

// Exact in every storage type.
static void fill_eighths(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = (float)(((uint32_t)i * 2654435761u >> 16) % 17) / 8 - 1;
}

#define LINEAR(text, kind, uses, ...)                                                                                  \
    {.op = "linear", .label = text, .inputs = {__VA_ARGS__}, .outputs = 1, .build = build_linear,                      \
     .reference = refer_linear, .tolerance = 1e-6, .gradient_tolerance = 2e-6, .n = {kind, uses}}
#define PLAIN(rows, inner, columns)                                                                                    \
    LINEAR(#rows " x " #inner " x " #columns, 0, 0, OP_GRADIENT("x", rows, inner), OP_GRADIENT("weight", columns, inner))
#define STORED_VALUES(name_, ...) {.name = name_, .shape = SHAPE(__VA_ARGS__), .fill = fill_eighths}
#define STORED_EIGHTHS(name_, ...)                                                                                      \
    {.name = name_, .shape = SHAPE(__VA_ARGS__), .gradient = true, .fill = fill_eighths}
#define STORED(x_type, weight_type, rows, inner, columns)                                                              \
    STORED_WITHIN(x_type, weight_type, rows, inner, columns, 2e-6)
// Both of 16 bits: what flows back is rounded, too, by `bound` of the largest.
#define STORED_WITHIN(x_type, weight_type, rows, inner, columns, bound)                                                \
    {.op = "linear", .label = "x " #x_type ", weight " #weight_type ", " #rows " x " #inner " x " #columns,            \
     .inputs = {STORED_EIGHTHS("x", rows, inner), STORED_EIGHTHS("weight", columns, inner), OP_GRADIENT("bias", columns)}, \
     .outputs = 1, .build = build_linear, .reference = refer_linear, .tolerance = 1e-6, .gradient_tolerance = bound,   \
     .in_16_bits = true, .n = {ACTIVATION_SILU, USES_BIAS, STORAGE_##x_type, STORAGE_##weight_type}}
#define STORED_GRADIENTS(type, rows, inner, columns)                                                                   \
    {.op = "linear_input_gradient", .label = #type ", " #rows " x " #columns " x " #inner,                             \
     .inputs = {STORED_VALUES("dy", rows, columns), STORED_VALUES("weight", columns, inner)}, .outputs = 1,            \
     .in_16_bits = true, .build = build_input_gradient, .reference = refer_input_gradient, .tolerance = 1e-6,          \
     .n = {0, STORAGE_##type}},                                                                                        \
    {.op = "linear_weight_gradient", .label = #type ", " #columns " x " #rows " x " #inner ", accumulated",            \
     .inputs = {STORED_VALUES("dy", rows, columns), STORED_VALUES("x", rows, inner), OP_STATE("sum", columns, inner)}, \
     .outputs = 0, .in_16_bits = true, .build = build_weight_gradient, .reference = refer_weight_gradient,             \
     .tolerance = 1e-6, .n = {1, STORAGE_##type}}
#define GRADIENTS(rows, inner, columns)                                                                                \
    {.op = "linear_input_gradient", .label = #rows " x " #columns " x " #inner,                                        \
     .inputs = {OP_INPUT("dy", rows, columns), OP_INPUT("weight", columns, inner)}, .outputs = 1,                      \
     .build = build_input_gradient, .reference = refer_input_gradient, .tolerance = 1e-6},                             \
    {.op = "linear_weight_gradient", .label = #columns " x " #rows " x " #inner,                                       \
     .inputs = {OP_INPUT("dy", rows, columns), OP_INPUT("x", rows, inner)}, .outputs = 1,                              \
     .build = build_weight_gradient, .reference = refer_weight_gradient, .tolerance = 1e-6},                           \
    {.op = "linear_weight_gradient", .label = #columns " x " #rows " x " #inner ", accumulated",                       \
     .inputs = {OP_INPUT("dy", rows, columns), OP_INPUT("x", rows, inner), OP_STATE("sum", columns, inner)},           \
     .outputs = 0, .build = build_weight_gradient, .reference = refer_weight_gradient, .tolerance = 1e-6, .n = {1}},   \
    {.op = "column_sum", .label = #rows " x " #columns, .inputs = {OP_INPUT("dy", rows, columns)}, .outputs = 1,       \
     .build = build_column_sum, .reference = refer_column_sum, .tolerance = 1e-6},                                     \
    {.op = "column_sum", .label = #rows " x " #columns ", accumulated",                                                \
     .inputs = {OP_INPUT("dy", rows, columns), OP_STATE("sum", columns)}, .outputs = 0,                                \
     .build = build_column_sum, .reference = refer_column_sum, .tolerance = 1e-6, .n = {1}}

static const op_row linear_rows[] = {
    PLAIN(1, 1, 1),
    PLAIN(1, 13, 7),
    PLAIN(2, 8, 16),
    PLAIN(13, 127, 1),
    PLAIN(63, 9, 17),
    PLAIN(64, 16, 64),
    PLAIN(65, 24, 33),
    PLAIN(127, 13, 127),
    PLAIN(130, 40, 72),
    LINEAR("bias, SiLU", ACTIVATION_SILU, USES_BIAS, OP_GRADIENT("x", 13, 24), OP_GRADIENT("weight", 20, 24), OP_GRADIENT("bias", 20)),
    LINEAR("bias, GELU", ACTIVATION_GELU_TANH, USES_BIAS, OP_GRADIENT("x", 3, 5, 13), OP_GRADIENT("weight", 37, 13), OP_GRADIENT("bias", 37)),
    LINEAR("bias, gate of 3 images, residual", 0, USES_BIAS | USES_GATE | USES_RESIDUAL, OP_GRADIENT("x", 3, 25, 16),
           OP_GRADIENT("weight", 19, 16), OP_GRADIENT("bias", 19), OP_GRADIENT("gate", 3, 19), OP_GRADIENT("residual", 3, 25, 19)),
    LINEAR("GELU under a gate", ACTIVATION_GELU_TANH, USES_GATE, OP_GRADIENT("x", 2, 7, 11), OP_GRADIENT("weight", 18, 11),
           OP_GRADIENT("gate", 2, 18)),
    LINEAR("bias, a residual repeated for each image", 0, USES_BIAS | REPEATED, OP_GRADIENT("x", 5, 14, 12),
           OP_GRADIENT("weight", 24, 12), OP_GRADIENT("bias", 24), OP_INPUT("table", 14, 24)),
    STORED(F32, F16, 1, 1, 1),
    STORED(F32, F16, 65, 33, 127),
    STORED_WITHIN(F16, F16, 65, 33, 127, 1e-3),
    STORED(F32, BF16, 65, 33, 127),
    STORED_WITHIN(BF16, BF16, 65, 33, 127, 8e-3),
    STORED_WITHIN(F16, F16, 13, 24, 7, 1e-3),
    STORED_GRADIENTS(F16, 13, 24, 7),
    STORED_GRADIENTS(F16, 193, 70, 131),
    STORED_GRADIENTS(BF16, 65, 33, 127),
    STORED_GRADIENTS(F16, 24, 200, 40), // of whose operands one alone is worth packing
    GRADIENTS(1, 1, 1),
    GRADIENTS(13, 9, 20),
    GRADIENTS(65, 33, 127),
    GRADIENTS(200, 72, 64),
    // Operands that register tiles have packed: rows that alias, strides other than 1, 16 bits, and blocks' edges.
    PLAIN(200, 256, 200),
    STORED(F32, BF16, 200, 24, 200),
    STORED_WITHIN(F16, F16, 193, 24, 211, 1e-3),
    GRADIENTS(200, 197, 203),
    GRADIENTS(130, 7, 5), // blocks of a column sum that end within a vector
};
