// SPDX-License-Identifier: MIT
// Rows of what autoencoders are made of: convolution.c, group_norm.c and spatial_attention.c.
#include "ops/op_test.h"

#include <math.h>
#include <stdlib.h>

// ---- convolution: n[0] flags, n[1] stride, n[2] and n[3] padding before and after ----------------------------

enum { CONVOLUTION_BIAS = 1, CONVOLUTION_RESIDUAL = 2, CONVOLUTION_IN_PLACE = 4, CONVOLUTION_UPSAMPLE = 8 };

static void build_convolution(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    convolution_options o = {.stride = row->n[1],
                             .pad_before = row->n[2],
                             .pad_after = row->n[3],
                             .upsample = (row->n[0] & CONVOLUTION_UPSAMPLE) != 0};
    uint32_t next = 2;
    if (row->n[0] & CONVOLUTION_BIAS)
        o.bias = in[next++];
    if (row->n[0] & CONVOLUTION_RESIDUAL)
        o.residual = row->n[0] & CONVOLUTION_IN_PLACE ? op_copy(g, in[next]) : in[next];
    out[0] = op_convolution(g, in[0], in[1], &o);
}

// x's pixel at row, column of the padded and upsampled image.
static double convolution_pixel(const op_row *row, const double *plane, tensor_shape x, uint64_t r, uint64_t c) {
    const uint64_t up = (row->n[0] & CONVOLUTION_UPSAMPLE) != 0, before = row->n[2];
    if (r < before || c < before || (r - before) >> up >= x.dim[2] || (c - before) >> up >= x.dim[3])
        return 0;
    return plane[((r - before) >> up) * x.dim[3] + ((c - before) >> up)];
}

static double convolution_at(const op_row *row, const op_value *in, uint64_t image, uint64_t o, uint64_t r,
                             uint64_t c) {
    const tensor_shape x = in[0].shape, w = in[1].shape;
    double sum = row->n[0] & CONVOLUTION_BIAS ? in[2].v[o] : 0;
    for (uint64_t k = 0; k < x.dim[1]; k++)
        for (uint64_t i = 0; i < w.dim[2]; i++)
            for (uint64_t j = 0; j < w.dim[3]; j++)
                sum += in[1].v[((o * w.dim[1] + k) * w.dim[2] + i) * w.dim[3] + j] *
                       convolution_pixel(row, in[0].v + (image * x.dim[1] + k) * x.dim[2] * x.dim[3], x,
                                         r * row->n[1] + i, c * row->n[1] + j);
    return sum;
}

static void refer_convolution(const op_row *row, const op_value *in, op_value *out) {
    const tensor_shape y = out[0].shape;
    const double *residual = row->n[0] & CONVOLUTION_BIAS ? in[3].v : in[2].v;
    for (uint64_t i = 0; i < out[0].count; i++) {
        const uint64_t c = i % y.dim[3], r = i / y.dim[3] % y.dim[2], o = i / y.dim[3] / y.dim[2] % y.dim[1];
        out[0].v[i] = convolution_at(row, in, i / y.dim[3] / y.dim[2] / y.dim[1], o, r, c);
        if (row->n[0] & CONVOLUTION_RESIDUAL)
            out[0].v[i] += residual[i];
    }
}

#define CONVOLUTION(name, flags, stride, before, after, ...)                                                           \
    {                                                                                                                  \
        .op = "convolution", .label = name, .inputs = {__VA_ARGS__}, .outputs = 1, .build = build_convolution,         \
        .reference = refer_convolution, .tolerance = 3e-6, .n = {                                                      \
            flags,                                                                                                     \
            stride,                                                                                                    \
            before,                                                                                                    \
            after                                                                                                      \
        }                                                                                                              \
    }

// ---- group norm: n[0] groups, n[1] SiLU, n[2] in place --------------------------------------------------------

static void build_group_norm(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const group_norm_options o = {
        .weight = in[1], .bias = in[2], .groups = row->n[0], .epsilon = 1e-6f, .silu = row->n[1] != 0};
    out[0] = op_group_norm(g, row->n[2] ? op_copy(g, in[0]) : in[0], &o);
}

static void refer_group_norm(const op_row *row, const op_value *in, op_value *out) {
    const tensor_shape x = in[0].shape;
    const uint64_t pixels = x.dim[2] * x.dim[3], count = x.dim[1] / row->n[0] * pixels;
    for (uint64_t group = 0; group < in[0].count / count; group++) {
        const double *v = in[0].v + group * count;
        double mean = 0, variance = 0;
        for (uint64_t i = 0; i < count; i++)
            mean += v[i] / (double)count;
        for (uint64_t i = 0; i < count; i++)
            variance += (v[i] - mean) * (v[i] - mean) / (double)count;
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t channel = (group * count + i) / pixels % x.dim[1];
            const double y = (v[i] - mean) / sqrt(variance + (double)1e-6f) * in[1].v[channel] + in[2].v[channel];
            out[0].v[group * count + i] = row->n[1] ? y / (1 + exp(-y)) : y;
        }
    }
}

#define GROUP_NORM(name, groups, silu, in_place, x, channels)                                                          \
    {                                                                                                                  \
        .op = "group_norm", .label = name, .inputs = {x, OP_INPUT("weight", channels), OP_INPUT("bias", channels)},    \
        .outputs = 1, .build = build_group_norm, .reference = refer_group_norm, .tolerance = 3e-6, .n = {              \
            groups,                                                                                                    \
            silu,                                                                                                      \
            in_place                                                                                                   \
        }                                                                                                              \
    }

// ---- spatial attention ----------------------------------------------------------------------------------------

static void build_spatial_attention(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_spatial_attention(g, in[0], in[1], in[2]);
}

// One pixel of q against all of k, in one image.
static void attend_pixel(const double *q, const double *k, const double *v, uint64_t channels, uint64_t tokens,
                         double *weights, double *y) {
    double largest = -INFINITY, sum = 0;
    for (uint64_t j = 0; j < tokens; j++) {
        weights[j] = 0;
        for (uint64_t c = 0; c < channels; c++)
            weights[j] += q[c * tokens] * k[c * tokens + j] / sqrt((double)channels);
        largest = fmax(largest, weights[j]);
    }
    for (uint64_t j = 0; j < tokens; j++)
        sum += weights[j] = exp(weights[j] - largest);
    for (uint64_t c = 0; c < channels; c++) {
        y[c * tokens] = 0;
        for (uint64_t j = 0; j < tokens; j++)
            y[c * tokens] += weights[j] / sum * v[c * tokens + j];
    }
}

static void refer_spatial_attention(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t channels = in[0].shape.dim[1], tokens = in[0].shape.dim[2] * in[0].shape.dim[3];
    double *weights = calloc(tokens, sizeof *weights);
    for (uint64_t image = 0; weights && image < in[0].shape.dim[0]; image++)
        for (uint64_t i = 0; i < tokens; i++) {
            const uint64_t at = image * channels * tokens;
            attend_pixel(in[0].v + at + i, in[1].v + at, in[2].v + at, channels, tokens, weights, out[0].v + at + i);
        }
    free(weights);
}

#define SPATIAL_ATTENTION(name, range, ...)                                                                            \
    {                                                                                                                  \
        .op = "spatial_attention", .label = name,                                                                      \
        .inputs = {OP_RANGE("q", -(range), range, __VA_ARGS__), OP_INPUT("k", __VA_ARGS__),                            \
                   OP_INPUT("v", __VA_ARGS__)},                                                                        \
        .outputs = 1, .build = build_spatial_attention, .reference = refer_spatial_attention, .tolerance = 5e-6,       \
        .only_own_kernels = true /* its products are rows of linear */                                                 \
    }

static const op_row convolution_rows[] = {
    CONVOLUTION("1x1, one pixel", CONVOLUTION_BIAS, 1, 0, 0, OP_INPUT("x", 1, 1, 1, 1), OP_INPUT("w", 1, 1, 1, 1),
                OP_INPUT("bias", 1)),
    CONVOLUTION("1x1, 2 images of 13 channels, 5x7, residual in place",
                CONVOLUTION_BIAS | CONVOLUTION_RESIDUAL | CONVOLUTION_IN_PLACE, 1, 0, 0, OP_INPUT("x", 2, 13, 5, 7),
                OP_INPUT("w", 67, 13, 1, 1), OP_INPUT("bias", 67), OP_INPUT("residual", 2, 67, 5, 7)),
    CONVOLUTION("1x1, 64 channels, 13x11, no bias, residual", CONVOLUTION_RESIDUAL, 1, 0, 0,
                OP_INPUT("x", 1, 64, 13, 11), OP_INPUT("w", 32, 64, 1, 1), OP_INPUT("residual", 1, 32, 13, 11)),
    CONVOLUTION("3x3, 3 channels, one pixel", CONVOLUTION_BIAS, 1, 1, 1, OP_INPUT("x", 1, 3, 1, 1),
                OP_INPUT("w", 5, 3, 3, 3), OP_INPUT("bias", 5)),
    CONVOLUTION("3x3, 2 images of 3 channels, 13x17", CONVOLUTION_BIAS, 1, 1, 1, OP_INPUT("x", 2, 3, 13, 17),
                OP_INPUT("w", 67, 3, 3, 3), OP_INPUT("bias", 67)),
    CONVOLUTION("3x3, 128 channels, 9x31, residual", CONVOLUTION_BIAS | CONVOLUTION_RESIDUAL, 1, 1, 1,
                OP_INPUT("x", 1, 128, 9, 31), OP_INPUT("w", 16, 128, 3, 3), OP_INPUT("bias", 16),
                OP_INPUT("residual", 1, 16, 9, 31)),
    CONVOLUTION("3x3 to 3 channels, 16x24", CONVOLUTION_BIAS, 1, 1, 1, OP_INPUT("x", 1, 40, 16, 24),
                OP_INPUT("w", 3, 40, 3, 3), OP_INPUT("bias", 3)),
    CONVOLUTION("3x3, no padding, 8x9", CONVOLUTION_BIAS, 1, 0, 0, OP_INPUT("x", 1, 6, 8, 9), OP_INPUT("w", 9, 6, 3, 3),
                OP_INPUT("bias", 9)),
    CONVOLUTION("stride 2, padding below and right, 18x22", CONVOLUTION_BIAS, 2, 0, 1, OP_INPUT("x", 1, 32, 18, 22),
                OP_INPUT("w", 8, 32, 3, 3), OP_INPUT("bias", 8)),
    CONVOLUTION("stride 2, padding below and right, 2 images of 9x11", CONVOLUTION_BIAS, 2, 0, 1,
                OP_INPUT("x", 2, 5, 9, 11), OP_INPUT("w", 7, 5, 3, 3), OP_INPUT("bias", 7)),
    CONVOLUTION("stride 2, padding above and left, 7x6", CONVOLUTION_BIAS, 2, 1, 0, OP_INPUT("x", 1, 5, 7, 6),
                OP_INPUT("w", 7, 5, 3, 3), OP_INPUT("bias", 7)),
    CONVOLUTION("upsampled, 2 images of 7x13", CONVOLUTION_BIAS | CONVOLUTION_UPSAMPLE, 1, 1, 1,
                OP_INPUT("x", 2, 16, 7, 13), OP_INPUT("w", 12, 16, 3, 3), OP_INPUT("bias", 12)),
    CONVOLUTION("1x1, upsampled, stride 2", CONVOLUTION_UPSAMPLE, 2, 0, 0, OP_INPUT("x", 1, 4, 3, 5),
                OP_INPUT("w", 8, 4, 1, 1)),
    GROUP_NORM("one number", 1, 0, 0, OP_INPUT("x", 1, 1, 1, 1), 1),
    GROUP_NORM("2 images, 32 groups of 1, 5x7, SiLU", 32, 1, 0, OP_INPUT("x", 2, 32, 5, 7), 32),
    GROUP_NORM("32 groups of 4, 13x127, in place", 32, 0, 1, OP_INPUT("x", 1, 128, 13, 127), 128),
    GROUP_NORM("2 groups of 8, 67x61: several chunks, SiLU", 2, 1, 0, OP_INPUT("x", 2, 16, 67, 61), 16),
    // A mean far above the deviations, which are then off by one rounding of x.
    GROUP_NORM("mean 30 times the deviation", 4, 0, 0, OP_RANGE("x", 28, 32, 1, 8, 96, 97), 8),
    SPATIAL_ATTENTION("one pixel", 1, 1, 1, 1, 1),
    SPATIAL_ATTENTION("13 channels, 3x5", 4, 1, 13, 3, 5),
    SPATIAL_ATTENTION("2 images of 64 channels, 9x7", 4, 2, 64, 9, 7),
    SPATIAL_ATTENTION("512 channels, 8x8, sharp", 8, 1, 512, 8, 8),
    // 2080 rows of scores, of which a chunk holds 1984.
    SPATIAL_ATTENTION("32 channels, 52x40: two chunks", 4, 1, 32, 52, 40),
};
