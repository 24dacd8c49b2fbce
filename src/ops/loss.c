// SPDX-License-Identifier: MIT
// Squared errors per sample, and the loss over a batch. Sums are pairs of floats (shaders/square_sums.comp), so
// that a loss is off by its last place alone, whatever the size of the images.
#include "step_block.h"
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

// ---- loss: steps, terms [N] each -> [1]; write_losses: steps, metrics, terms, into the run's metrics ---------------

typedef struct loss_attributes {
    uint32_t count;
    float weights[LOSS_TERMS];
} loss_attributes;

static igvk_status check_terms(const graph *g, const node *n, uint32_t first) {
    const loss_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    if (a->count == 0 || a->count > LOSS_TERMS)
        THROW(IGVK_ERROR_INVALID, "%s: %u terms, must be from 1 to %d", n->op->name, a->count, LOSS_TERMS);
    TRY(check_input(g, n, first, "term", STORAGE_F32));
    const uint64_t samples = shape_elements(input_shape(g, n, first));
    for (uint32_t k = 0; k < a->count; k++)
        TRY(check_shape(g, n, first + k, "term", STORAGE_F32, SHAPE(samples)));
done:
    return status;
}

static igvk_status loss_shapes(const graph *g, const node *n, output_shapes *out) {
    add_output(out, STORAGE_F32, SHAPE(1));
    return check_terms(g, n, 1);
}

static igvk_status write_losses_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_terms(g, n, 2));
    TRY(check_metrics(g, n, 1));
    add_output(out, STORAGE_F32, input_shape(g, n, 1));
done:
    return status;
}

static igvk_status lower_terms(lowering *l, const node *n, const tensor_id *terms, tensor_access access) {
    const loss_attributes *a = n->attributes;
    const uint64_t samples = shape_elements(shape_of(l->graph, terms[0]));
    dispatch d = dispatch_invocations(l, n->op->name, 1);
    dispatch_scalar(&d, (uint32_t)samples);
    dispatch_scalar_reciprocal(&d, samples);
    for (uint32_t k = 0; k < LOSS_TERMS; k++)
        dispatch_scalar_f32(&d, k < a->count ? a->weights[k] : 0);
    dispatch_constant(&d, a->count);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    for (uint32_t k = 0; k < LOSS_TERMS; k++)
        dispatch_bind(&d, terms[k < a->count ? k : 0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], access);
    return lowering_emit(l, &d);
}

static igvk_status loss_lower(lowering *l, const node *n) {
    return lower_terms(l, n, n->inputs + 1, ACCESS_WRITE);
}

// Of the metrics only the run's block is written: the rest must stay.
static igvk_status write_losses_lower(lowering *l, const node *n) {
    return lower_terms(l, n, n->inputs + 2, ACCESS_UPDATE);
}

static void loss_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const loss_attributes *a = node_of(g, node_index)->attributes;
    for (uint32_t k = 0; k < a->count; k++) {
        const node *n = node_of(g, node_index); // which the append below may move
        const float weight = a->weights[k];
        const tensor_id inputs[] = {n->inputs[0], n->inputs[1 + k], dy[0]};
        if (want[1 + k])
            dx[1 + k] = graph_node(g, &loss_gradient_operator, &weight, inputs, 3);
    }
}

const operator loss_operator = {
    .name = "loss",
    .attributes_size = sizeof(loss_attributes),
    .shapes = loss_shapes,
    .gradient = loss_gradient,
    .lower = loss_lower,
    .cost = copy_cost,
};

const operator write_losses_operator = {
    .name = "write_losses",
    .attributes_size = sizeof(loss_attributes),
    .shapes = write_losses_shapes,
    .lower = write_losses_lower,
    .cost = copy_cost,
};

static loss_attributes attributes_of(const loss_terms *terms) {
    loss_attributes a = {.count = terms->count};
    for (uint32_t k = 0; k < terms->count && k < LOSS_TERMS; k++)
        a.weights[k] = terms->weights[k];
    return a;
}

static uint32_t append_terms(const loss_terms *terms, tensor_id *inputs) {
    const uint32_t count = terms->count < LOSS_TERMS ? terms->count : LOSS_TERMS;
    for (uint32_t k = 0; k < count; k++)
        inputs[k] = terms->values[k];
    return count;
}

tensor_id op_loss(graph *g, tensor_id steps, const loss_terms *terms) {
    const loss_attributes a = attributes_of(terms);
    tensor_id inputs[1 + LOSS_TERMS] = {steps};
    return graph_node(g, &loss_operator, &a, inputs, 1 + append_terms(terms, inputs + 1));
}

tensor_id op_write_losses(graph *g, tensor_id steps, const loss_terms *terms, tensor_id metrics) {
    const loss_attributes a = attributes_of(terms);
    tensor_id inputs[2 + LOSS_TERMS] = {steps, metrics};
    return graph_node_assign(g, &write_losses_operator, &a, inputs, 2 + append_terms(terms, inputs + 2), &metrics, 1);
}

// ---- a term's gradient: steps, term [N], dy [1] -> dterm [N] -----------------------------------------------------

static igvk_status loss_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_input(g, n, 1, "term", STORAGE_F32));
    TRY(check_shape(g, n, 2, "dy", STORAGE_F32, SHAPE(1)));
    add_output(out, STORAGE_F32, input_shape(g, n, 1));
done:
    return status;
}

// The term itself is not read: it only tells the count.
static igvk_status loss_gradient_lower(lowering *l, const node *n) {
    const float *weight = n->attributes;
    const uint64_t count = shape_elements(input_shape(l->graph, n, 1));
    dispatch d = dispatch_elements(l, "loss_gradient", count);
    dispatch_scalar_f32(&d, *weight);
    dispatch_scalar_f32(&d, (float)(1.0 / (double)count));
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[2], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator loss_gradient_operator = {
    .name = "loss_gradient",
    .attributes_size = sizeof(float), // the term's weight
    .shapes = loss_gradient_shapes,
    .lower = loss_gradient_lower,
    .cost = copy_cost,
};
