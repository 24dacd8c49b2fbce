// SPDX-License-Identifier: MIT
// Tensors cut by columns and put together, and batches repeated.
#include "ops/common.h"
#include "ops/ops.h"

#define MAX_PARTS 8 // as the two shaders have slots
_Static_assert(MAX_PARTS <= NODE_MAX_OUTPUTS, "a part is an output");

extern const operator split_columns_operator, join_columns_operator, repeat_operator;

// ---- split: x [N, parts D] -> parts of [N, D] --------------------------------------------------------------

static igvk_status split_columns_shapes(const graph *g, const node *n, output_shapes *out) {
    char have[64];
    const uint32_t parts = *(const uint32_t *)n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "x", STORAGE_F32));
    tensor_shape x = input_shape(g, n, 0);
    if (parts == 0 || parts > MAX_PARTS || x.rank != 2 || x.dim[1] % parts)
        THROW(IGVK_ERROR_INVALID, "split_columns: input 'x' is %s, cannot be cut into %u (at most %d) by columns",
              shape_text(have, x), parts, MAX_PARTS);
    for (uint32_t k = 0; k < parts; k++)
        add_output(out, STORAGE_F32, SHAPE(x.dim[0], x.dim[1] / parts));
done:
    return status;
}

static igvk_status split_columns_lower(lowering *l, const node *n) {
    const tensor_shape part = shape_of(l->graph, n->outputs[0]);
    dispatch d = dispatch_elements(l, "split_columns", shape_elements(part));
    dispatch_scalar(&d, (uint32_t)part.dim[1]);
    dispatch_constant(&d, n->output_count);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    for (uint32_t k = 0; k < MAX_PARTS; k++)
        dispatch_bind(&d, n->outputs[k < n->output_count ? k : 0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void split_columns_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                   tensor_id *dx) {
    tensor_id parts[MAX_PARTS];
    const uint32_t count = node_of(g, node_index)->output_count;
    const tensor_shape part = shape_of(g, node_of(g, node_index)->outputs[0]);
    if (!want[0])
        return;
    for (uint32_t k = 0; k < count; k++)
        parts[k] = tensor_is(dy[k]) ? dy[k] : op_fill(g, part, 0);
    dx[0] = op_join_columns(g, parts, count);
}

const operator split_columns_operator = {
    .name = "split_columns",
    .attributes_size = sizeof(uint32_t),
    .shapes = split_columns_shapes,
    .gradient = split_columns_gradient,
    .lower = split_columns_lower,
    .cost = copy_cost,
};

tensor_id op_split_columns(graph *g, tensor_id x, uint32_t parts) {
    return graph_node(g, &split_columns_operator, &parts, &x, 1);
}

// ---- join: parts of [N, D] -> [N, parts D] -----------------------------------------------------------------

static igvk_status join_columns_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "parts[0]", STORAGE_F32));
    tensor_shape part = input_shape(g, n, 0);
    if (n->input_count > MAX_PARTS || part.rank != 2)
        THROW(IGVK_ERROR_INVALID, "join_columns: %u tensors of %u dimensions, must be at most %d of 2", n->input_count,
              part.rank, MAX_PARTS);
    for (uint32_t k = 1; k < n->input_count; k++)
        TRY(check_shape(g, n, k, "parts[k]", STORAGE_F32, part));
    add_output(out, STORAGE_F32, SHAPE(part.dim[0], part.dim[1] * n->input_count));
done:
    return status;
}

static igvk_status join_columns_lower(lowering *l, const node *n) {
    const tensor_shape part = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "join_columns", shape_elements(part));
    dispatch_scalar(&d, (uint32_t)part.dim[1]);
    dispatch_constant(&d, n->input_count);
    for (uint32_t k = 0; k < MAX_PARTS; k++)
        dispatch_bind(&d, n->inputs[k < n->input_count ? k : 0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void join_columns_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                  tensor_id *dx) {
    const uint32_t count = node_of(g, node_index)->input_count;
    tensor_id first = op_split_columns(g, dy[0], count);
    for (uint32_t k = 0; k < count; k++)
        if (want[k])
            dx[k] = graph_output(g, first, k);
}

const operator join_columns_operator = {
    .name = "join_columns",
    .shapes = join_columns_shapes,
    .gradient = join_columns_gradient,
    .lower = join_columns_lower,
    .cost = copy_cost,
};

tensor_id op_join_columns(graph *g, const tensor_id *parts, uint32_t count) {
    return graph_node(g, &join_columns_operator, NULL, parts, count);
}

// ---- repeat: [N, ...] -> [times N, ...] --------------------------------------------------------------------

static igvk_status repeat_shapes(const graph *g, const node *n, output_shapes *out) {
    const uint32_t times = *(const uint32_t *)n->attributes;
    igvk_status status = IGVK_OK;
    const storage_type type = tensor_of(g, n->inputs[0])->type;
    TRY(check_input(g, n, 0, "x", type == STORAGE_U32 ? STORAGE_U32 : STORAGE_F32));
    tensor_shape s = input_shape(g, n, 0);
    if (times == 0 || s.rank == 0)
        THROW(IGVK_ERROR_INVALID, "repeat: %u times a tensor of %u dimensions, must be at least 1 of each", times,
              s.rank);
    s.dim[0] *= times;
    add_output(out, type, s);
    TRY(check_count("repeat", shape_elements(s)));
done:
    return status;
}

static igvk_status repeat_lower(lowering *l, const node *n) {
    dispatch d = dispatch_elements(l, "repeat", shape_elements(input_shape(l->graph, n, 0)));
    dispatch_scalar(&d, *(const uint32_t *)n->attributes);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void repeat_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const uint32_t times = *(const uint32_t *)n->attributes;
    const tensor_shape x = shape_of(g, n->inputs[0]);
    if (!want[0])
        return;
    const tensor_id sum = op_column_sum(g, graph_view(g, dy[0], 0, SHAPE(times, shape_elements(x)), NULL));
    dx[0] = graph_view(g, sum, 0, x, NULL);
}

const operator repeat_operator = {
    .name = "repeat",
    .attributes_size = sizeof(uint32_t),
    .shapes = repeat_shapes,
    .gradient = repeat_gradient,
    .lower = repeat_lower,
    .cost = copy_cost,
};

tensor_id op_repeat(graph *g, tensor_id x, uint32_t times) {
    return graph_node(g, &repeat_operator, &times, &x, 1);
}

void op_copy_into(graph *g, tensor_id x, tensor_id state) {
    const uint32_t once = 1;
    graph_node_assign(g, &repeat_operator, &once, &x, 1, &state, 1);
}
