// SPDX-License-Identifier: MIT
// Attention, forward and backward, without a score matrix in memory. Shapes: qkv [N, T, 3 D] laid out [q | k | v],
// each of `heads` heads; y [N, T, D]; row statistics [N, heads, T].
//
// Forward keeps, where a gradient will be asked for, the log-sum-exp of every row of scores; backward makes the
// weights from it again, once in a pass over queries (dq, and delta = dy . y per row) and once in a pass over keys
// (dk and dv). Each pass owns what it writes: no atomics, a fixed order, nothing that depends on the batch.
#include "ops/attention_kernel.h"
#include "ops/ops.h"

#include <math.h>

extern const operator attention_operator, attention_gradient_operator;

#define MAX_HEAD_DIMENSION 128

typedef struct attention_attributes {
    uint32_t heads;
    bool keep; // the log-sum-exp is output 1
} attention_attributes;

attention_sizes attention_sizes_of(const graph *g, const node *n, uint32_t heads) {
    const tensor_shape qkv = input_shape(g, n, 0);
    const uint64_t width = qkv.dim[2] / 3;
    return (attention_sizes){qkv.dim[0], qkv.dim[1], width, heads, (uint32_t)(width / heads)};
}

static attention_sizes sizes_of(const graph *g, const node *n) {
    return attention_sizes_of(g, n, ((const attention_attributes *)n->attributes)->heads);
}

igvk_status check_qkv(const graph *g, const node *n, uint32_t heads) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "qkv", STORAGE_F32));
    const tensor_shape s = input_shape(g, n, 0);
    char text[64];
    if (s.rank != 3 || heads == 0 || s.dim[2] % (3 * (uint64_t)heads) != 0)
        THROW(IGVK_ERROR_INVALID,
              "%s: input 'qkv' is %s, must be images x tokens x 3 width, width a multiple of %u heads", n->op->name,
              shape_text(text, s), heads);
    if (s.dim[2] / 3 / heads > MAX_HEAD_DIMENSION)
        THROW(IGVK_ERROR_INVALID, "%s: heads of dimension %u, at most %d: use more heads", n->op->name,
              (uint32_t)(s.dim[2] / 3 / heads), MAX_HEAD_DIMENSION);
done:
    return status;
}

// ---- which kernel ------------------------------------------------------------------------------------------

typedef struct attention_tile {
    uint32_t lanes; // of a workgroup: one vector
    uint32_t parts; // lanes that share a row
    uint32_t rows;  // that such lanes own
    uint32_t block; // other rows in one turn of the loop
} attention_tile;

// How far the kernels are unrolled: rows that a lane owns, other rows in one turn of the loop, multiply-adds in such a
// turn, and numbers that a lane keeps, each at most. Found by measuring (docs/performance-log.md); for GPUs by what
// their compilers say (docs/kernels.md).
typedef struct unrolling {
    uint32_t rows, block, body, kept;
} unrolling;

#define CPU_KEEPS 800 // vectors for half of an L1 cache

static unrolling unrolling_for(const capabilities *c) {
    if (!c->register_tile)
        return (unrolling){2, 8, 256, 80}; // registers are what is short: a third of what most GPUs have
    if (!c->address)
        return (unrolling){4, 4, UINT32_MAX, CPU_KEEPS}; // not unrolled over the head's dimension (attention_tile.glsl)
    if (!c->lanes_broadcast)
        return (unrolling){4, 8, 512, CPU_KEEPS}; // loads are what is slow, even uniform ones
    return (unrolling){2, 8, 2304, CPU_KEEPS};    // what the instruction cache holds; beyond it three times slower
}

// The fewest lanes that keep their part of a row within `kept`, of at most 16 that divide the row and a subgroup;
// the most where none does.
static uint32_t parts_for(const capabilities *c, uint32_t dimension, uint32_t products, uint32_t kept) {
    uint32_t parts = 1;
    while (!c->register_tile && parts < 16 && products * dimension > kept * parts && dimension % (2 * parts) == 0 &&
           c->shuffle_lanes && c->shuffle_lanes % (2 * parts) == 0)
        parts *= 2;
    return parts;
}

// `products`: how many products of head rows the loop's body holds, and about how many own rows a lane keeps. From
// the shape and the device alone, never from the batch.
static attention_tile tile_for(const capabilities *c, const attention_sizes *s, uint32_t products) {
    const unrolling u = unrolling_for(c);
    attention_tile t = {.lanes = c->vector_width, .rows = u.rows};
    t.parts = parts_for(c, s->dimension, products, u.kept);
    const uint32_t row = products * s->dimension / t.parts; // what a lane keeps of one
    while (t.rows > 1 && ((t.rows - 1) * t.lanes / t.parts >= s->tokens || row * t.rows > u.kept))
        t.rows--;
    t.block = u.body / (row * t.rows);
    t.block = t.block < 1 ? 1 : t.block > u.block ? u.block : t.block;
    t.block = t.block > s->tokens ? (uint32_t)s->tokens : t.block;
    return t;
}

dispatch dispatch_attention(const lowering *l, attention_shader shader, const attention_sizes *s, uint32_t products) {
    const attention_tile t = tile_for(l->capabilities, s, products);
    const uint64_t tile = (uint64_t)t.lanes / t.parts * t.rows;
    dispatch d = {
        .shader = t.parts > 1 ? shader.split : shader.whole,
        .local_size = t.lanes,
        .counts_no_groups = true,
        .groups = {(uint32_t)((s->tokens + tile - 1) / tile), s->heads, (uint32_t)s->images},
        .flops = 2.0 * products * (double)(s->images * s->width) * (double)(s->tokens * s->tokens),
    };
    dispatch_constant(&d, (uint32_t)s->tokens);
    dispatch_constant(&d, s->heads);
    dispatch_constant(&d, s->dimension);
    dispatch_constant(&d, t.rows);
    dispatch_constant(&d, t.block);
    // In the passes of the gradient, which load more rows, gathers are a twentieth slower and compile six times faster.
    dispatch_constant(&d,
                      products == 2 && t.parts == 1 && l->capabilities->lanes_broadcast && l->capabilities->address);
    dispatch_constant(&d, t.parts);
    dispatch_scalar_f32(&d, (float)(1.4426950408889634 / sqrt((double)s->dimension))); // log2(e)
    dispatch_scalar_f32(&d, (float)(1.0 / sqrt((double)s->dimension)));
    dispatch_scalar(&d, 0); // NOTHING
    return d;
}

// ---- forward: qkv -> y; log-sum-exp in base 2 ----------------------------------------------------------------

static igvk_status attention_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_qkv(g, n, ((const attention_attributes *)n->attributes)->heads));
    const attention_attributes *a = n->attributes;
    const attention_sizes s = sizes_of(g, n);
    add_output(out, STORAGE_F32, SHAPE(s.images, s.tokens, s.width));
    if (a->keep)
        add_output(out, STORAGE_F32, SHAPE(s.images, s.heads, s.tokens));
done:
    return status;
}

static igvk_status attention_lower(lowering *l, const node *n) {
    const attention_attributes *a = n->attributes;
    const attention_sizes s = sizes_of(l->graph, n);
    dispatch d = dispatch_attention(
        l, a->keep ? ATTENTION_SHADER("attention_forward_keep") : ATTENTION_SHADER("attention_forward"), &s, 2);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    if (a->keep)
        dispatch_bind(&d, n->outputs[1], ACCESS_WRITE);
    d.bytes = elementwise_cost(l->graph, n, 0).bytes;
    return lowering_emit(l, &d);
}

static void attention_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const attention_attributes *a = n->attributes;
    if (!want[0] || !tensor_is(dy[0]))
        return;
    if (!a->keep) {
        graph_fail(g,
                   "attention: its log-sum-exp was not kept: call graph_keep_for_gradient before building the graph");
        return;
    }
    const tensor_id inputs[] = {n->inputs[0], n->outputs[0], n->outputs[1], dy[0]};
    const attention_attributes same = *a;
    dx[0] = graph_node(g, &attention_gradient_operator, &same, inputs, 4);
}

static node_cost attention_cost(const graph *g, const node *n) {
    const attention_sizes s = sizes_of(g, n);
    return elementwise_cost(g, n, 4.0 * (double)s.tokens);
}

const operator attention_operator = {
    .name = "attention",
    .attributes_size = sizeof(attention_attributes),
    .shapes = attention_shapes,
    .gradient = attention_gradient,
    .lower = attention_lower,
    .cost = attention_cost,
};

tensor_id op_attention(graph *g, tensor_id qkv, uint32_t heads) {
    const attention_attributes a = {heads, graph_keeps_for_gradient(g)};
    return graph_node(g, &attention_operator, &a, &qkv, 1);
}

// ---- backward: qkv, y, log-sum-exp, dy -> dqkv -----------------------------------------------------------------

static igvk_status attention_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_qkv(g, n, ((const attention_attributes *)n->attributes)->heads));
    const attention_sizes s = sizes_of(g, n);
    TRY(check_shape(g, n, 1, "y", STORAGE_F32, SHAPE(s.images, s.tokens, s.width)));
    TRY(check_shape(g, n, 2, "log-sum-exp", STORAGE_F32, SHAPE(s.images, s.heads, s.tokens)));
    TRY(check_shape(g, n, 3, "dy", STORAGE_F32, SHAPE(s.images, s.tokens, s.width)));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static igvk_status attention_gradient_lower(lowering *l, const node *n) {
    const attention_sizes s = sizes_of(l->graph, n);
    const tensor_id qkv = n->inputs[0], y = n->inputs[1], log_sum_exp = n->inputs[2], dy = n->inputs[3];
    const tensor_id delta = graph_scratch(l->graph, STORAGE_F32, SHAPE(s.images, s.heads, s.tokens));
    const double bytes = elementwise_cost(l->graph, n, 0).bytes;
    igvk_status status = IGVK_OK;

    dispatch d = dispatch_attention(l, ATTENTION_SHADER("attention_query_gradient"), &s, 3);
    const tensor_id query_inputs[] = {qkv, y, log_sum_exp, dy};
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, query_inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, delta, ACCESS_WRITE);
    d.bytes = bytes / 2;
    TRY(lowering_emit(l, &d));

    d = dispatch_attention(l, ATTENTION_SHADER("attention_key_gradient"), &s, 4);
    const tensor_id key_inputs[] = {qkv, log_sum_exp, dy, delta};
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, key_inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    d.bytes = bytes / 2;
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static node_cost attention_gradient_cost(const graph *g, const node *n) {
    const attention_sizes s = sizes_of(g, n);
    node_cost cost = elementwise_cost(g, n, 0);
    cost.flops = 14.0 * (double)(s.images * s.width) * (double)(s.tokens * s.tokens);
    return cost;
}

const operator attention_gradient_operator = {
    .name = "attention_gradient",
    .attributes_size = sizeof(attention_attributes),
    .shapes = attention_gradient_shapes,
    .lower = attention_gradient_lower,
    .cost = attention_gradient_cost,
};
