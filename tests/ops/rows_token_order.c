// SPDX-License-Identifier: MIT
// Rows of token_order.c and attention_bias.c.
#include "ops/op_test.h"

#include "core/philox.h"
#include "step_block.h"

#include <math.h>
#include <stdlib.h>

// Orders of n[1] tokens for the rows: permutations by a stride, their inverses, and how many are kept, n[0].
static uint32_t token_at(uint32_t tokens, uint64_t image, uint64_t place) {
    const uint32_t stride = tokens % 7 ? 7 : tokens % 5 ? 5 : 11;
    return (uint32_t)((place * stride + 3 * image + 1) % tokens);
}

static void fill_order(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)f32;
    for (uint64_t i = 0; i < count; i++)
        u32[i] = token_at(row->n[1], i / row->n[1], i % row->n[1]);
}

static void fill_restore(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)f32;
    for (uint64_t i = 0; i < count; i++)
        u32[i / row->n[1] * row->n[1] + token_at(row->n[1], i / row->n[1], i % row->n[1])] = (uint32_t)(i % row->n[1]);
}

static void fill_kept(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)count, (void)f32;
    u32[0] = row->n[0];
}

#define ORDER_INPUTS(images, tokens)                                                                                   \
    {.name = "order", .kind = OP_U32, .shape = SHAPE(images, tokens), .fill = fill_order},                             \
        {.name = "restore", .kind = OP_U32, .shape = SHAPE(images, tokens), .fill = fill_restore}, {                   \
        .name = "kept", .kind = OP_U32, .shape = SHAPE(1), .fill = fill_kept                                           \
    }

// ---- drawing: n[0] images, n[1] tokens, n[2] by seeds; x[0] ratio, x[1] spread ---------------------------------

static void build_draw_order(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const token_order o =
        op_draw_order(g, in[0], row->n[2] ? in[1] : NO_TENSOR, row->n[0], row->n[1], row->x[0], row->x[1]);
    out[0] = o.order;
    out[1] = o.restore;
    out[2] = o.kept;
}

static void refer_draw_order(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t run = op_step_word(&in[0], STEP_SEED_LOW) | (uint64_t)op_step_word(&in[0], STEP_SEED_HIGH) << 32;
    const uint32_t step = op_step_word(&in[0], STEP_INDEX), item = op_step_word(&in[0], STEP_ITEM), tokens = row->n[1];
    for (uint32_t n = 0; n < row->n[0]; n++)
        for (uint32_t i = 0; i < tokens; i++) {
            uint32_t place = 0;
            const uint64_t seed = row->n[2] ? in[1].words[2 * n] | (uint64_t)in[1].words[2 * n + 1] << 32 : run;
            const uint32_t s = row->n[2] ? 0 : step, m = row->n[2] ? 0 : item + n;
            const double own = random_uniform(seed, STREAM_MASK, s, m, i);
            for (uint32_t j = 0; j < tokens; j++) {
                const double other = random_uniform(seed, STREAM_MASK, s, m, j);
                place += other < own || (other == own && j < i);
            }
            out[0].v[n * tokens + place] = i;
            out[1].v[n * tokens + i] = place;
        }
    const double u = row->n[2] ? 0.5 : random_uniform(run, STREAM_MASK, step, UINT32_MAX, 0);
    out[2].v[0] = fmax(1, floor(tokens * (1 - row->x[0] - row->x[1] * u)));
}

// ---- moving and selecting: n[0] kept, n[1] tokens, n[2] most -------------------------------------------------------

static token_order order_of(const tensor_id *in) {
    return (token_order){in[0], in[1], in[2]};
}

static void build_take_tokens(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const token_order o = order_of(in + 1);
    out[0] = op_take_tokens(g, in[0], &o, row->n[2]);
}

static void refer_take_tokens(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2], tokens = row->n[1], most = row->n[2];
    for (uint64_t i = 0; i < out[0].count; i++) {
        const uint64_t image = i / width / most, place = i / width % most;
        const uint64_t from = token_at(row->n[1], image, place);
        out[0].v[i] = place < row->n[0] ? in[0].v[(image * tokens + from) * width + i % width] : 0;
    }
}

static void build_put_back(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const token_order o = order_of(in + 1);
    (void)row;
    out[0] = op_put_tokens_back(g, in[0], &o);
}

static void refer_put_back(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2], tokens = row->n[1], most = in[0].shape.dim[1];
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = 0;
    for (uint64_t image = 0; image < in[0].shape.dim[0]; image++)
        for (uint64_t place = 0; place < row->n[0]; place++)
            for (uint64_t d = 0; d < width; d++)
                out[0].v[(image * tokens + token_at(row->n[1], image, place)) * width + d] =
                    in[0].v[(image * most + place) * width + d];
}

static void build_select_tokens(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const token_order o = order_of(in + 2);
    (void)row;
    out[0] = op_select_tokens(g, in[0], in[1], &o);
}

static void refer_select_tokens(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2];
    for (uint64_t i = 0; i < out[0].count; i++) {
        const bool visible = in[3].v[i / width] < row->n[0];
        out[0].v[i] = visible ? in[0].v[i] : in[1].v[in[1].shape.rank == 1 ? i % width : i];
    }
}

// ---- attention with a bias: n[0] kept (0: without an order), n[1] patches, n[2] heads, n[3] columns
// ------------------

static void build_attention_bias(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const token_order order = order_of(in + 2);
    attention_bias_options o = {
        .heads = row->n[2], .rows = row->n[1] / row->n[3], .columns = row->n[3], .table = in[1]};
    if (row->n[0])
        o.order = &order;
    out[0] = op_attention_bias(g, in[0], &o);
    if (row->n[0]) // rows beyond the kept ones are anything, their gradients zero
        out[0] = op_put_tokens_back(g, out[0], &order);
}

// y += one query's attention; tokens are `count` patches.
static void attend_biased(const op_row *row, const op_value *in, const uint32_t *patch, uint64_t count, uint64_t image,
                          uint64_t query, uint64_t head, double *weights, double *y) {
    const uint64_t width = in[0].shape.dim[2] / 3, dimension = width / row->n[2], columns = row->n[3];
    const uint64_t rows = row->n[1] / columns;
    const double *base = in[0].v + image * in[0].shape.dim[1] * 3 * width + head * dimension;
    double largest = -INFINITY, sum = 0;
    for (uint64_t k = 0; k < count; k++) {
        const uint64_t p = patch[query], q = patch[k];
        const uint64_t at =
            (p / columns + rows - 1 - q / columns) * (2 * columns - 1) + (p % columns + columns - 1 - q % columns);
        weights[k] = 0;
        for (uint64_t d = 0; d < dimension; d++)
            weights[k] += base[query * 3 * width + d] * base[k * 3 * width + width + d];
        weights[k] = weights[k] / sqrt((double)dimension) + in[1].v[at * row->n[2] + head];
        largest = fmax(largest, weights[k]);
    }
    for (uint64_t k = 0; k < count; k++)
        sum += weights[k] = exp(weights[k] - largest);
    for (uint64_t k = 0; k < count; k++)
        for (uint64_t d = 0; d < dimension; d++)
            y[d] += weights[k] / sum * base[k * 3 * width + 2 * width + d];
}

static void refer_attention_bias(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t width = in[0].shape.dim[2] / 3, dimension = width / row->n[2],
                   count = row->n[0] ? row->n[0] : row->n[1];
    double *weights = calloc(count, sizeof *weights);
    uint32_t *patch = calloc(count, sizeof *patch);
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = 0;
    for (uint64_t image = 0; weights && patch && image < in[0].shape.dim[0]; image++) {
        for (uint64_t k = 0; k < count; k++)
            patch[k] = row->n[0] ? token_at(row->n[1], image, k) : (uint32_t)k;
        for (uint64_t query = 0; query < count; query++)
            for (uint64_t head = 0; head < row->n[2]; head++)
                attend_biased(row, in, patch, count, image, query, head, weights,
                              out[0].v + (image * row->n[1] + patch[query]) * width + head * dimension);
    }
    free(weights);
    free(patch);
}

// clang-format off
#define DRAW_ROW(text, seeds, images, tokens, ratio, spread)                                                           \
    {.op = "shuffle", .label = text, .inputs = {OP_STEPS, OP_WORDS("seeds", images, 2)}, .outputs = 3,                 \
     .build = build_draw_order, .reference = refer_draw_order, .n = {images, tokens, seeds}, .x = {ratio, spread}}
#define TAKE_ROW(text, kept, most, images, tokens, width)                                                              \
    {.op = "move_tokens", .label = text, .inputs = {OP_GRADIENT("x", images, tokens, width), ORDER_INPUTS(images, tokens)},\
     .outputs = 1, .build = build_take_tokens, .reference = refer_take_tokens, .tolerance = 1e-9,                      \
     .gradient_tolerance = 1e-6, .n = {kept, tokens, most}}
#define PUT_BACK_ROW(text, kept, most, images, tokens, width)                                                          \
    {.op = "move_tokens", .label = text, .inputs = {OP_GRADIENT("x", images, most, width), ORDER_INPUTS(images, tokens)},\
     .outputs = 1, .build = build_put_back, .reference = refer_put_back, .tolerance = 1e-9,                            \
     .gradient_tolerance = 1e-6, .n = {kept, tokens, most}}
#define SELECT_ROW(text, kept, images, tokens, width, ...)                                                             \
    {.op = "select_tokens", .label = text,                                                                             \
     .inputs = {OP_GRADIENT("visible", images, tokens, width), OP_GRADIENT("masked", __VA_ARGS__),                     \
                ORDER_INPUTS(images, tokens)},                                                                         \
     .outputs = 1, .build = build_select_tokens, .reference = refer_select_tokens, .tolerance = 1e-9,                  \
     .gradient_tolerance = 2e-6, .n = {kept, tokens}}
#define BIAS_ROW(text, images, rows, columns, heads, dimension)                                                        \
    {.op = "attention_bias", .label = text,                                                                            \
     .inputs = {OP_GRADIENT("qkv", images, (rows) * (columns), 3 * (heads) * (dimension)),                             \
                OP_GRADIENT("table", (2 * (rows) - 1) * (2 * (columns) - 1) + 3, heads)},                              \
     .outputs = 1, .build = build_attention_bias, .reference = refer_attention_bias, .tolerance = 2e-6,                \
     .gradient_tolerance = 2e-5, .n = {0, (rows) * (columns), heads, columns}, .only_own_kernels = (dimension) > 32}
#define MASKED_ROW(text, images, kept, most, rows, columns, heads, dimension)                                          \
    {.op = "attention_bias_gradient", .label = text,                                                                   \
     .inputs = {OP_GRADIENT("qkv", images, most, 3 * (heads) * (dimension)),                                           \
                OP_GRADIENT("table", (2 * (rows) - 1) * (2 * (columns) - 1) + 3, heads),                               \
                ORDER_INPUTS(images, (rows) * (columns))},                                                             \
     .outputs = 1, .build = build_attention_bias, .reference = refer_attention_bias, .tolerance = 2e-6,                \
     .gradient_tolerance = 2e-5, .n = {kept, (rows) * (columns), heads, columns}, .only_own_kernels = (dimension) > 32}
// clang-format on

static const op_row token_order_rows[] = {
    DRAW_ROW("one token", 0, 1, 1, 0.3, 0.2),
    DRAW_ROW("5 images of 67 tokens", 0, 5, 67, 0.3, 0.2),
    DRAW_ROW("3 images of 130 tokens by seeds", 1, 3, 130, 0.25, 0.5),
    {.op = "draw_kept",
     .label = "of 256",
     .inputs = {OP_STEPS, OP_WORDS("seeds", 2, 2)},
     .outputs = 3,
     .build = build_draw_order,
     .reference = refer_draw_order,
     .n = {2, 256, 0},
     .x = {0.3, 0.2}},
    TAKE_ROW("all of one", 1, 1, 1, 1, 1),
    TAKE_ROW("9 of 16, at most 11", 9, 11, 3, 16, 13),
    PUT_BACK_ROW("9 of 16, at most 11", 9, 11, 3, 16, 13),
    PUT_BACK_ROW("30 of 65, at most 30", 30, 30, 2, 65, 5),
    SELECT_ROW("two tensors", 9, 3, 16, 13, 3, 16, 13),
    SELECT_ROW("one token", 20, 2, 65, 7, 7),
    SELECT_ROW("two of 65", 20, 2, 65, 7, 2, 65, 7),
    BIAS_ROW("1x2, head of 1", 1, 1, 2, 1, 1),
    BIAS_ROW("2 images of 3x5, 2 heads of 7", 2, 3, 5, 2, 7),
    BIAS_ROW("8x8, head of 16", 1, 8, 8, 1, 16),
    BIAS_ROW("9x4, head of 72", 1, 9, 4, 1, 72),
    MASKED_ROW("2 images, 7 of 3x5, at most 11, 2 heads of 6", 2, 7, 11, 3, 5, 2, 6),
    MASKED_ROW("37 of 8x8, at most 44, 3 heads of 12", 2, 37, 44, 8, 8, 3, 12),
    MASKED_ROW("20 of 6x5, at most 20, head of 64", 1, 20, 20, 6, 5, 1, 64),
};
