// SPDX-License-Identifier: MIT
// Sums, activations, constants, and the gradient of a gated product.
#include "ops/common.h"
#include "ops/ops.h"

#include <string.h>

extern const operator add_operator, activation_operator, activation_gradient_operator, fill_operator,
    gate_gradient_operator;

// ---- add: y = a + b --------------------------------------------------------------------------------------

static igvk_status add_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "a", STORAGE_F32));
    TRY(check_shape(g, n, 1, "b", STORAGE_F32, input_shape(g, n, 0)));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static void add_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)g, (void)node_index;
    for (int i = 0; i < 2; i++)
        if (want[i])
            dx[i] = dy[0];
}

static igvk_status add_lower(lowering *l, const node *n) {
    dispatch d = dispatch_elements(l, "add", shape_elements(input_shape(l->graph, n, 0)));
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

static node_cost add_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 1); }

const operator add_operator = {
    .name = "add",
    .shapes = add_shapes,
    .gradient = add_gradient,
    .lower = add_lower,
    .cost = add_cost,
};

tensor_id op_add(graph *g, tensor_id a, tensor_id b) {
    const tensor_id inputs[] = {a, b};
    return graph_node(g, &add_operator, NULL, inputs, 2);
}

graph *graph_new(void) { return graph_create(&add_operator); }

// ---- activation: y = kind(x); its gradient: x, dy -> dx = dy kind'(x) ------------------------------------

static igvk_status activation_shapes(const graph *g, const node *n, output_shapes *out) {
    const activation_kind *kind = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "x", STORAGE_F32));
    if (n->op == &activation_gradient_operator)
        TRY(check_shape(g, n, 1, "dy", STORAGE_F32, input_shape(g, n, 0)));
    if (*kind != ACTIVATION_SILU && *kind != ACTIVATION_GELU_TANH)
        THROW(IGVK_ERROR_INVALID, "%s: kind %d is neither SiLU nor GELU", n->op->name, (int)*kind);
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static igvk_status activation_lower(lowering *l, const node *n) {
    const activation_kind *kind = n->attributes;
    dispatch d = dispatch_elements(l, n->op->name, shape_elements(input_shape(l->graph, n, 0)));
    dispatch_constant(&d, *kind);
    for (uint32_t i = 0; i < n->input_count; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], n->input_count - 1); // x, or dy
    return lowering_emit(l, &d);
}

static void activation_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const activation_kind *kind = n->attributes;
    if (want[0])
        dx[0] = op_activation_gradient(g, n->inputs[0], dy[0], *kind);
}

static node_cost activation_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 30); }

const operator activation_operator = {
    .name = "activation",
    .attributes_size = sizeof(activation_kind),
    .shapes = activation_shapes,
    .gradient = activation_gradient,
    .lower = activation_lower,
    .cost = activation_cost,
};

const operator activation_gradient_operator = {
    .name = "activation_gradient",
    .attributes_size = sizeof(activation_kind),
    .shapes = activation_shapes,
    .lower = activation_lower,
    .cost = activation_cost,
};

tensor_id op_activation(graph *g, tensor_id x, activation_kind kind) {
    return graph_node(g, &activation_operator, &kind, &x, 1);
}

tensor_id op_activation_gradient(graph *g, tensor_id x, tensor_id dy, activation_kind kind) {
    const tensor_id inputs[] = {x, dy};
    return graph_node(g, &activation_gradient_operator, &kind, inputs, 2);
}

// ---- fill ------------------------------------------------------------------------------------------------

typedef struct fill_attributes {
    tensor_shape shape;
    float value;
} fill_attributes;

static igvk_status fill_shapes(const graph *g, const node *n, output_shapes *out) {
    const fill_attributes *a = n->attributes;
    (void)g;
    add_output(out, STORAGE_F32, a->shape);
    return check_count("fill", shape_elements(a->shape));
}

static igvk_status fill_lower(lowering *l, const node *n) {
    const fill_attributes *a = n->attributes;
    dispatch d = dispatch_elements(l, "fill", shape_elements(a->shape));
    dispatch_scalar_f32(&d, a->value);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator fill_operator = {
    .name = "fill",
    .attributes_size = sizeof(fill_attributes),
    .shapes = fill_shapes,
    .lower = fill_lower,
    .cost = copy_cost,
};

tensor_id op_fill(graph *g, tensor_shape shape, float value) {
    fill_attributes a;
    memset(&a, 0, sizeof a); // padding too: attributes are compared as bytes by dumps
    a.shape = shape;
    a.value = value;
    return graph_node(g, &fill_operator, &a, NULL, 0);
}

// ---- gate_gradient: dy [M, D], gate [G, D], z [M, D] -> dz [M, D], dgate [G, D] ----------------------------

static igvk_status gate_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    char have[64], want[64];
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "dy", STORAGE_F32));
    TRY(check_input(g, n, 1, "gate", STORAGE_F32));
    tensor_shape dy = input_shape(g, n, 0), gate = input_shape(g, n, 1);
    TRY(check_shape(g, n, 2, "z", STORAGE_F32, dy));
    uint64_t width = dy.dim[dy.rank - 1];
    uint64_t rows = shape_elements(dy) / width;
    if (gate.rank != 2 || gate.dim[1] != width || rows % gate.dim[0])
        THROW(IGVK_ERROR_INVALID, "gate_gradient: input 'gate' is %s, must be G x %llu with G dividing the rows of %s",
              shape_text(have, gate), (unsigned long long)width, shape_text(want, dy));
    add_output(out, STORAGE_F32, dy);
    add_output(out, STORAGE_F32, gate);
done:
    return status;
}

static igvk_status gate_gradient_lower(lowering *l, const node *n) {
    const tensor_shape gate = input_shape(l->graph, n, 1);
    const uint64_t columns = shape_elements(gate);
    dispatch d = dispatch_invocations(l, "gate_gradient", columns);
    dispatch_scalar(&d, (uint32_t)columns);
    dispatch_scalar(&d, (uint32_t)gate.dim[1]);
    dispatch_scalar(&d, (uint32_t)(shape_elements(input_shape(l->graph, n, 0)) / columns));
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    dispatch_bind(&d, n->outputs[1], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static node_cost gate_gradient_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 3); }

const operator gate_gradient_operator = {
    .name = "gate_gradient",
    .shapes = gate_gradient_shapes,
    .lower = gate_gradient_lower,
    .cost = gate_gradient_cost,
};

tensor_id op_gate_gradient(graph *g, tensor_id dy, tensor_id gate, tensor_id z) {
    const tensor_id inputs[] = {dy, gate, z};
    return graph_node(g, &gate_gradient_operator, NULL, inputs, 3);
}
