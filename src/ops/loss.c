// SPDX-License-Identifier: MIT
// Squared errors per sample, and the loss over a batch. Sums are pairs of floats (shaders/square_sums.comp), so
// that a loss is off by its last place alone, whatever the size of the images.
#include "ops/common.h"
#include "ops/ops.h"

extern const operator squared_error_gradient_operator, loss_gradient_operator;

// ---- squared_error: prediction, target [N, ...] -> [N] ---------------------------------------------------------

static igvk_status squared_error_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "prediction", STORAGE_F32));
    tensor_shape s = input_shape(g, n, 0);
    TRY(check_shape(g, n, 1, "target", STORAGE_F32, s));
    add_output(out, STORAGE_F32, SHAPE(s.dim[0]));
done:
    return status;
}

// Two passes: about sqrt(E) partial sums of about sqrt(E) elements each, then their sum.
static igvk_status squared_error_lower(lowering *l, const node *n) {
    const tensor_shape s = input_shape(l->graph, n, 0);
    const uint64_t rows = s.dim[0], elements = sample_elements(s);
    uint64_t parts = vector_local_size(l->capabilities);
    while (parts * parts < elements)
        parts *= 2;
    igvk_status status = IGVK_OK;
    const tensor_id sums = graph_scratch(l->graph, STORAGE_F32, SHAPE(rows, parts, 2));

    dispatch d = dispatch_square_sums(l, "squared_error", rows, parts, elements);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind(&d, sums, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));

    d = dispatch_means_of_pairs(l, rows, parts, elements);
    dispatch_bind(&d, sums, ACCESS_READ);
    dispatch_bind(&d, sums, ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static void squared_error_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                   tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const tensor_id inputs[] = {n->inputs[0], n->inputs[1], dy[0]};
    if (want[0])
        dx[0] = graph_node(g, &squared_error_gradient_operator, NULL, inputs, 3);
}

static node_cost squared_error_cost(const graph *g, const node *n) {
    node_cost cost = elementwise_cost(g, n, 0);
    cost.flops = 3.0 * (double)shape_elements(shape_of(g, n->inputs[0]));
    return cost;
}

const operator squared_error_operator = {
    .name = "squared_error",
    .shapes = squared_error_shapes,
    .gradient = squared_error_gradient,
    .lower = squared_error_lower,
    .cost = squared_error_cost,
};

tensor_id op_squared_error(graph *g, tensor_id prediction, tensor_id target) {
    const tensor_id inputs[] = {prediction, target};
    return graph_node(g, &squared_error_operator, NULL, inputs, 2);
}

// ---- its gradient: prediction, target [N, ...], dy [N] -> dprediction -------------------------------------------

static igvk_status squared_error_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "prediction", STORAGE_F32));
    tensor_shape s = input_shape(g, n, 0);
    TRY(check_shape(g, n, 1, "target", STORAGE_F32, s));
    TRY(check_shape(g, n, 2, "dy", STORAGE_F32, SHAPE(s.dim[0])));
    add_output(out, STORAGE_F32, s);
done:
    return status;
}

static igvk_status squared_error_gradient_lower(lowering *l, const node *n) {
    const tensor_shape s = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "squared_error_gradient", shape_elements(s));
    dispatch_scalar(&d, (uint32_t)sample_elements(s));
    dispatch_scalar_f32(&d, (float)(2.0 / (double)sample_elements(s)));
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

const operator squared_error_gradient_operator = {
    .name = "squared_error_gradient",
    .shapes = squared_error_gradient_shapes,
    .lower = squared_error_gradient_lower,
    .cost = squared_error_cost,
};

// ---- loss: steps, final, auxiliary [N] -> [1]; write_losses: into the run's metrics ------------------------------

static igvk_status check_losses(const graph *g, const node *n) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_input(g, n, 1, "final_loss", STORAGE_F32));
    uint64_t count = shape_elements(input_shape(g, n, 1));
    TRY(check_shape(g, n, 1, "final_loss", STORAGE_F32, SHAPE(count)));
    TRY(check_shape(g, n, 2, "auxiliary_loss", STORAGE_F32, SHAPE(count)));
done:
    return status;
}

static igvk_status loss_shapes(const graph *g, const node *n, output_shapes *out) {
    add_output(out, STORAGE_F32, SHAPE(1));
    return check_losses(g, n);
}

static igvk_status write_losses_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_losses(g, n));
    TRY(check_metrics(g, n, 3));
    add_output(out, STORAGE_F32, input_shape(g, n, 3));
done:
    return status;
}

static igvk_status loss_lower(lowering *l, const node *n) {
    const float *weight = n->attributes;
    const uint64_t count = shape_elements(input_shape(l->graph, n, 1));
    dispatch d = dispatch_invocations(l, n->op->name, 1);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_scalar_f32(&d, *weight);
    dispatch_scalar_reciprocal(&d, count);
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    // Of the metrics only the run's block is written: the rest must stay.
    dispatch_bind(&d, n->outputs[0], n->input_count > 3 ? ACCESS_UPDATE : ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void loss_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const tensor_id inputs[] = {n->inputs[0], n->inputs[1], dy[0]};
    if (!want[1] && !want[2])
        return;
    const tensor_id first = graph_node(g, &loss_gradient_operator, n->attributes, inputs, 3);
    if (want[1])
        dx[1] = first;
    if (want[2])
        dx[2] = graph_output(g, first, 1);
}

const operator loss_operator = {
    .name = "loss",
    .attributes_size = sizeof(float), // the auxiliary loss's weight
    .shapes = loss_shapes,
    .gradient = loss_gradient,
    .lower = loss_lower,
    .cost = copy_cost,
};

const operator write_losses_operator = {
    .name = "write_losses",
    .attributes_size = sizeof(float),
    .shapes = write_losses_shapes,
    .lower = loss_lower,
    .cost = copy_cost,
};

tensor_id op_loss(graph *g, tensor_id steps, tensor_id final_loss, tensor_id auxiliary_loss, float weight) {
    const tensor_id inputs[] = {steps, final_loss, auxiliary_loss};
    return graph_node(g, &loss_operator, &weight, inputs, 3);
}

tensor_id op_write_losses(graph *g, tensor_id steps, tensor_id final_loss, tensor_id auxiliary_loss, float weight,
                          tensor_id metrics) {
    const tensor_id inputs[] = {steps, final_loss, auxiliary_loss, metrics};
    return graph_node_assign(g, &write_losses_operator, &weight, inputs, 4, &metrics, 1);
}

// ---- the loss's gradient: steps, final [N], dy [1] -> dfinal, dauxiliary [N] -------------------------------------

static igvk_status loss_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_input(g, n, 1, "final_loss", STORAGE_F32));
    TRY(check_shape(g, n, 2, "dy", STORAGE_F32, SHAPE(1)));
    add_output(out, STORAGE_F32, input_shape(g, n, 1));
    add_output(out, STORAGE_F32, input_shape(g, n, 1));
done:
    return status;
}

// The losses themselves are not read: they only tell the count.
static igvk_status loss_gradient_lower(lowering *l, const node *n) {
    const float *weight = n->attributes;
    const uint64_t count = shape_elements(input_shape(l->graph, n, 1));
    dispatch d = dispatch_elements(l, "loss_gradient", count);
    dispatch_scalar_f32(&d, *weight);
    dispatch_scalar_f32(&d, (float)(1.0 / (double)count));
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[2], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, n->outputs[1], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator loss_gradient_operator = {
    .name = "loss_gradient",
    .attributes_size = sizeof(float),
    .shapes = loss_gradient_shapes,
    .lower = loss_gradient_lower,
    .cost = copy_cost,
};
