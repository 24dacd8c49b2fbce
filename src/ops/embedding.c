// SPDX-License-Identifier: MIT
// Rows looked up in a table, and the features of a time.
#include "ops/common.h"
#include "ops/ops.h"

extern const operator embedding_operator, embedding_gradient_operator, timestep_features_operator;

// ---- timestep features: t [N] -> [N, size] -------------------------------------------------------------

typedef struct timestep_attributes {
    uint32_t size;
} timestep_attributes;

static igvk_status timestep_features_shapes(const graph *g, const node *n, output_shapes *out) {
    const timestep_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "t", STORAGE_F32));
    uint64_t count = input_shape(g, n, 0).dim[0];
    TRY(check_shape(g, n, 0, "t", STORAGE_F32, SHAPE(count)));
    if (a->size == 0 || a->size % 2)
        THROW(IGVK_ERROR_INVALID, "timestep_features: size %u, must be even and not 0", a->size);
    add_output(out, STORAGE_F32, SHAPE(count, a->size));
done:
    return status;
}

static igvk_status timestep_features_lower(lowering *l, const node *n) {
    const timestep_attributes *a = n->attributes;
    dispatch d = dispatch_elements(l, "timestep_features", shape_elements(shape_of(l->graph, n->outputs[0])) / 2);
    dispatch_scalar(&d, a->size / 2);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static node_cost timestep_features_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 30); }

const operator timestep_features_operator = {
    .name = "timestep_features",
    .attributes_size = sizeof(timestep_attributes),
    .shapes = timestep_features_shapes,
    .lower = timestep_features_lower,
    .cost = timestep_features_cost,
};

tensor_id op_timestep_features(graph *g, tensor_id t, uint32_t size) {
    const timestep_attributes a = {size};
    return graph_node(g, &timestep_features_operator, &a, &t, 1);
}

// ---- embedding: labels u32 [N], table [R, D] -> [N, D] ---------------------------------------------------

static igvk_status embedding_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "labels", STORAGE_U32));
    TRY(check_input(g, n, 1, "table", STORAGE_F32));
    uint64_t count = input_shape(g, n, 0).dim[0];
    tensor_shape table = input_shape(g, n, 1);
    TRY(check_shape(g, n, 0, "labels", STORAGE_U32, SHAPE(count)));
    TRY(check_shape(g, n, 1, "table", STORAGE_F32, SHAPE(table.dim[0], table.dim[1])));
    add_output(out, STORAGE_F32, SHAPE(count, table.dim[1]));
done:
    return status;
}

static igvk_status embedding_lower(lowering *l, const node *n) {
    const tensor_shape table = input_shape(l->graph, n, 1);
    dispatch d = dispatch_elements(l, "embedding", shape_elements(shape_of(l->graph, n->outputs[0])));
    dispatch_scalar(&d, (uint32_t)table.dim[1]);
    dispatch_scalar(&d, (uint32_t)table.dim[0]);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void embedding_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const tensor_id inputs[] = {node_of(g, node_index)->inputs[0], dy[0]};
    const uint32_t rows = (uint32_t)shape_of(g, node_of(g, node_index)->inputs[1]).dim[0];
    if (want[1])
        dx[1] = graph_node(g, &embedding_gradient_operator, &rows, inputs, 2);
}

static node_cost embedding_cost(const graph *g, const node *n) {
    // Of the table only what is read: as much as is written.
    return (node_cost){.bytes = 2.0 * (double)tensor_bytes(g, n->outputs[0])};
}

const operator embedding_operator = {
    .name = "embedding",
    .shapes = embedding_shapes,
    .gradient = embedding_gradient,
    .lower = embedding_lower,
    .cost = embedding_cost,
};

tensor_id op_embedding(graph *g, tensor_id labels, tensor_id table) {
    const tensor_id inputs[] = {labels, table};
    return graph_node(g, &embedding_operator, NULL, inputs, 2);
}

// ---- its gradient: labels u32 [N], dy [N, D], addend [R, D] or none -> dtable [R, D] -----------------------

static igvk_status embedding_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    const uint32_t *rows = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 1, "dy", STORAGE_F32));
    tensor_shape dy = input_shape(g, n, 1);
    TRY(check_shape(g, n, 0, "labels", STORAGE_U32, SHAPE(dy.dim[0])));
    add_output(out, STORAGE_F32, SHAPE(*rows, dy.dim[1]));
done:
    return status;
}

// The sum starts from the addend's values, or from zero; where the output overwrites the addend they are there.
static igvk_status embedding_gradient_lower(lowering *l, const node *n) {
    const tensor_shape dy = input_shape(l->graph, n, 1);
    const tensor_id output = n->outputs[0];
    const tensor_id addend = n->input_count > 2 ? n->inputs[2] : NO_TENSOR;
    igvk_status status = IGVK_OK;
    if (!tensor_is(addend) || !tensor_same(tensor_of(l->graph, output)->assigns, addend)) {
        uint64_t count = shape_elements(shape_of(l->graph, output));
        dispatch start = dispatch_elements(l, tensor_is(addend) ? "repeat" : "fill", count);
        dispatch_scalar(&start, tensor_is(addend) ? 1 : 0); // one copy, or the value
        if (tensor_is(addend))
            dispatch_bind(&start, addend, ACCESS_READ);
        dispatch_bind(&start, output, ACCESS_WRITE);
        TRY(lowering_emit(l, &start));
    }
    dispatch d = dispatch_invocations(l, "embedding_gradient", dy.dim[1]);
    dispatch_scalar(&d, (uint32_t)dy.dim[1]);
    dispatch_scalar(&d, (uint32_t)dy.dim[0]);
    dispatch_scalar(&d, *(const uint32_t *)n->attributes);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind(&d, output, ACCESS_UPDATE);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static bool embedding_gradient_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (node_of(g, node_index)->input_count > 2)
        return false;
    graph_set_input(g, node_index, 2, addend);
    return true;
}

const operator embedding_gradient_operator = {
    .name = "embedding_gradient",
    .attributes_size = sizeof(uint32_t), // rows of the table
    .shapes = embedding_gradient_shapes,
    .lower = embedding_gradient_lower,
    .cost = copy_cost,
    .fuse_add = embedding_gradient_fuse_add,
};
