// SPDX-License-Identifier: MIT
// Attention whose scores have a bias by relative position, learned in a table, over all patches of a grid or over some
// of them in an order of their own (a masked model). The kernels are attention.c's, compiled once more; backward keeps
// the gradients of scores, [N, heads, T, T], for as long as the table's gradient takes to gather them.
#include "ops/attention_kernel.h"
#include "ops/ops.h"

extern const operator attention_bias_operator, attention_bias_gradient_operator;

typedef struct bias_attributes {
    uint32_t heads, rows, columns;
    bool keep; // the log-sum-exp is output 1
} bias_attributes;

enum { BIAS_QKV, BIAS_TABLE, BIAS_ORDER, BIAS_RESTORE, BIAS_KEPT, BIAS_INPUTS };

static attention_sizes sizes_of(const graph *g, const node *n) {
    return attention_sizes_of(g, n, ((const bias_attributes *)n->attributes)->heads);
}

static bool has_order(const node *n) {
    return tensor_is(n->inputs[BIAS_ORDER]);
}

static uint64_t table_rows(const bias_attributes *a) {
    return (2ull * a->rows - 1) * (2ull * a->columns - 1) + 3;
}

static igvk_status check_bias(const graph *g, const node *n) {
    const bias_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_qkv(g, n, a->heads));
    const attention_sizes s = sizes_of(g, n);
    const uint64_t patches = (uint64_t)a->rows * a->columns;
    if (patches == 0 || s.tokens > patches || (!has_order(n) && s.tokens != patches))
        THROW(IGVK_ERROR_INVALID, "%s: %llu tokens are not the patches of a grid of %ux%u", n->op->name,
              (unsigned long long)s.tokens, a->rows, a->columns);
    TRY(check_shape(g, n, BIAS_TABLE, "table", STORAGE_F32, SHAPE(table_rows(a), a->heads)));
    if (has_order(n) != tensor_is(n->inputs[BIAS_RESTORE]) || has_order(n) != tensor_is(n->inputs[BIAS_KEPT]))
        THROW(IGVK_ERROR_INVALID, "%s: inputs 'order', 'restore' and 'kept' go together", n->op->name);
    if (has_order(n)) {
        TRY(check_shape(g, n, BIAS_ORDER, "order", STORAGE_U32, SHAPE(s.images, patches)));
        TRY(check_shape(g, n, BIAS_RESTORE, "restore", STORAGE_U32, SHAPE(s.images, patches)));
        TRY(check_shape(g, n, BIAS_KEPT, "kept", STORAGE_U32, SHAPE(1)));
    }
done:
    return status;
}

// Table, order and count, as attention_tile.glsl reads them; what is absent is bound to the table.
static void bind_bias(dispatch *d, const node *n) {
    dispatch_bind(d, n->inputs[BIAS_TABLE], ACCESS_READ);
    dispatch_bind(d, n->inputs[has_order(n) ? BIAS_ORDER : BIAS_TABLE], ACCESS_READ);
    dispatch_bind(d, n->inputs[has_order(n) ? BIAS_KEPT : BIAS_TABLE], ACCESS_READ);
}

static void add_grid(dispatch *d, const node *n) {
    const bias_attributes *a = n->attributes;
    dispatch_constant(d, a->rows);
    dispatch_constant(d, a->columns);
    dispatch_constant(d, has_order(n));
}

// ---- forward: qkv, table, order, restore, kept -> y; log-sum-exp in base 2 ------------------------------------

static igvk_status attention_bias_shapes(const graph *g, const node *n, output_shapes *out) {
    const bias_attributes *a = n->attributes;
    igvk_status status = check_bias(g, n);
    if (status != IGVK_OK)
        return status;
    const attention_sizes s = sizes_of(g, n);
    add_output(out, STORAGE_F32, SHAPE(s.images, s.tokens, s.width));
    if (a->keep)
        add_output(out, STORAGE_F32, SHAPE(s.images, s.heads, s.tokens));
    return IGVK_OK;
}

static igvk_status attention_bias_lower(lowering *l, const node *n) {
    const bias_attributes *a = n->attributes;
    const attention_sizes s = sizes_of(l->graph, n);
    dispatch d = dispatch_attention(
        l, a->keep ? ATTENTION_SHADER("attention_bias_forward_keep") : ATTENTION_SHADER("attention_bias_forward"), &s,
        2);
    add_grid(&d, n);
    dispatch_bind(&d, n->inputs[BIAS_QKV], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    if (a->keep)
        dispatch_bind(&d, n->outputs[1], ACCESS_WRITE);
    bind_bias(&d, n);
    d.bytes = elementwise_cost(l->graph, n, 0).bytes;
    return lowering_emit(l, &d);
}

static void attention_bias_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                    tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const bias_attributes a = *(const bias_attributes *)n->attributes;
    if (!tensor_is(dy[0]) || !(want[BIAS_QKV] || want[BIAS_TABLE]))
        return;
    if (!a.keep) {
        graph_fail(g, "attention_bias: its log-sum-exp was not kept: call graph_keep_for_gradient before building the "
                      "graph");
        return;
    }
    tensor_id inputs[BIAS_INPUTS + 3];
    for (uint32_t i = 0; i < BIAS_INPUTS; i++)
        inputs[i] = n->inputs[i];
    inputs[BIAS_INPUTS] = n->outputs[0];
    inputs[BIAS_INPUTS + 1] = n->outputs[1];
    inputs[BIAS_INPUTS + 2] = dy[0];
    dx[BIAS_QKV] = graph_node(g, &attention_bias_gradient_operator, &a, inputs, BIAS_INPUTS + 3);
    dx[BIAS_TABLE] = graph_output(g, dx[BIAS_QKV], 1);
}

static node_cost attention_bias_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 5.0 * (double)sizes_of(g, n).tokens);
}

const operator attention_bias_operator = {
    .name = "attention_bias",
    .attributes_size = sizeof(bias_attributes),
    .shapes = attention_bias_shapes,
    .gradient = attention_bias_gradient,
    .lower = attention_bias_lower,
    .cost = attention_bias_cost,
};

tensor_id op_attention_bias(graph *g, tensor_id qkv, const attention_bias_options *o) {
    const bias_attributes a = {o->heads, o->rows, o->columns, graph_keeps_for_gradient(g)};
    tensor_id inputs[BIAS_INPUTS] = {[BIAS_QKV] = qkv, [BIAS_TABLE] = o->table};
    if (o->order) {
        inputs[BIAS_ORDER] = o->order->order;
        inputs[BIAS_RESTORE] = o->order->restore;
        inputs[BIAS_KEPT] = o->order->kept;
    }
    return graph_node(g, &attention_bias_operator, &a, inputs, BIAS_INPUTS);
}

// ---- backward: these, y, log-sum-exp, dy -> dqkv, dtable ---------------------------------------------------------

enum { BIAS_Y = BIAS_INPUTS, BIAS_LOG_SUM_EXP, BIAS_DY };

static igvk_status attention_bias_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_bias(g, n));
    const attention_sizes s = sizes_of(g, n);
    TRY(check_shape(g, n, BIAS_Y, "y", STORAGE_F32, SHAPE(s.images, s.tokens, s.width)));
    TRY(check_shape(g, n, BIAS_LOG_SUM_EXP, "log-sum-exp", STORAGE_F32, SHAPE(s.images, s.heads, s.tokens)));
    TRY(check_shape(g, n, BIAS_DY, "dy", STORAGE_F32, SHAPE(s.images, s.tokens, s.width)));
    TRY(check_count("attention_bias_gradient", s.images * s.heads * s.tokens * s.tokens));
    add_output(out, STORAGE_F32, input_shape(g, n, BIAS_QKV));
    add_output(out, STORAGE_F32, input_shape(g, n, BIAS_TABLE));
done:
    return status;
}

static igvk_status lower_table_gradient(lowering *l, const node *n, const attention_sizes *s, tensor_id dscores) {
    const bias_attributes *a = n->attributes;
    const uint64_t count = table_rows(a) * a->heads;
    dispatch d = dispatch_invocations(l, "attention_bias_gradient", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_constant(&d, (uint32_t)s->tokens);
    dispatch_constant(&d, s->heads);
    dispatch_constant(&d, (uint32_t)s->images);
    add_grid(&d, n);
    dispatch_bind(&d, dscores, ACCESS_READ);
    dispatch_bind(&d, has_order(n) ? n->inputs[BIAS_RESTORE] : dscores, ACCESS_READ);
    dispatch_bind(&d, has_order(n) ? n->inputs[BIAS_KEPT] : dscores, ACCESS_READ);
    dispatch_bind(&d, n->outputs[1], ACCESS_WRITE);
    d.bytes = 4.0 * (double)tensor_bytes(l->graph, dscores);
    d.flops = (double)shape_elements(shape_of(l->graph, dscores));
    return lowering_emit(l, &d);
}

static igvk_status attention_bias_gradient_lower(lowering *l, const node *n) {
    const attention_sizes s = sizes_of(l->graph, n);
    const tensor_id qkv = n->inputs[BIAS_QKV], log_sum_exp = n->inputs[BIAS_LOG_SUM_EXP], dy = n->inputs[BIAS_DY];
    const tensor_id delta = graph_scratch(l->graph, STORAGE_F32, SHAPE(s.images, s.heads, s.tokens));
    const tensor_id dscores = graph_scratch(l->graph, STORAGE_F32, SHAPE(s.images, s.heads, s.tokens, s.tokens));
    const double bytes = elementwise_cost(l->graph, n, 0).bytes;
    igvk_status status = IGVK_OK;

    dispatch d = dispatch_attention(l, ATTENTION_SHADER("attention_bias_query_gradient"), &s, 3);
    add_grid(&d, n);
    const tensor_id query_inputs[] = {qkv, n->inputs[BIAS_Y], log_sum_exp, dy};
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, query_inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, delta, ACCESS_WRITE);
    bind_bias(&d, n);
    dispatch_bind(&d, dscores, ACCESS_WRITE);
    d.bytes = bytes / 2;
    TRY(lowering_emit(l, &d));

    d = dispatch_attention(l, ATTENTION_SHADER("attention_bias_key_gradient"), &s, 4);
    add_grid(&d, n);
    const tensor_id key_inputs[] = {qkv, log_sum_exp, dy, delta};
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, key_inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    bind_bias(&d, n);
    d.bytes = bytes / 2;
    TRY(lowering_emit(l, &d));
    TRY(lower_table_gradient(l, n, &s, dscores));
done:
    return status;
}

static node_cost attention_bias_gradient_cost(const graph *g, const node *n) {
    const attention_sizes s = sizes_of(g, n);
    node_cost cost = elementwise_cost(g, n, 0);
    cost.flops = 15.0 * (double)(s.images * s.width) * (double)(s.tokens * s.tokens);
    return cost;
}

const operator attention_bias_gradient_operator = {
    .name = "attention_bias_gradient",
    .attributes_size = sizeof(bias_attributes),
    .shapes = attention_bias_gradient_shapes,
    .lower = attention_bias_gradient_lower,
    .cost = attention_bias_gradient_cost,
};
