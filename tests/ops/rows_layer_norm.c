// SPDX-License-Identifier: MIT
// Rows of layer_norm.c.
#include "ops/op_test.h"

#include <math.h>

// n[0]: in place. n[1]: the input goes to the output as well, so that gradients of both meet in the operator's sum.
static void build_layer_norm(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const tensor_id x = row->n[0] ? op_copy(g, in[0]) : in[0];
    out[0] = op_layer_norm_modulate(g, x, in[1], in[2], (float)row->x[0]);
    if (row->n[1])
        out[0] = op_add(g, x, out[0]);
}

static void refer_layer_norm(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2], rows = in[0].count / width;
    for (uint64_t r = 0; r < rows; r++) {
        const double *x = in[0].v + r * width;
        const uint64_t image = r / in[0].shape.dim[1] * width;
        double mean = 0, variance = 0;
        for (uint64_t d = 0; d < width; d++)
            mean += x[d] / (double)width;
        for (uint64_t d = 0; d < width; d++)
            variance += (x[d] - mean) * (x[d] - mean) / (double)width;
        for (uint64_t d = 0; d < width; d++) {
            const double normal = (x[d] - mean) / sqrt(variance + (double)(float)row->x[0]);
            out[0].v[r * width + d] = normal * (1 + in[2].v[image + d]) + in[1].v[image + d] + (row->n[1] ? x[d] : 0);
        }
    }
}

#define LAYER_NORM_ROW(name, residual, images, tokens, width)                                                          \
    {.op = "layer_norm_modulate", .label = name,                                                                       \
     .inputs = {OP_GRADIENT("x", images, tokens, width), OP_GRADIENT("shift", images, width),                          \
                OP_GRADIENT("scale", images, width)},                                                                  \
     .outputs = 1, .build = build_layer_norm, .reference = refer_layer_norm, .tolerance = 1e-6,                        \
     .gradient_tolerance = 2e-5, .n = {0, residual}, .x = {1e-6}}

static const op_row layer_norm_rows[] = {
    LAYER_NORM_ROW("1 column", 0, 1, 1, 1),
    LAYER_NORM_ROW("2 images of 3 tokens, 13 columns", 0, 2, 3, 13),
    LAYER_NORM_ROW("3 images of 127 tokens, 24 columns", 0, 3, 127, 24),
    LAYER_NORM_ROW("2 images of 65 tokens, 127 columns, residual", 1, 2, 65, 127),
    LAYER_NORM_ROW("3 tokens, 768 columns", 0, 1, 3, 768),
    {.op = "layer_norm_modulate", .label = "64 tokens, 768 columns, in place",
     .inputs = {OP_INPUT("x", 1, 64, 768), OP_INPUT("shift", 1, 768), OP_INPUT("scale", 1, 768)},
     .outputs = 1, .build = build_layer_norm, .reference = refer_layer_norm, .tolerance = 1e-6, .n = {1}, .x = {1e-6}},
    LAYER_NORM_ROW("2 images of 5 tokens, 1152 columns, residual", 1, 2, 5, 1152),
    // A mean far above the deviations, which are then off by one rounding of x.
    {.op = "layer_norm_modulate", .label = "mean 30 times the deviation",
     .inputs = {OP_RANGE("x", 28, 32, 2, 7, 384), OP_INPUT("shift", 2, 384), OP_INPUT("scale", 2, 384)},
     .outputs = 1, .build = build_layer_norm, .reference = refer_layer_norm, .tolerance = 3e-6, .x = {1e-6}},
};
