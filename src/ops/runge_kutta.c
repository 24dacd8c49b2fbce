// SPDX-License-Identifier: MIT
// Explicit Runge-Kutta steps whose weights come with the step block: sums of slopes, and their error.
#include "ops/common.h"
#include "ops/ops.h"

#include "step_block.h"

// The slopes have a dimension more than the state.
static bool are_slopes_of(tensor_shape slopes, tensor_shape x) {
    return slopes.dim[0] == RUNGE_KUTTA_SLOPES && slopes.rank == x.rank + 1 &&
           shape_elements(slopes) == RUNGE_KUTTA_SLOPES * shape_elements(x);
}

static igvk_status check_slopes(const graph *g, const node *n, uint32_t i, tensor_shape x) {
    igvk_status status = check_input(g, n, i, "slopes", STORAGE_F32);
    if (status == IGVK_OK && !are_slopes_of(input_shape(g, n, i), x))
        status = fail(IGVK_ERROR_INVALID, "%s: input 'slopes' must be %d tensors of the state's shape", n->op->name,
                      RUNGE_KUTTA_SLOPES);
    if (status == IGVK_OK)
        status = check_count(n->op->name, RUNGE_KUTTA_SLOPES * shape_elements(x));
    return status;
}

// ---- runge_kutta: steps, velocity or none, states high, low, input, slopes, all assigned ------------------------

enum { STEPS, VELOCITY, HIGH, LOW, INPUT, SLOPES, INPUTS, STATES = INPUTS - HIGH };

static igvk_status runge_kutta_shapes(const graph *g, const node *n, output_shapes *out) {
    static const char *const names[INPUTS] = {[VELOCITY] = "velocity", [LOW] = "low", [INPUT] = "input"};
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, STEPS));
    TRY(check_input(g, n, HIGH, "high", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, HIGH);
    if (tensor_is(n->inputs[VELOCITY]))
        TRY(check_shape(g, n, VELOCITY, names[VELOCITY], STORAGE_F32, x));
    TRY(check_shape(g, n, LOW, names[LOW], STORAGE_F32, x));
    TRY(check_shape(g, n, INPUT, names[INPUT], STORAGE_F32, x));
    TRY(check_slopes(g, n, SLOPES, x));
    for (uint32_t k = HIGH; k < INPUTS; k++)
        add_output(out, STORAGE_F32, input_shape(g, n, k));
done:
    return status;
}

static igvk_status runge_kutta_lower(lowering *l, const node *n) {
    const bool velocity = tensor_is(n->inputs[VELOCITY]);
    dispatch d = dispatch_elements(l, "runge_kutta", shape_elements(shape_of(l->graph, n->outputs[0])));
    dispatch_constant(&d, velocity);
    dispatch_bind(&d, n->inputs[STEPS], ACCESS_READ);
    dispatch_bind(&d, n->inputs[velocity ? VELOCITY : STEPS], ACCESS_READ);
    for (uint32_t k = 0; k < STATES; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

static node_cost runge_kutta_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 210);
}

const operator runge_kutta_operator = {
    .name = "runge_kutta",
    .shapes = runge_kutta_shapes,
    .lower = runge_kutta_lower,
    .cost = runge_kutta_cost,
};

void op_runge_kutta(graph *g, tensor_id steps, tensor_id velocity, const runge_kutta_states *s) {
    const tensor_id inputs[INPUTS] = {steps, velocity, s->high, s->low, s->input, s->slopes};
    graph_node_assign(g, &runge_kutta_operator, NULL, inputs, INPUTS, inputs + HIGH, STATES);
}

// ---- scaled_error: steps, high, input, slopes -> of high's shape -------------------------------------------------

static igvk_status scaled_error_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_input(g, n, 1, "high", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, 1);
    TRY(check_shape(g, n, 2, "input", STORAGE_F32, x));
    TRY(check_slopes(g, n, 3, x));
    add_output(out, STORAGE_F32, x);
done:
    return status;
}

static igvk_status scaled_error_lower(lowering *l, const node *n) {
    dispatch d = dispatch_elements(l, "scaled_error", shape_elements(shape_of(l->graph, n->outputs[0])));
    for (uint32_t i = 0; i < n->input_count; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static node_cost scaled_error_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 30);
}

const operator scaled_error_operator = {
    .name = "scaled_error",
    .shapes = scaled_error_shapes,
    .lower = scaled_error_lower,
    .cost = scaled_error_cost,
};

tensor_id op_scaled_error(graph *g, tensor_id steps, const runge_kutta_states *s) {
    const tensor_id inputs[] = {steps, s->high, s->input, s->slopes};
    return graph_node(g, &scaled_error_operator, NULL, inputs, 4);
}
