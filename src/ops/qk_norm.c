// SPDX-License-Identifier: MIT
// LayerNorm with weight and bias, or RMSNorm with a weight, over the dimension of each head, of q and of k; v is passed
// on. qkv, y [N, T, 3 D]; weights and biases [D / heads].
#include "ops/common.h"
#include "ops/norm_sums.h"
#include "ops/ops.h"

extern const operator qk_norm_operator, qk_norm_gradient_operator;

typedef struct qk_norm_attributes {
    norm_kind kind;
    uint32_t heads;
    float epsilon;
} qk_norm_attributes;

static uint64_t head_dimension(const graph *g, const node *n) {
    const qk_norm_attributes *a = n->attributes;
    return input_shape(g, n, 0).dim[2] / 3 / a->heads;
}

static igvk_status check_heads(const graph *g, const node *n) {
    const qk_norm_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "qkv", STORAGE_F32));
    const tensor_shape s = input_shape(g, n, 0);
    char text[64];
    if (s.rank != 3 || a->heads == 0 || s.dim[2] % (3 * (uint64_t)a->heads) != 0)
        THROW(IGVK_ERROR_INVALID,
              "%s: input 'qkv' is %s, must be images x tokens x 3 width, width a multiple of %u heads", n->op->name,
              shape_text(text, s), a->heads);
done:
    return status;
}

// Lanes run along tokens; the workgroups' y is the head, first all of q, then k, then v.
static dispatch dispatch_heads(const lowering *l, const char *shader, const node *n) {
    const qk_norm_attributes *a = n->attributes;
    const tensor_shape s = input_shape(l->graph, n, 0);
    const uint64_t tokens = s.dim[0] * s.dim[1], dimension = head_dimension(l->graph, n);
    const uint32_t lanes = l->capabilities->vector_width;
    dispatch d = {
        .shader = shader, .local_size = lanes, .groups = {(uint32_t)((tokens + lanes - 1) / lanes), 3 * a->heads, 1}};
    dispatch_constant(&d, a->heads);
    dispatch_constant(&d, (uint32_t)dimension);
    dispatch_constant(&d, a->kind == NORM_RMS);
    dispatch_scalar(&d, (uint32_t)tokens);
    dispatch_scalar_f32(&d, (float)(1.0 / (double)dimension));
    dispatch_scalar_f32(&d, a->epsilon);
    return d;
}

// ---- forward: qkv, q_weight, k_weight; of LayerNorm q_bias, k_bias -> y
// -------------------------------------------------------

static igvk_status qk_norm_shapes(const graph *g, const node *n, output_shapes *out) {
    static const char *const names[] = {"qkv", "q_weight", "k_weight", "q_bias", "k_bias"};
    const qk_norm_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_heads(g, n));
    for (uint32_t i = 1; i < (a->kind == NORM_LAYER ? 5 : 3); i++)
        TRY(check_shape(g, n, i, names[i], STORAGE_F32, SHAPE(head_dimension(g, n))));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static igvk_status qk_norm_lower(lowering *l, const node *n) {
    dispatch d = dispatch_heads(l, "qk_norm", n);
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    for (uint32_t i = 1; i < 3; i++) // biases; RMSNorm's kernel has none, but something must be bound
        dispatch_bind(&d, n->inputs[n->input_count > 3 ? i + 2 : i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

// Outputs of the gradient's node; biases' sums are there for RMSNorm too, unread.
enum { OUT_DQKV, OUT_DQ_WEIGHT, OUT_DQ_BIAS, OUT_DK_WEIGHT, OUT_DK_BIAS };

static void qk_norm_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const qk_norm_attributes a = *(const qk_norm_attributes *)n->attributes;
    if (!tensor_is(dy[0]))
        return;
    const uint32_t input_count = n->input_count;
    const tensor_id inputs[] = {n->inputs[0], n->inputs[1], n->inputs[2], dy[0]};
    const tensor_id first = graph_node(g, &qk_norm_gradient_operator, &a, inputs, 4);
    static const uint32_t outputs[] = {OUT_DQKV, OUT_DQ_WEIGHT, OUT_DK_WEIGHT, OUT_DQ_BIAS, OUT_DK_BIAS};
    for (uint32_t i = 0; i < input_count; i++)
        if (want[i])
            dx[i] = graph_output(g, first, outputs[i]);
}

static node_cost qk_norm_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 8);
}

const operator qk_norm_operator = {
    .name = "qk_norm",
    .attributes_size = sizeof(qk_norm_attributes),
    .shapes = qk_norm_shapes,
    .gradient = qk_norm_gradient,
    .lower = qk_norm_lower,
    .cost = qk_norm_cost,
};

tensor_id op_qk_norm(graph *g, tensor_id qkv, const qk_norm_options *o) {
    const qk_norm_attributes a = {o->kind, o->heads, o->epsilon};
    const tensor_id inputs[] = {qkv, o->q_weight, o->k_weight, o->q_bias, o->k_bias};
    return graph_node(g, &qk_norm_operator, &a, inputs, o->kind == NORM_LAYER ? 5 : 3);
}

// ---- backward: qkv, q_weight, k_weight, dy -> dqkv, dq_weight, dq_bias, dk_weight, dk_bias -------------------------

static igvk_status qk_norm_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_heads(g, n));
    const tensor_shape weight = SHAPE(head_dimension(g, n));
    TRY(check_shape(g, n, 1, "q_weight", STORAGE_F32, weight));
    TRY(check_shape(g, n, 2, "k_weight", STORAGE_F32, weight));
    TRY(check_shape(g, n, 3, "dy", STORAGE_F32, input_shape(g, n, 0)));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
    for (int k = 0; k < 4; k++)
        add_output(out, STORAGE_F32, weight);
done:
    return status;
}

static igvk_status qk_norm_gradient_lower(lowering *l, const node *n) {
    const qk_norm_attributes *a = n->attributes;
    const tensor_shape s = input_shape(l->graph, n, 0);
    const uint64_t head_rows = s.dim[0] * s.dim[1] * a->heads;
    norm_rows rows = {
        .x = n->inputs[0],
        .dy = n->inputs[3],
        .columns = head_dimension(l->graph, n),
        .groups = 2,
        .rows = head_rows,
        .heads = a->heads,
        .token_stride = s.dim[2],
        .group_stride = s.dim[2] / 3,
    };
    const tensor_id mean = graph_scratch(l->graph, STORAGE_F32, SHAPE(2, head_rows));
    rows.mean = a->kind == NORM_LAYER ? mean : NO_TENSOR;
    rows.rstd = graph_scratch(l->graph, STORAGE_F32, SHAPE(2, head_rows));
    igvk_status status = IGVK_OK;

    dispatch d = dispatch_heads(l, "qk_norm_gradient", n);
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, mean, ACCESS_WRITE);
    dispatch_bind(&d, rows.rstd, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));

    tensor_id sums;
    TRY(lower_chunk_sums(l, &rows, &sums));
    for (uint32_t part = 0; part < 2; part++) // q, k
        TRY(lower_column_sums(l, &rows, sums, part, 1, n->outputs[2 + 2 * part], n->outputs[1 + 2 * part]));
done:
    return status;
}

static node_cost qk_norm_gradient_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 16);
}

const operator qk_norm_gradient_operator = {
    .name = "qk_norm_gradient",
    .attributes_size = sizeof(qk_norm_attributes),
    .shapes = qk_norm_gradient_shapes,
    .lower = qk_norm_gradient_lower,
    .cost = qk_norm_gradient_cost,
};
