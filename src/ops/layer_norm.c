// SPDX-License-Identifier: MIT
// LayerNorm without affine, modulated: y = LN(x) (1 + scale) + shift. x, y [N, T, D]; shift, scale [N, D]; statistics
// mean and rstd = 1 / sqrt(variance + epsilon) [N, T].
#include "ops/common.h"
#include "ops/norm_sums.h"
#include "ops/ops.h"

extern const operator layer_norm_modulate_operator, layer_norm_modulate_gradient_operator;

typedef struct layer_norm_attributes {
    float epsilon;
    bool keep; // mean and rstd are outputs 1 and 2
} layer_norm_attributes;

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

// ---- forward: x, shift, scale -> y; mean, rstd -----------------------------------------------------------------

static igvk_status layer_norm_modulate_shapes(const graph *g, const node *n, output_shapes *out) {
    const layer_norm_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, 0);
    char text[64];
    if (x.rank != 3)
        THROW(IGVK_ERROR_INVALID, "%s: input 'x' is %s, must be images x tokens x width", n->op->name,
              shape_text(text, x));
    TRY(check_shape(g, n, 1, "shift", STORAGE_F32, SHAPE(x.dim[0], x.dim[2])));
    TRY(check_shape(g, n, 2, "scale", STORAGE_F32, SHAPE(x.dim[0], x.dim[2])));
    add_output(out, STORAGE_F32, x);
    for (int k = 0; a->keep && k < 2; k++)
        add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[1]));
done:
    return status;
}

static igvk_status layer_norm_modulate_lower(lowering *l, const node *n) {
    const layer_norm_attributes *a = n->attributes;
    dispatch d = dispatch_rows(l, a->keep ? "layer_norm_keep" : "layer_norm", input_shape(l->graph, n, 0));
    dispatch_scalar_f32(&d, a->epsilon);
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    for (uint32_t k = 1; k < n->output_count; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void layer_norm_modulate_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                         tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const layer_norm_attributes a = *(const layer_norm_attributes *)n->attributes;
    if (!tensor_is(dy[0]))
        return;
    if (!a.keep) {
        graph_fail(g, "layer_norm_modulate: its row statistics were not kept: call graph_keep_for_gradient before "
                      "building the graph");
        return;
    }
    const tensor_id inputs[] = {n->inputs[0], n->inputs[2], n->outputs[1], n->outputs[2], dy[0]};
    const tensor_id first = graph_node(g, &layer_norm_modulate_gradient_operator, NULL, inputs, 5);
    for (uint32_t i = 0; i < 3; i++)
        if (want[i])
            dx[i] = graph_output(g, first, i);
}

static node_cost layer_norm_modulate_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 8); }

const operator layer_norm_modulate_operator = {
    .name = "layer_norm_modulate",
    .attributes_size = sizeof(layer_norm_attributes),
    .shapes = layer_norm_modulate_shapes,
    .gradient = layer_norm_modulate_gradient,
    .lower = layer_norm_modulate_lower,
    .cost = layer_norm_modulate_cost,
};

tensor_id op_layer_norm_modulate(graph *g, tensor_id x, tensor_id shift, tensor_id scale, float epsilon) {
    const layer_norm_attributes a = {epsilon, graph_keeps_for_gradient(g)};
    const tensor_id inputs[] = {x, shift, scale};
    return graph_node(g, &layer_norm_modulate_operator, &a, inputs, 3);
}

// ---- backward: x, scale, mean, rstd, dy, addend [N, T, D] or none -> dx + addend, dshift, dscale -----------------

enum { IN_X, IN_SCALE, IN_MEAN, IN_RSTD, IN_DY, IN_ADDEND };

static igvk_status layer_norm_modulate_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, IN_X, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, IN_X);
    TRY(check_shape(g, n, IN_SCALE, "scale", STORAGE_F32, SHAPE(x.dim[0], x.dim[2])));
    TRY(check_shape(g, n, IN_MEAN, "mean", STORAGE_F32, SHAPE(x.dim[0], x.dim[1])));
    TRY(check_shape(g, n, IN_RSTD, "rstd", STORAGE_F32, SHAPE(x.dim[0], x.dim[1])));
    TRY(check_shape(g, n, IN_DY, "dy", STORAGE_F32, x));
    add_output(out, STORAGE_F32, x);
    add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[2]));
    add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[2]));
done:
    return status;
}

// The sums read dy before dx may take its place, or that of the addend.
static igvk_status layer_norm_modulate_gradient_lower(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, IN_X);
    const bool add = n->input_count > IN_ADDEND;
    const norm_rows rows = {
        .x = n->inputs[IN_X], .dy = n->inputs[IN_DY], .mean = n->inputs[IN_MEAN], .rstd = n->inputs[IN_RSTD],
        .columns = x.dim[2], .groups = x.dim[0], .rows = x.dim[1],
        .heads = 1, .token_stride = x.dim[2], .group_stride = x.dim[1] * x.dim[2],
    };
    igvk_status status = IGVK_OK;
    tensor_id sums;
    TRY(lower_chunk_sums(l, &rows, &sums));
    TRY(lower_column_sums(l, &rows, sums, 0, (uint32_t)x.dim[0], n->outputs[1], n->outputs[2]));

    dispatch d = dispatch_rows(l, "layer_norm_gradient", x);
    dispatch_constant(&d, add);
    for (uint32_t i = 0; i <= IN_DY; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->inputs[add ? IN_ADDEND : IN_DY], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], IN_ADDEND);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static bool layer_norm_modulate_gradient_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (node_of(g, node_index)->input_count > IN_ADDEND)
        return false;
    graph_set_input(g, node_index, IN_ADDEND, addend);
    return true;
}

static node_cost layer_norm_modulate_gradient_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 16); }

const operator layer_norm_modulate_gradient_operator = {
    .name = "layer_norm_modulate_gradient",
    .shapes = layer_norm_modulate_gradient_shapes,
    .lower = layer_norm_modulate_gradient_lower,
    .cost = layer_norm_modulate_gradient_cost,
    .fuse_add = layer_norm_modulate_gradient_fuse_add,
};
