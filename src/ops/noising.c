// SPDX-License-Identifier: MIT
// The objective of models of discrete times: a noising process of 1000 steps with linear betas, and its loss.
#include "ops/common.h"
#include "ops/ops.h"

extern const operator noising_loss_gradient_operator;

#define TERMS 6 // shaders/include/noising.glsl

// ---- noising_terms: t [N] -> [N, TERMS] ----------------------------------------------------------------------

static igvk_status noising_terms_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "t", STORAGE_F32));
    const uint64_t count = input_shape(g, n, 0).dim[0];
    TRY(check_shape(g, n, 0, "t", STORAGE_F32, SHAPE(count)));
    add_output(out, STORAGE_F32, SHAPE(count, TERMS));
done:
    return status;
}

static igvk_status noising_terms_lower(lowering *l, const node *n) {
    const uint64_t count = input_shape(l->graph, n, 0).dim[0];
    dispatch d = dispatch_invocations(l, "noising_terms", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static node_cost noising_terms_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 10000);
}

const operator noising_terms_operator = {
    .name = "noising_terms",
    .shapes = noising_terms_shapes,
    .lower = noising_terms_lower,
    .cost = noising_terms_cost,
};

tensor_id op_noising_terms(graph *g, tensor_id t) {
    return graph_node(g, &noising_terms_operator, NULL, &t, 1);
}

// ---- noising: x, noise [N, ...], terms -> x_t ----------------------------------------------------------------

static igvk_status noising_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, 0);
    TRY(check_shape(g, n, 1, "noise", STORAGE_F32, x));
    TRY(check_shape(g, n, 2, "terms", STORAGE_F32, SHAPE(x.dim[0], TERMS)));
    add_output(out, STORAGE_F32, x);
done:
    return status;
}

static igvk_status noising_lower(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "noising", shape_elements(x));
    dispatch_scalar(&d, (uint32_t)sample_elements(x));
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

static node_cost noising_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 3);
}

const operator noising_operator = {
    .name = "noising",
    .shapes = noising_shapes,
    .lower = noising_lower,
    .cost = noising_cost,
};

tensor_id op_noising(graph *g, tensor_id x, tensor_id noise, tensor_id terms) {
    const tensor_id inputs[] = {x, noise, terms};
    return graph_node(g, &noising_operator, NULL, inputs, 3);
}

// ---- noising_loss: prediction [N, 2 C, ...], x, noise [N, C, ...], terms -> squares [N], bits [N] -----------

static igvk_status check_loss_inputs(const graph *g, const node *n) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 1, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, 1);
    tensor_shape twice = x;
    if (x.rank < 2)
        THROW(IGVK_ERROR_INVALID, "%s: input 'x' has %u dimensions, must have 2 or more", n->op->name, x.rank);
    twice.dim[1] *= 2;
    TRY(check_shape(g, n, 0, "prediction", STORAGE_F32, twice));
    TRY(check_shape(g, n, 2, "noise", STORAGE_F32, x));
    TRY(check_shape(g, n, 3, "terms", STORAGE_F32, SHAPE(x.dim[0], TERMS)));
done:
    return status;
}

static igvk_status noising_loss_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_loss_inputs(g, n);
    const uint64_t count = input_shape(g, n, 1).dim[0];
    if (status != IGVK_OK)
        return status;
    add_output(out, STORAGE_F32, SHAPE(count));
    add_output(out, STORAGE_F32, SHAPE(count));
    return IGVK_OK;
}

// Partial sums of both, then their means.
static igvk_status noising_loss_lower(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, 1);
    const uint64_t rows = x.dim[0], elements = sample_elements(x);
    uint64_t parts = vector_local_size(l->capabilities);
    while (parts * parts < elements)
        parts *= 2;
    igvk_status status = IGVK_OK;
    const tensor_id sums[] = {graph_scratch(l->graph, STORAGE_F32, SHAPE(rows, parts, 2)),
                              graph_scratch(l->graph, STORAGE_F32, SHAPE(rows, parts, 2))};
    dispatch d = dispatch_square_sums(l, "noising_loss", rows, parts, elements);
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    for (uint32_t k = 0; k < 2; k++)
        dispatch_bind(&d, sums[k], ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
    for (uint32_t k = 0; k < 2; k++) {
        d = dispatch_means_of_pairs(l, rows, parts, elements);
        dispatch_bind(&d, sums[k], ACCESS_READ);
        dispatch_bind(&d, sums[k], ACCESS_READ);
        dispatch_bind(&d, n->outputs[k], ACCESS_WRITE);
        TRY(lowering_emit(l, &d));
    }
done:
    return status;
}

static void noising_loss_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const tensor_id inputs[] = {n->inputs[0], n->inputs[1], n->inputs[2], n->inputs[3], dy[0], dy[1]};
    if (want[0])
        dx[0] = graph_node(g, &noising_loss_gradient_operator, NULL, inputs, 6);
}

static node_cost noising_loss_cost(const graph *g, const node *n) {
    node_cost cost = elementwise_cost(g, n, 0);
    cost.flops = 80.0 * (double)shape_elements(input_shape(g, n, 1));
    return cost;
}

const operator noising_loss_operator = {
    .name = "noising_loss",
    .shapes = noising_loss_shapes,
    .gradient = noising_loss_gradient,
    .lower = noising_loss_lower,
    .cost = noising_loss_cost,
};

tensor_id op_noising_loss(graph *g, tensor_id prediction, tensor_id x, tensor_id noise, tensor_id terms) {
    const tensor_id inputs[] = {prediction, x, noise, terms};
    return graph_node(g, &noising_loss_operator, NULL, inputs, 4);
}

// ---- its gradient: prediction, x, noise, terms, dsquares, dbits [N] (either may be absent) -> dprediction ---------

enum { GRADIENT_TERMS = 3, GRADIENT_SQUARES, GRADIENT_BITS };

static igvk_status noising_loss_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_loss_inputs(g, n));
    const tensor_shape count = SHAPE(input_shape(g, n, 1).dim[0]);
    for (uint32_t i = GRADIENT_SQUARES; i <= GRADIENT_BITS; i++)
        if (tensor_is(n->inputs[i]))
            TRY(check_shape(g, n, i, i == GRADIENT_BITS ? "dbits" : "dsquares", STORAGE_F32, count));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static igvk_status noising_loss_gradient_lower(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, 1);
    dispatch d = dispatch_elements(l, "noising_loss_gradient", shape_elements(x));
    dispatch_scalar(&d, (uint32_t)sample_elements(x));
    dispatch_scalar_f32(&d, (float)(1.0 / (double)sample_elements(x)));
    dispatch_constant(&d, tensor_is(n->inputs[GRADIENT_SQUARES]));
    dispatch_constant(&d, tensor_is(n->inputs[GRADIENT_BITS]));
    for (uint32_t i = 0; i <= GRADIENT_BITS; i++)
        dispatch_bind(&d, n->inputs[tensor_is(n->inputs[i]) ? i : GRADIENT_TERMS], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

const operator noising_loss_gradient_operator = {
    .name = "noising_loss_gradient",
    .shapes = noising_loss_gradient_shapes,
    .lower = noising_loss_gradient_lower,
    .cost = noising_loss_cost,
};
