// SPDX-License-Identifier: MIT
// Rows of norm.c.
#include "ops/op_test.h"

#include <math.h>

enum { IN_PLACE = 1, RESIDUAL = 2, RMS = 4, SHIFT = 8, WEIGHT = 16 };

// n[0]: which of those. Inputs: x, scale, then shift and weight where there are. RESIDUAL: the input goes to the output
// as well, so that gradients of both meet in the operator's sum.
static void build_norm_modulate(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const tensor_id x = row->n[0] & IN_PLACE ? op_copy(g, in[0]) : in[0];
    norm_options o = {.kind = row->n[0] & RMS ? NORM_RMS : NORM_LAYER, .scale = in[1], .epsilon = (float)row->x[0]};
    uint32_t next = 2;
    if (row->n[0] & SHIFT)
        o.shift = in[next++];
    if (row->n[0] & WEIGHT)
        o.weight = in[next++];
    out[0] = op_norm_modulate(g, x, &o);
    if (row->n[0] & RESIDUAL)
        out[0] = op_add(g, x, out[0]);
}

static void refer_norm_modulate(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2], rows = in[0].count / width;
    const double *shift = row->n[0] & SHIFT ? in[2].v : NULL;
    const double *weight = row->n[0] & WEIGHT ? in[row->n[0] & SHIFT ? 3 : 2].v : NULL;
    for (uint64_t r = 0; r < rows; r++) {
        const double *x = in[0].v + r * width;
        const uint64_t image = r / in[0].shape.dim[1] * width;
        double mean = 0, variance = 0;
        for (uint64_t d = 0; !(row->n[0] & RMS) && d < width; d++)
            mean += x[d] / (double)width;
        for (uint64_t d = 0; d < width; d++)
            variance += (x[d] - mean) * (x[d] - mean) / (double)width;
        for (uint64_t d = 0; d < width; d++) {
            double y = (x[d] - mean) / sqrt(variance + (double)(float)row->x[0]) * (weight ? weight[d] : 1);
            y = y * (1 + in[1].v[image + d]) + (shift ? shift[image + d] : 0);
            out[0].v[r * width + d] = y + (row->n[0] & RESIDUAL ? x[d] : 0);
        }
    }
}

#define NORM(name, flags, ...)                                                                                         \
    {.op = "norm_modulate", .label = name, .inputs = {__VA_ARGS__}, .outputs = 1, .build = build_norm_modulate,                 \
     .reference = refer_norm_modulate, .tolerance = 1e-6, .gradient_tolerance = 2e-5, .n = {flags}, .x = {1e-6}}
#define LAYER_NORM_ROW(name, flags, images, tokens, width)                                                             \
    NORM(name, SHIFT | (flags), OP_GRADIENT("x", images, tokens, width), OP_GRADIENT("scale", images, width),          \
         OP_GRADIENT("shift", images, width))
#define RMS_NORM_ROW(name, flags, images, tokens, width)                                                               \
    NORM(name, RMS | SHIFT | WEIGHT | (flags), OP_GRADIENT("x", images, tokens, width),                                \
         OP_GRADIENT("scale", images, width), OP_GRADIENT("shift", images, width), OP_GRADIENT("weight", width))

static const op_row norm_rows[] = {
    LAYER_NORM_ROW("1 column", 0, 1, 1, 1),
    LAYER_NORM_ROW("2 images of 3 tokens, 13 columns", 0, 2, 3, 13),
    LAYER_NORM_ROW("3 images of 127 tokens, 24 columns", 0, 3, 127, 24),
    LAYER_NORM_ROW("2 images of 65 tokens, 127 columns, residual", RESIDUAL, 2, 65, 127),
    LAYER_NORM_ROW("3 tokens, 768 columns", 0, 1, 3, 768),
    NORM("64 tokens, 768 columns, in place", IN_PLACE | SHIFT, OP_INPUT("x", 1, 64, 768), OP_INPUT("scale", 1, 768),
         OP_INPUT("shift", 1, 768)),
    LAYER_NORM_ROW("2 images of 5 tokens, 1152 columns, residual", RESIDUAL, 2, 5, 1152),
    // A mean far above the deviations, which are then off by one rounding of x.
    {.op = "norm_modulate", .label = "mean 30 times the deviation",
     .inputs = {OP_RANGE("x", 28, 32, 2, 7, 384), OP_INPUT("scale", 2, 384), OP_INPUT("shift", 2, 384)},
     .outputs = 1, .build = build_norm_modulate, .reference = refer_norm_modulate, .tolerance = 3e-6, .n = {SHIFT}, .x = {1e-6}},
    NORM("no shift, 3 images of 17 tokens, 40 columns", 0, OP_GRADIENT("x", 3, 17, 40), OP_GRADIENT("scale", 3, 40)),
    NORM("RMSNorm, no shift, 2 images of 9 tokens, 13 columns", RMS | WEIGHT, OP_GRADIENT("x", 2, 9, 13),
         OP_GRADIENT("scale", 2, 13), OP_GRADIENT("weight", 13)),
    // Of one column the gradient of x is nothing but cancellation.
    NORM("RMSNorm, 1 column", RMS | WEIGHT, OP_INPUT("x", 1, 1, 1), OP_GRADIENT("scale", 1, 1), OP_GRADIENT("weight", 1)),
    RMS_NORM_ROW("RMSNorm, 2 columns", 0, 1, 1, 2),
    RMS_NORM_ROW("RMSNorm, 3 images of 127 tokens, 24 columns, residual", RESIDUAL, 3, 127, 24),
    RMS_NORM_ROW("RMSNorm, 2 images of 5 tokens, 1152 columns", 0, 2, 5, 1152),
};
