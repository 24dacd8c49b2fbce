// SPDX-License-Identifier: MIT
// Rows of elementwise.c, columns.c, patch.c and embedding.c.
#include "ops/op_test.h"

#include <math.h>

// ---- activations in f64 ------------------------------------------------------------------------------------

static double silu_of(double x) { return x / (1 + exp(-x)); }
static double gelu_of(double x) {
    const double pi = 3.14159265358979323846;
    return 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
}
static double activation_of(uint32_t kind, double x) { return kind == ACTIVATION_SILU ? silu_of(x) : gelu_of(x); }
static double activation_slope(uint32_t kind, double x) {
    const double h = 1e-5 * fmax(1, fabs(x));
    return (activation_of(kind, x + h) - activation_of(kind, x - h)) / (2 * h);
}

// n[0]: the kind; n[1]: on a copy, in place
static void build_activation(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_activation(g, row->n[1] ? op_copy(g, in[0]) : in[0], (activation_kind)row->n[0]);
}

static void refer_activation(const op_row *row, const op_value *in, op_value *out) {
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = activation_of(row->n[0], in[0].v[i]);
}

static void build_activation_gradient(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_activation_gradient(g, in[0], row->n[1] ? op_copy(g, in[1]) : in[1], (activation_kind)row->n[0]);
}

static void refer_activation_gradient(const op_row *row, const op_value *in, op_value *out) {
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[1].v[i] * activation_slope(row->n[0], in[0].v[i]);
}

// n[0]: in place
static void build_add(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_add(g, row->n[0] ? op_copy(g, in[0]) : in[0], in[1]);
}

static void refer_add(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[0].v[i] + in[1].v[i];
}

// graph_accumulate: state + 2 value overwrites the state, through the add operator.
static void build_accumulate(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row, (void)out;
    graph_accumulate(g, op_add(g, in[0], in[0]), in[1]);
}

static void refer_accumulate(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[1].v[i] + 2 * in[0].v[i];
}

static void build_fill(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_add(g, in[0], op_fill(g, shape_of(g, in[0]), (float)row->x[0]));
}

static void refer_fill(const op_row *row, const op_value *in, op_value *out) {
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[0].v[i] + (double)(float)row->x[0];
}

static void build_gate_gradient(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_gate_gradient(g, row->n[0] ? op_copy(g, in[0]) : in[0], in[1], in[2]);
    out[1] = graph_output(g, out[0], 1);
}

static void refer_gate_gradient(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t width = in[1].shape.dim[1], rows = in[0].count / in[1].count;
    for (uint64_t i = 0; i < in[1].count; i++)
        out[1].v[i] = 0;
    for (uint64_t i = 0; i < in[0].count; i++) {
        const uint64_t column = i / width / rows * width + i % width;
        out[0].v[i] = in[0].v[i] * in[1].v[column];
        out[1].v[column] += in[0].v[i] * in[2].v[i];
    }
}

// ---- columns -------------------------------------------------------------------------------------------------

// n[0]: parts; every other output is left unused where n[1], so that the gradient lacks some
static void build_split(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    tensor_id first = op_split_columns(g, in[0], row->n[0]);
    for (uint32_t k = 0; k < row->outputs; k++)
        out[k] = graph_output(g, first, k * (1 + row->n[1]));
}

static void refer_split(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = out[0].shape.dim[1];
    for (uint32_t k = 0; k < row->outputs; k++)
        for (uint64_t i = 0; i < out[k].count; i++)
            out[k].v[i] = in[0].v[(i / width * row->n[0] + k * (1 + row->n[1])) * width + i % width];
}

static void build_join(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_join_columns(g, in, row->n[0]);
}

static void refer_join(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[1];
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[i / width % row->n[0]].v[i / width / row->n[0] * width + i % width];
}

static void build_repeat(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_repeat(g, in[0], row->n[0]);
}

static void refer_repeat(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[0].v[i % in[0].count];
}

// ---- patches: n[0] patch, n[1] order ----------------------------------------------------------------------------

static void build_patchify(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_patchify(g, in[0], row->n[0], (patch_order)row->n[1]);
}

// where of a token tensor the image's element lies
static uint64_t token_place(const op_row *row, tensor_shape image, uint64_t n, uint64_t c, uint64_t y, uint64_t x) {
    const uint64_t p = row->n[0], channels = image.dim[1], across = image.dim[3] / p, down = image.dim[2] / p;
    const uint64_t token = (n * down + y / p) * across + x / p;
    const uint64_t inside = row->n[1] == PATCH_CHANNEL_LAST ? (y % p * p + x % p) * channels + c
                                                            : (c * p + y % p) * p + x % p;
    return token * channels * p * p + inside;
}

static void refer_patch(const op_row *row, tensor_shape image, double *pixels, double *tokens, bool to_tokens) {
    for (uint64_t i = 0; i < shape_elements(image); i++) {
        const uint64_t x = i % image.dim[3], y = i / image.dim[3] % image.dim[2];
        const uint64_t plane = i / image.dim[3] / image.dim[2];
        double *at = &tokens[token_place(row, image, plane / image.dim[1], plane % image.dim[1], y, x)];
        *(to_tokens ? at : &pixels[i]) = to_tokens ? pixels[i] : *at;
    }
}

static void refer_patchify(const op_row *row, const op_value *in, op_value *out) {
    refer_patch(row, in[0].shape, in[0].v, out[0].v, true);
}

// n[2], n[3], n[4]: channels, height, width
static void build_unpatchify(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_unpatchify(g, in[0], row->n[0], row->n[2], row->n[3], row->n[4], (patch_order)row->n[1]);
}

static void refer_unpatchify(const op_row *row, const op_value *in, op_value *out) {
    refer_patch(row, out[0].shape, out[0].v, in[0].v, false);
}

// ---- embeddings ------------------------------------------------------------------------------------------------

static void build_timestep_features(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_timestep_features(g, in[0], row->n[0]);
}

// Frequencies are f32 with PyTorch's roundings: -ln(10000) k, divided, exp.
static void refer_timestep_features(const op_row *row, const op_value *in, op_value *out) {
    const uint32_t half = row->n[0] / 2;
    for (uint64_t i = 0; i < in[0].count * half; i++) {
        const uint32_t k = (uint32_t)(i % half);
        const float exponent = (float)(-9.210340371976184f * (float)k) / (float)half;
        const double frequency = (double)(float)exp((double)exponent), angle = in[0].v[i / half] * frequency;
        out[0].v[i / half * 2 * half + k] = cos(angle);
        out[0].v[i / half * 2 * half + half + k] = sin(angle);
    }
}

static void build_embedding(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_embedding(g, in[0], in[1]);
}

static void refer_embedding(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t rows = in[1].shape.dim[0], width = in[1].shape.dim[1];
    for (uint64_t i = 0; i < out[0].count; i++) {
        const uint64_t label = (uint64_t)in[0].v[i / width];
        out[0].v[i] = in[1].v[(label < rows ? label : rows - 1) * width + i % width];
    }
}

// The table's gradient, for dy = 2 x, added to what the state holds.
static void build_embedding_accumulate(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row, (void)out;
    tensor_id y = op_embedding(g, in[0], in[2]), dy = op_add(g, in[1], in[1]), gradient;
    if (graph_gradient(g, &y, &dy, 1, &in[2], 1, &gradient) == IGVK_OK)
        graph_accumulate(g, gradient, in[3]);
}

static void refer_embedding_accumulate(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t rows = in[2].shape.dim[0], width = in[2].shape.dim[1];
    for (uint64_t i = 0; i < in[1].count; i++) {
        const uint64_t label = (uint64_t)in[0].v[i / width];
        out[0].v[(label < rows ? label : rows - 1) * width + i % width] += 2 * in[1].v[i];
    }
}

#define ACTIVATION_ROW(text, kind_, place, ...)                                                                        \
    {.op = "activation", .label = text, .inputs = {{.name = "x", .shape = SHAPE(__VA_ARGS__), .low = -9, .high = 9,    \
                                                   .gradient = !(place)}},                                             \
     .outputs = 1, .build = build_activation, .reference = refer_activation, .tolerance = 3e-7,                        \
     .gradient_tolerance = 1e-6, .n = {kind_, place}}
#define ACTIVATION_GRADIENT_ROW(text, kind_, place, ...)                                                               \
    {.op = "activation_gradient", .label = text,                                                                       \
     .inputs = {OP_RANGE("x", -9, 9, __VA_ARGS__), OP_INPUT("dy", __VA_ARGS__)},                                       \
     .outputs = 1, .build = build_activation_gradient, .reference = refer_activation_gradient, .tolerance = 1e-6,      \
     .n = {kind_, place}}
#define SPLIT_ROW(text, rows, width, parts, skip)                                                                      \
    {.op = "split_columns", .label = text, .inputs = {OP_GRADIENT("x", rows, (width) * (parts))},                      \
     .outputs = (skip) ? ((parts) + 1) / 2 : (parts), .build = build_split, .reference = refer_split,                  \
     .tolerance = 1e-9, .gradient_tolerance = 1e-6, .n = {parts, skip}}
#define PATCH_ROWS(text, order, images, channels, height, width, p)                                                    \
    {.op = "patchify", .label = text, .inputs = {OP_GRADIENT("x", images, channels, height, width)},                   \
     .outputs = 1, .build = build_patchify, .reference = refer_patchify, .tolerance = 1e-9,                            \
     .gradient_tolerance = 1e-6, .n = {p, order}},                                                                     \
    {.op = "unpatchify", .label = text,                                                                                \
     .inputs = {OP_GRADIENT("tokens", images, (height) / (p) * ((width) / (p)), (channels) * (p) * (p))},              \
     .outputs = 1, .build = build_unpatchify, .reference = refer_unpatchify, .tolerance = 1e-9,                        \
     .gradient_tolerance = 1e-6, .n = {p, order, channels, height, width}}

static void build_swiglu(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_swiglu(g, in[0]);
}

static void refer_swiglu(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t half = in[0].shape.dim[in[0].shape.rank - 1] / 2;
    for (uint64_t i = 0; i < out[0].count; i++) {
        const double *pair = in[0].v + i / half * 2 * half + i % half;
        out[0].v[i] = pair[0] / (1 + exp(-pair[0])) * pair[half];
    }
}

#define SWIGLU_ROW(...)                                                                                                \
    {.op = "swiglu", .label = #__VA_ARGS__, .inputs = {OP_RANGE("x", -6, 6, __VA_ARGS__)}, .outputs = 1,               \
     .build = build_swiglu, .reference = refer_swiglu, .tolerance = 1e-6}

static const op_row elementwise_rows[] = {
    {.op = "add",
     .label = "1",
     .inputs = {OP_GRADIENT("a", 1), OP_GRADIENT("b", 1)},
     .outputs = 1,
     .build = build_add,
     .reference = refer_add,
     .tolerance = 1e-7,
     .gradient_tolerance = 1e-6},
    {.op = "add",
     .label = "13x127",
     .inputs = {OP_GRADIENT("a", 13, 127), OP_GRADIENT("b", 13, 127)},
     .outputs = 1,
     .build = build_add,
     .reference = refer_add,
     .tolerance = 1e-7,
     .gradient_tolerance = 1e-6},
    {.op = "add",
     .label = "in place, 255",
     .inputs = {OP_INPUT("a", 255), OP_INPUT("b", 255)},
     .outputs = 1,
     .build = build_add,
     .reference = refer_add,
     .tolerance = 1e-7,
     .n = {1}},
    {.op = "add",
     .label = "onto a state, 3x257",
     .inputs = {OP_INPUT("value", 3, 257), OP_STATE("state", 3, 257)},
     .build = build_accumulate,
     .reference = refer_accumulate,
     .tolerance = 2e-7},
    ACTIVATION_ROW("SiLU, 1", ACTIVATION_SILU, 0, 1),
    ACTIVATION_ROW("SiLU, 13x127", ACTIVATION_SILU, 0, 13, 127),
    ACTIVATION_ROW("GELU, 127x13", ACTIVATION_GELU_TANH, 0, 127, 13),
    ACTIVATION_ROW("GELU in place, 257", ACTIVATION_GELU_TANH, 1, 257),
    ACTIVATION_GRADIENT_ROW("SiLU, 13x127", ACTIVATION_SILU, 0, 13, 127),
    ACTIVATION_GRADIENT_ROW("GELU in place, 3x65", ACTIVATION_GELU_TANH, 1, 3, 65),
    {.op = "fill",
     .label = "7x31x3",
     .inputs = {OP_INPUT("x", 7, 31, 3)},
     .outputs = 1,
     .build = build_fill,
     .reference = refer_fill,
     .tolerance = 1e-7,
     .x = {-1.25e-3}},
    {.op = "gate_gradient",
     .label = "one row",
     .inputs = {OP_INPUT("dy", 1, 1), OP_INPUT("gate", 1, 1), OP_INPUT("z", 1, 1)},
     .outputs = 2,
     .build = build_gate_gradient,
     .reference = refer_gate_gradient,
     .tolerance = 3e-7},
    {.op = "gate_gradient",
     .label = "3 gates of 13 rows, width 127",
     .inputs = {OP_INPUT("dy", 39, 127), OP_INPUT("gate", 3, 127), OP_INPUT("z", 39, 127)},
     .outputs = 2,
     .build = build_gate_gradient,
     .reference = refer_gate_gradient,
     .tolerance = 5e-7},
    {.op = "gate_gradient",
     .label = "2 gates of 3 rows, in place",
     .inputs = {OP_INPUT("dy", 2, 3, 33), OP_INPUT("gate", 2, 33), OP_INPUT("z", 2, 3, 33)},
     .outputs = 2,
     .build = build_gate_gradient,
     .reference = refer_gate_gradient,
     .tolerance = 5e-7,
     .n = {1}},
    SPLIT_ROW("1x1 in 1", 1, 1, 1, 0),
    SPLIT_ROW("13 rows of 2 x 127", 13, 127, 2, 0),
    SPLIT_ROW("3 rows of 6 x 65", 3, 65, 6, 0),
    SPLIT_ROW("3 rows of 8 x 13", 3, 13, 8, 0),
    SPLIT_ROW("5 rows of 6 x 13, every other used", 5, 13, 6, 1),
    {.op = "join_columns",
     .label = "2 of 13x127",
     .inputs = {OP_GRADIENT("a", 13, 127), OP_GRADIENT("b", 13, 127)},
     .outputs = 1,
     .build = build_join,
     .reference = refer_join,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6,
     .n = {2}},
    {.op = "join_columns",
     .label = "6 of 1x3",
     .inputs = {OP_GRADIENT("a", 1, 3), OP_GRADIENT("b", 1, 3), OP_INPUT("c", 1, 3), OP_GRADIENT("d", 1, 3),
                OP_GRADIENT("e", 1, 3), OP_GRADIENT("f", 1, 3)},
     .outputs = 1,
     .build = build_join,
     .reference = refer_join,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6,
     .n = {6}},
    {.op = "join_columns",
     .label = "8 of 2x13",
     .inputs = {OP_GRADIENT("a", 2, 13), OP_INPUT("b", 2, 13), OP_INPUT("c", 2, 13), OP_INPUT("d", 2, 13),
                OP_INPUT("e", 2, 13), OP_INPUT("f", 2, 13), OP_GRADIENT("g", 2, 13), OP_GRADIENT("h", 2, 13)},
     .outputs = 1,
     .build = build_join,
     .reference = refer_join,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6,
     .n = {8}},
    {.op = "repeat",
     .label = "2 times 3x5x7",
     .inputs = {OP_GRADIENT("x", 3, 5, 7)},
     .outputs = 1,
     .build = build_repeat,
     .reference = refer_repeat,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6,
     .n = {2}},
    {.op = "repeat",
     .label = "3 times 1031 labels",
     .inputs = {OP_INTEGERS("x", 0, 1e9, 1031)},
     .outputs = 1,
     .build = build_repeat,
     .reference = refer_repeat,
     .n = {3}},
    PATCH_ROWS("1 pixel", PATCH_CHANNEL_FIRST, 1, 1, 1, 1, 1),
    PATCH_ROWS("2 of 3x6x10 by 2, channels first", PATCH_CHANNEL_FIRST, 2, 3, 6, 10, 2),
    PATCH_ROWS("2 of 3x6x10 by 2, channels last", PATCH_CHANNEL_LAST, 2, 3, 6, 10, 2),
    PATCH_ROWS("3 of 4x24x8 by 8, channels last", PATCH_CHANNEL_LAST, 3, 4, 24, 8, 8),
    {.op = "timestep_features",
     .label = "256 of times in [0, 1]",
     .inputs = {OP_RANGE("t", 0, 1, 13)},
     .outputs = 1,
     .build = build_timestep_features,
     .reference = refer_timestep_features,
     .tolerance = 3e-7,
     .n = {256}},
    // Times up to 1000: one ulp of the frequency is 6e-5 of the angle.
    {.op = "timestep_features",
     .label = "2 of one time",
     .inputs = {OP_RANGE("t", 500, 1000, 1)},
     .outputs = 1,
     .build = build_timestep_features,
     .reference = refer_timestep_features,
     .tolerance = 3e-7,
     .n = {2}},
    {.op = "timestep_features",
     .label = "256 of times up to 1000",
     .inputs = {OP_RANGE("t", 0, 1000, 7)},
     .outputs = 1,
     .build = build_timestep_features,
     .reference = refer_timestep_features,
     .tolerance = 2e-4,
     .n = {256}},
    {.op = "embedding",
     .label = "1 of 1 row",
     .inputs = {OP_INTEGERS("labels", 0, 0, 1), OP_GRADIENT("table", 1, 1)},
     .outputs = 1,
     .build = build_embedding,
     .reference = refer_embedding,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6},
    {.op = "embedding",
     .label = "13 of 11 rows, labels out of range",
     .inputs = {OP_INTEGERS("labels", 0, 14, 13), OP_GRADIENT("table", 11, 127)},
     .outputs = 1,
     .build = build_embedding,
     .reference = refer_embedding,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6},
    {.op = "embedding",
     .label = "64 of 3 rows, width 5",
     .inputs = {OP_INTEGERS("labels", 0, 2, 64), OP_GRADIENT("table", 3, 5)},
     .outputs = 1,
     .build = build_embedding,
     .reference = refer_embedding,
     .tolerance = 1e-9,
     .gradient_tolerance = 1e-6},
    {.op = "embedding_gradient",
     .label = "onto a state",
     .inputs = {OP_INTEGERS("labels", 0, 12, 9), OP_INPUT("x", 9, 70), OP_INPUT("table", 11, 70),
                OP_STATE("gradient", 11, 70)},
     .build = build_embedding_accumulate,
     .reference = refer_embedding_accumulate,
     .tolerance = 5e-7},
    {.op = "swiglu",
     .label = "gradients",
     .inputs = {OP_GRADIENT("x", 3, 13, 26)},
     .outputs = 1,
     .build = build_swiglu,
     .reference = refer_swiglu,
     .tolerance = 1e-6,
     .gradient_tolerance = 1e-5},
    SWIGLU_ROW(1, 2),
    SWIGLU_ROW(127, 254),
    SWIGLU_ROW(2, 65, 96),
};
