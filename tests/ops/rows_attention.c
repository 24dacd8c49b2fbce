// SPDX-License-Identifier: MIT
// Rows of attention.c, qk_norm.c and rotary.c.
#include "ops/op_test.h"

#include <math.h>
#include <stdlib.h>

// ---- attention: n[0] heads ---------------------------------------------------------------------------------

static void build_attention(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_attention(g, in[0], row->n[0]);
}

// One query against all keys of one head; q, k, v point at the head's first token, `stride` apart.
static void attend(const double *q, const double *k, const double *v, uint64_t tokens, uint64_t stride,
                   uint64_t dimension, double *weights, double *y) {
    double largest = -INFINITY, sum = 0;
    for (uint64_t t = 0; t < tokens; t++) {
        weights[t] = 0;
        for (uint64_t d = 0; d < dimension; d++)
            weights[t] += q[d] * k[t * stride + d];
        weights[t] /= sqrt((double)dimension);
        largest = fmax(largest, weights[t]);
    }
    for (uint64_t d = 0; d < dimension; d++)
        y[d] = 0;
    for (uint64_t t = 0; t < tokens; t++) {
        const double weight = exp(weights[t] - largest);
        sum += weight;
        for (uint64_t d = 0; d < dimension; d++)
            y[d] += weight * v[t * stride + d];
    }
    for (uint64_t d = 0; d < dimension; d++)
        y[d] /= sum;
}

static void refer_attention(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t images = in[0].shape.dim[0], tokens = in[0].shape.dim[1], width = in[0].shape.dim[2] / 3;
    const uint64_t heads = row->n[0], dimension = width / heads;
    double *weights = calloc(tokens, sizeof *weights);
    for (uint64_t n = 0; weights && n < images; n++)
        for (uint64_t h = 0; h < heads; h++)
            for (uint64_t t = 0; t < tokens; t++) {
                const double *head = in[0].v + n * tokens * 3 * width + h * dimension;
                attend(head + t * 3 * width, head + width, head + 2 * width, tokens, 3 * width, dimension, weights,
                       out[0].v + (n * tokens + t) * width + h * dimension);
            }
    free(weights);
}

// ---- qk-norm: n[0] heads, n[1] in place, n[2] RMSNorm (no biases), x[0] epsilon ---------------------------------------------------------------------

static void build_qk_norm(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    qk_norm_options o = {.q_weight = in[1], .k_weight = in[2], .heads = row->n[0], .epsilon = (float)row->x[0]};
    o.kind = row->n[2] ? NORM_RMS : NORM_LAYER;
    if (o.kind == NORM_LAYER) {
        o.q_bias = in[3];
        o.k_bias = in[4];
    }
    out[0] = op_qk_norm(g, row->n[1] ? op_copy(g, in[0]) : in[0], &o);
}

static void normalise(const double *x, uint64_t count, bool rms, double epsilon, double *y) {
    double mean = 0, variance = 0;
    for (uint64_t i = 0; !rms && i < count; i++)
        mean += x[i] / (double)count;
    for (uint64_t i = 0; i < count; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)count;
    for (uint64_t i = 0; i < count; i++)
        y[i] = (x[i] - mean) / sqrt(variance + epsilon);
}

static void refer_qk_norm(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2] / 3, heads = row->n[0], dimension = width / heads;
    for (uint64_t first = 0; first < in[0].count; first += dimension) {
        const uint64_t part = first / width % 3; // q, k, v
        double *y = out[0].v + first;
        if (part < 2)
            normalise(in[0].v + first, dimension, row->n[2], (double)(float)row->x[0], y);
        for (uint64_t d = 0; d < dimension; d++)
            y[d] = part < 2 ? y[d] * in[1 + part].v[d] + (row->n[2] ? 0 : in[3 + part].v[d]) : in[0].v[first + d];
    }
}

// ---- rotary: n[0] heads, n[1] in place ----------------------------------------------------------------------

static void build_rotary(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_rotary(g, row->n[1] ? op_copy(g, in[0]) : in[0], in[1], in[2], row->n[0]);
}

// Tables as models have them: one angle for both of a pair.
static void fill_angles(const op_row *row, uint64_t count, float *f32, bool sine) {
    const uint64_t dimension = row->inputs[1].shape.dim[1];
    for (uint64_t i = 0; i < count; i++) {
        const double angle = (double)(i / dimension) * (0.1 + (double)(i % dimension / 2));
        f32[i] = (float)(sine ? sin(angle) : cos(angle));
    }
}
static void fill_cosines(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)u32;
    fill_angles(row, count, f32, false);
}
static void fill_sines(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)u32;
    fill_angles(row, count, f32, true);
}

static void refer_rotary(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t tokens = in[0].shape.dim[1], width = in[0].shape.dim[2] / 3, dimension = width / row->n[0];
    for (uint64_t i = 0; i < in[0].count; i += 2) {
        const uint64_t column = i % (3 * width), angle = i / (3 * width) % tokens * dimension + column % dimension;
        const bool turns = column < 2 * width;
        const double a = in[0].v[i], b = in[0].v[i + 1];
        const double c = turns ? in[1].v[angle] : 1, s = turns ? in[2].v[angle] : 0;
        out[0].v[i] = a * c - b * s;
        out[0].v[i + 1] = b * c + a * s;
    }
}

// ---- the rows ----------------------------------------------------------------------------------------------

// Larger heads are tested with the kernels of this driver and of GPUs alone: others', unrolled, compile for minutes on
// drivers they are not for.
#define LARGE_HEAD 32
// n[1]: where a NaN, n[2] where an infinity is.
static void fill_lost(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = (float)(((uint32_t)i * 2654435761u >> 16) % 257) / 128 - 1;
    if (row->n[1])
        f32[row->n[1]] = NAN;
    if (row->n[2])
        f32[row->n[2]] = INFINITY;
}

#define LOST_ROW(name, nan, infinity)                                                                                  \
    {.op = "attention", .label = name, .inputs = {OP_FILLED("qkv", fill_lost, 1, 40, 3 * 16)}, .outputs = 1,           \
     .build = build_attention, .reference = refer_attention, .tolerance = 1e-5, .n = {2, nan, infinity}}
#define ATTENTION_ROW(name, images, tokens, heads, dimension)                                                          \
    {.op = "attention", .label = name, .inputs = {OP_GRADIENT("qkv", images, tokens, 3 * (heads) * (dimension))},      \
     .outputs = 1, .build = build_attention, .reference = refer_attention, .tolerance = 2e-6,                          \
     .gradient_tolerance = 1e-5, .n = {heads}, .only_own_kernels = (dimension) > LARGE_HEAD}
// Scores far apart: one key takes nearly all.
#define SHARP_ROW(name, images, tokens, heads, dimension)                                                              \
    {.op = "attention", .label = name, .inputs = {OP_RANGE("qkv", -12, 12, images, tokens, 3 * (heads) * (dimension))},\
     .outputs = 1, .build = build_attention, .reference = refer_attention, .tolerance = 3e-5, .n = {heads}, .only_own_kernels = (dimension) > LARGE_HEAD}
#define LONG_ROW(name, images, tokens, heads, dimension)                                                               \
    {.op = "attention", .label = name, .inputs = {OP_INPUT("qkv", images, tokens, 3 * (heads) * (dimension))},         \
     .outputs = 1, .build = build_attention, .reference = refer_attention, .tolerance = 2e-6, .n = {heads}, .only_own_kernels = (dimension) > LARGE_HEAD}
#define QK_NORM_ROW(name, images, tokens, heads, dimension)                                                            \
    {.op = "qk_norm", .label = name,                                                                                   \
     .inputs = {OP_GRADIENT("qkv", images, tokens, 3 * (heads) * (dimension)), OP_GRADIENT("q_weight", dimension),     \
                OP_GRADIENT("k_weight", dimension), OP_GRADIENT("q_bias", dimension),                                  \
                OP_GRADIENT("k_bias", dimension)},                                                                     \
     .outputs = 1, .build = build_qk_norm, .reference = refer_qk_norm, .tolerance = 2e-6, .gradient_tolerance = 2e-5,  \
     .n = {heads}, .x = {1e-5}}

#define RMS_ROW(name, images, tokens, heads, dimension)                                                                \
    {.op = "qk_norm", .label = name,                                                                                   \
     .inputs = {OP_GRADIENT("qkv", images, tokens, 3 * (heads) * (dimension)), OP_GRADIENT("q_weight", dimension),     \
                OP_GRADIENT("k_weight", dimension)},                                                                   \
     .outputs = 1, .build = build_qk_norm, .reference = refer_qk_norm, .tolerance = 2e-6, .gradient_tolerance = 2e-5,  \
     .n = {heads, 0, 1}, .x = {1e-6}}
#define ROTARY_ROW(name, in_place, images, tokens, heads, dimension)                                                   \
    {.op = "rotary", .label = name,                                                                                    \
     .inputs = {OP_GRADIENT("qkv", images, tokens, 3 * (heads) * (dimension)),                                         \
                OP_FILLED("cosines", fill_cosines, tokens, dimension), OP_FILLED("sines", fill_sines, tokens, dimension)},\
     .outputs = 1, .build = build_rotary, .reference = refer_rotary, .tolerance = 3e-7, .gradient_tolerance = 1e-6,    \
     .n = {heads, in_place}}

static const op_row attention_rows[] = {
    ATTENTION_ROW("1 token, 1 head of 1", 1, 1, 1, 1),
    ATTENTION_ROW("3 images of 13 tokens, 2 heads of 12", 3, 13, 2, 12),
    ATTENTION_ROW("7 tokens, 3 heads of 7", 2, 7, 3, 7),
    ATTENTION_ROW("64 tokens, 2 heads of 16", 1, 64, 2, 16),
    ATTENTION_ROW("33 tokens, head of 64", 1, 33, 1, 64),
    ATTENTION_ROW("127 tokens, head of 72", 1, 127, 1, 72),
    ATTENTION_ROW("17 tokens, head of 128", 1, 17, 1, 128),
    ATTENTION_ROW("256 tokens, head of 12", 1, 256, 1, 12),
    // What is lost must be seen: a score that is no number may not count as a small one.
    LOST_ROW("a NaN in a query", 5 * 48 + 3, 0),
    LOST_ROW("a NaN in a key", 7 * 48 + 16 + 9, 0),
    LOST_ROW("a NaN in a value", 33 * 48 + 32 + 1, 0),
    LOST_ROW("an infinity in a query", 0, 39 * 48 + 1),
    LONG_ROW("1024 tokens, head of 16", 1, 1024, 1, 16),
    LONG_ROW("256 tokens, 2 heads of 64", 1, 256, 2, 64),
    SHARP_ROW("65 tokens far apart, head of 64", 1, 65, 1, 64),
    QK_NORM_ROW("1 token, 1 head of 2", 1, 1, 1, 2),
    QK_NORM_ROW("2 images of 13 tokens, 3 heads of 12", 2, 13, 3, 12),
    QK_NORM_ROW("127 tokens, 2 heads of 64", 1, 127, 2, 64),
    QK_NORM_ROW("9 tokens, head of 128", 1, 9, 1, 128),
    {.op = "qk_norm", .label = "17 tokens, 2 heads of 72, in place",
     .inputs = {OP_INPUT("qkv", 1, 17, 3 * 144), OP_INPUT("q_weight", 72), OP_INPUT("k_weight", 72),
                OP_INPUT("q_bias", 72), OP_INPUT("k_bias", 72)},
     .outputs = 1, .build = build_qk_norm, .reference = refer_qk_norm, .tolerance = 2e-6, .n = {2, 1}, .x = {1e-5}},
    RMS_ROW("RMSNorm, 2 images of 13 tokens, 3 heads of 12", 2, 13, 3, 12),
    RMS_ROW("RMSNorm, 31 tokens, 2 heads of 72", 1, 31, 2, 72),
    ROTARY_ROW("1 token, 1 head of 2", 0, 1, 1, 1, 2),
    ROTARY_ROW("2 images of 13 tokens, 3 heads of 12", 0, 2, 13, 3, 12),
    ROTARY_ROW("3 images of 33 tokens, 2 heads of 72, in place", 1, 3, 33, 2, 72),
};
