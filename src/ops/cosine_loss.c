// SPDX-License-Identifier: MIT
// One less the cosine between two tensors over the second dimension, a mean over what follows it: LightningDiT's third
// term (method, chapter 4). Norms below epsilon count as epsilon, and as in PyTorch's cosine_similarity their gradient
// goes on as if they did not.
#include "ops/common.h"
#include "ops/ops.h"

extern const operator cosine_loss_operator, cosine_loss_gradient_operator;

static uint64_t positions(tensor_shape s) {
    return sample_elements(s) / s.dim[1];
}

static igvk_status check_pair(const graph *g, const node *n) {
    char text[64];
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "prediction", STORAGE_F32));
    const tensor_shape s = input_shape(g, n, 0);
    if (s.rank < 2)
        THROW(IGVK_ERROR_INVALID, "%s: input 'prediction' is %s, must have 2 dimensions or more", n->op->name,
              shape_text(text, s));
    TRY(check_shape(g, n, 1, "target", STORAGE_F32, s));
done:
    return status;
}

static dispatch dispatch_positions(const lowering *l, const node *n) {
    const tensor_shape s = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, n->op->name, s.dim[0] * positions(s));
    dispatch_scalar(&d, (uint32_t)positions(s));
    dispatch_scalar(&d, (uint32_t)s.dim[1]);
    dispatch_scalar_f32(&d, *(const float *)n->attributes);
    dispatch_scalar_f32(&d, (float)(1.0 / (double)positions(s)));
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    return d;
}

// ---- cosine_loss: prediction, target [N, C, ...] -> [N] ----------------------------------------------------------

static igvk_status cosine_loss_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_pair(g, n);
    if (status == IGVK_OK)
        add_output(out, STORAGE_F32, SHAPE(input_shape(g, n, 0).dim[0]));
    return status;
}

static igvk_status cosine_loss_lower(lowering *l, const node *n) {
    const tensor_shape s = input_shape(l->graph, n, 0);
    const uint64_t count = positions(s);
    const tensor_id each = graph_scratch(l->graph, STORAGE_F32, SHAPE(s.dim[0], count, 2));
    igvk_status status = IGVK_OK;
    dispatch d = dispatch_positions(l, n);
    dispatch_bind(&d, each, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));

    d = dispatch_invocations(l, "sum_pairs", s.dim[0]);
    dispatch_scalar(&d, (uint32_t)s.dim[0]);
    dispatch_scalar(&d, 1);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_scalar_reciprocal(&d, count);
    dispatch_constant(&d, 1); // the mean
    dispatch_constant(&d, 0);
    dispatch_bind(&d, each, ACCESS_READ);
    dispatch_bind(&d, each, ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static void cosine_loss_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const tensor_id inputs[] = {n->inputs[0], n->inputs[1], dy[0]};
    if (want[0])
        dx[0] = graph_node(g, &cosine_loss_gradient_operator, n->attributes, inputs, 3);
}

static node_cost cosine_loss_cost(const graph *g, const node *n) {
    node_cost cost = elementwise_cost(g, n, 0);
    cost.flops = 6.0 * (double)shape_elements(shape_of(g, n->inputs[0]));
    return cost;
}

const operator cosine_loss_operator = {
    .name = "cosine_loss",
    .attributes_size = sizeof(float), // epsilon
    .shapes = cosine_loss_shapes,
    .gradient = cosine_loss_gradient,
    .lower = cosine_loss_lower,
    .cost = cosine_loss_cost,
};

tensor_id op_cosine_loss(graph *g, tensor_id prediction, tensor_id target, float epsilon) {
    const tensor_id inputs[] = {prediction, target};
    return graph_node(g, &cosine_loss_operator, &epsilon, inputs, 2);
}

// ---- its gradient: prediction, target [N, C, ...], dy [N] -> dprediction ---------------------------------------

static igvk_status cosine_loss_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_pair(g, n));
    TRY(check_shape(g, n, 2, "dy", STORAGE_F32, SHAPE(input_shape(g, n, 0).dim[0])));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static igvk_status cosine_loss_gradient_lower(lowering *l, const node *n) {
    dispatch d = dispatch_positions(l, n);
    dispatch_bind(&d, n->inputs[2], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator cosine_loss_gradient_operator = {
    .name = "cosine_loss_gradient",
    .attributes_size = sizeof(float),
    .shapes = cosine_loss_gradient_shapes,
    .lower = cosine_loss_gradient_lower,
    .cost = cosine_loss_cost,
};
