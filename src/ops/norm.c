// SPDX-License-Identifier: MIT
// LayerNorm or RMSNorm over the width, with a weight or none, modulated: y = norm(x) weight (1 + scale) + shift.
// x, y [N, T, D]; weight [D]; shift, scale [N, D]; statistics rstd = 1 / sqrt(mean square deviation + epsilon) and, of
// LayerNorm, mean [N, T].
#include "ops/common.h"
#include "ops/norm_sums.h"
#include "ops/ops.h"

extern const operator norm_modulate_operator, norm_modulate_gradient_operator;

typedef struct norm_attributes {
    norm_kind kind;
    float epsilon;
    bool keep; // rstd and, of LayerNorm, mean are outputs 1 and 2
} norm_attributes;

static dispatch dispatch_rows(const lowering *l, const char *shader, tensor_shape x) {
    const uint64_t rows = x.dim[0] * x.dim[1];
    dispatch d = {.shader = shader, .local_size = l->capabilities->vector_width};
    dispatch_groups_linear(&d, l->capabilities, rows, 1);
    dispatch_constant(&d, (uint32_t)x.dim[2]);
    dispatch_scalar(&d, (uint32_t)rows);
    dispatch_scalar(&d, (uint32_t)x.dim[1]);
    dispatch_scalar_f32(&d, (float)(1.0 / (double)x.dim[2]));
    return d;
}

// An input that the kernel does not touch where it is absent: something must be bound.
static void bind_or(dispatch *d, tensor_id t, tensor_id instead) {
    dispatch_bind(d, tensor_is(t) ? t : instead, ACCESS_READ);
}

// ---- forward: x, scale, shift or none, weight or none -> y; rstd; mean -------------------------------------

enum { IN_X, IN_SCALE, IN_SHIFT, IN_WEIGHT, FORWARD_INPUTS };

static igvk_status norm_modulate_shapes(const graph *g, const node *n, output_shapes *out) {
    const norm_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, IN_X, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, IN_X);
    char text[64];
    if (x.rank != 3)
        THROW(IGVK_ERROR_INVALID, "%s: input 'x' is %s, must be images x tokens x width", n->op->name,
              shape_text(text, x));
    TRY(check_shape(g, n, IN_SCALE, "scale", STORAGE_F32, SHAPE(x.dim[0], x.dim[2])));
    if (tensor_is(n->inputs[IN_SHIFT]))
        TRY(check_shape(g, n, IN_SHIFT, "shift", STORAGE_F32, SHAPE(x.dim[0], x.dim[2])));
    if (tensor_is(n->inputs[IN_WEIGHT]))
        TRY(check_shape(g, n, IN_WEIGHT, "weight", STORAGE_F32, SHAPE(x.dim[2])));
    add_output(out, STORAGE_F32, x);
    for (int k = 0; a->keep && k < (a->kind == NORM_LAYER ? 2 : 1); k++)
        add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[1]));
done:
    return status;
}

static igvk_status norm_modulate_lower(lowering *l, const node *n) {
    const norm_attributes *a = n->attributes;
    const tensor_id x = n->inputs[IN_X], shift = n->inputs[IN_SHIFT], weight = n->inputs[IN_WEIGHT];
    const char *shader = !a->keep ? "norm" : a->kind == NORM_LAYER ? "norm_keep" : "norm_keep_rstd";
    dispatch d = dispatch_rows(l, shader, input_shape(l->graph, n, IN_X));
    dispatch_scalar_f32(&d, a->epsilon);
    dispatch_constant(&d, a->kind == NORM_RMS);
    dispatch_constant(&d, tensor_is(shift));
    dispatch_constant(&d, tensor_is(weight));
    dispatch_bind(&d, x, ACCESS_READ);
    dispatch_bind(&d, n->inputs[IN_SCALE], ACCESS_READ);
    bind_or(&d, shift, n->inputs[IN_SCALE]);
    bind_or(&d, weight, n->inputs[IN_SCALE]);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    for (uint32_t k = 1; k < n->output_count; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

// Outputs of the gradient's node.
enum { OUT_DX, OUT_DSHIFT, OUT_DSCALE, OUT_DWEIGHT };

static void norm_modulate_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                   tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const norm_attributes a = *(const norm_attributes *)n->attributes;
    if (!tensor_is(dy[0]))
        return;
    if (!a.keep) {
        graph_fail(g, "norm_modulate: its row statistics were not kept: call graph_keep_for_gradient before building "
                      "the graph");
        return;
    }
    const tensor_id mean = a.kind == NORM_LAYER ? n->outputs[2] : NO_TENSOR;
    const tensor_id inputs[] = {n->inputs[IN_X], n->inputs[IN_SCALE], n->inputs[IN_WEIGHT], n->outputs[1], mean, dy[0]};
    const tensor_id first = graph_node(g, &norm_modulate_gradient_operator, NULL, inputs, 6);
    static const uint32_t outputs[FORWARD_INPUTS] = {OUT_DX, OUT_DSCALE, OUT_DSHIFT, OUT_DWEIGHT};
    for (uint32_t i = 0; i < FORWARD_INPUTS; i++)
        if (want[i])
            dx[i] = graph_output(g, first, outputs[i]);
}

static node_cost norm_modulate_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 8);
}

static tensor_id norm_modulate_again(graph *g, uint32_t node_index) {
    const node n = *node_of(g, node_index); // a copy: the node appends
    norm_attributes a = *(const norm_attributes *)n.attributes;
    a.keep = false;
    return graph_node(g, &norm_modulate_operator, &a, n.inputs, n.input_count);
}

const operator norm_modulate_operator = {
    .name = "norm_modulate",
    .attributes_size = sizeof(norm_attributes),
    .shapes = norm_modulate_shapes,
    .gradient = norm_modulate_gradient,
    .lower = norm_modulate_lower,
    .cost = norm_modulate_cost,
    .again = norm_modulate_again,
};

tensor_id op_norm_modulate(graph *g, tensor_id x, const norm_options *o) {
    const norm_attributes a = {o->kind, o->epsilon, graph_keeps_for_gradient(g)};
    const tensor_id inputs[] = {x, o->scale, o->shift, o->weight};
    return graph_node(g, &norm_modulate_operator, &a, inputs, FORWARD_INPUTS);
}

// ---- backward: x, scale, weight or none, rstd, mean or none, dy, addend [N, T, D] or none ->
//      dx + addend, dshift, dscale; dweight where there is a weight -------------------------------------------

enum { BACK_X, BACK_SCALE, BACK_WEIGHT, BACK_RSTD, BACK_MEAN, BACK_DY, BACK_ADDEND };

static igvk_status norm_modulate_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, BACK_X, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, BACK_X);
    const bool weight = tensor_is(n->inputs[BACK_WEIGHT]);
    TRY(check_shape(g, n, BACK_SCALE, "scale", STORAGE_F32, SHAPE(x.dim[0], x.dim[2])));
    if (weight)
        TRY(check_shape(g, n, BACK_WEIGHT, "weight", STORAGE_F32, SHAPE(x.dim[2])));
    TRY(check_shape(g, n, BACK_RSTD, "rstd", STORAGE_F32, SHAPE(x.dim[0], x.dim[1])));
    if (tensor_is(n->inputs[BACK_MEAN]))
        TRY(check_shape(g, n, BACK_MEAN, "mean", STORAGE_F32, SHAPE(x.dim[0], x.dim[1])));
    TRY(check_shape(g, n, BACK_DY, "dy", STORAGE_F32, x));
    add_output(out, STORAGE_F32, x);
    add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[2]));
    add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[2]));
    if (weight)
        add_output(out, STORAGE_F32, SHAPE(x.dim[2]));
done:
    return status;
}

// With a weight the sums of dy xhat are neither dscale (they times the weight) nor dweight (their sum over images,
// each times 1 + scale): a further pass over N rows.
static igvk_status lower_weight_gradient(lowering *l, const node *n, tensor_id sums) {
    const tensor_shape x = input_shape(l->graph, n, BACK_X);
    dispatch d = {.shader = "norm_weight_gradient", .local_size = l->capabilities->vector_width};
    d.groups[0] = (uint32_t)((x.dim[2] + d.local_size - 1) / d.local_size);
    d.groups[1] = d.groups[2] = 1;
    dispatch_constant(&d, (uint32_t)x.dim[2]);
    dispatch_scalar(&d, (uint32_t)x.dim[0]);
    dispatch_bind(&d, sums, ACCESS_READ);
    dispatch_bind(&d, n->inputs[BACK_SCALE], ACCESS_READ);
    dispatch_bind(&d, n->inputs[BACK_WEIGHT], ACCESS_READ);
    dispatch_bind(&d, n->outputs[OUT_DSCALE], ACCESS_WRITE);
    dispatch_bind(&d, n->outputs[OUT_DWEIGHT], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static igvk_status lower_sums(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, BACK_X);
    const norm_rows rows = {
        .x = n->inputs[BACK_X],
        .dy = n->inputs[BACK_DY],
        .mean = n->inputs[BACK_MEAN],
        .rstd = n->inputs[BACK_RSTD],
        .columns = x.dim[2],
        .groups = x.dim[0],
        .rows = x.dim[1],
        .heads = 1,
        .token_stride = x.dim[2],
        .group_stride = x.dim[1] * x.dim[2],
    };
    const bool weight = tensor_is(n->inputs[BACK_WEIGHT]);
    const tensor_id products =
        weight ? graph_scratch(l->graph, STORAGE_F32, SHAPE(x.dim[0], x.dim[2])) : n->outputs[OUT_DSCALE];
    igvk_status status = IGVK_OK;
    tensor_id sums;
    TRY(lower_chunk_sums(l, &rows, &sums));
    TRY(lower_column_sums(l, &rows, sums, 0, (uint32_t)x.dim[0], n->outputs[OUT_DSHIFT], products));
    if (weight)
        TRY(lower_weight_gradient(l, n, products));
done:
    return status;
}

// The sums read dy before dx may take its place, or that of the addend.
static igvk_status norm_modulate_gradient_lower(lowering *l, const node *n) {
    const bool add = n->input_count > BACK_ADDEND;
    const tensor_id rstd = n->inputs[BACK_RSTD];
    igvk_status status = IGVK_OK;
    TRY(lower_sums(l, n));
    dispatch d = dispatch_rows(l, "norm_gradient", input_shape(l->graph, n, BACK_X));
    dispatch_constant(&d, add);
    dispatch_constant(&d, !tensor_is(n->inputs[BACK_MEAN]));
    dispatch_constant(&d, tensor_is(n->inputs[BACK_WEIGHT]));
    dispatch_bind(&d, n->inputs[BACK_X], ACCESS_READ);
    dispatch_bind(&d, n->inputs[BACK_SCALE], ACCESS_READ);
    bind_or(&d, n->inputs[BACK_WEIGHT], n->inputs[BACK_SCALE]);
    dispatch_bind(&d, rstd, ACCESS_READ);
    bind_or(&d, n->inputs[BACK_MEAN], rstd);
    dispatch_bind(&d, n->inputs[BACK_DY], ACCESS_READ);
    dispatch_bind(&d, n->inputs[add ? BACK_ADDEND : BACK_DY], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[OUT_DX], BACK_ADDEND);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static bool norm_modulate_gradient_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (node_of(g, node_index)->input_count > BACK_ADDEND)
        return false;
    graph_set_input(g, node_index, BACK_ADDEND, addend);
    return true;
}

static node_cost norm_modulate_gradient_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 16);
}

const operator norm_modulate_gradient_operator = {
    .name = "norm_modulate_gradient",
    .shapes = norm_modulate_gradient_shapes,
    .lower = norm_modulate_gradient_lower,
    .cost = norm_modulate_gradient_cost,
    .fuse_add = norm_modulate_gradient_fuse_add,
};
