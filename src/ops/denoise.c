// SPDX-License-Identifier: MIT
// A step of sampling along a noising process of discrete times.
#include "ops/common.h"
#include "ops/ops.h"

// ---- denoise: steps, prediction [N, 2 C, ...], noise or none, states high, low, input [N, C, ...], all assigned ----

enum { DENOISE_STEPS, DENOISE_PREDICTION, DENOISE_NOISE, DENOISE_STATES };
#define DENOISE_STATE_COUNT 3

static igvk_status denoise_shapes(const graph *g, const node *n, output_shapes *out) {
    static const char *const names[DENOISE_STATE_COUNT] = {"high", "low", "input"};
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, DENOISE_STEPS));
    TRY(check_input(g, n, DENOISE_STATES, names[0], STORAGE_F32));
    const tensor_shape x = input_shape(g, n, DENOISE_STATES);
    tensor_shape twice = x;
    if (x.rank < 2)
        THROW(IGVK_ERROR_INVALID, "denoise: state 'high' has %u dimensions, must have 2 or more", x.rank);
    twice.dim[1] *= 2;
    TRY(check_shape(g, n, DENOISE_PREDICTION, "prediction", STORAGE_F32, twice));
    if (tensor_is(n->inputs[DENOISE_NOISE]))
        TRY(check_shape(g, n, DENOISE_NOISE, "noise", STORAGE_F32, x));
    for (uint32_t k = 0; k < DENOISE_STATE_COUNT; k++) {
        TRY(check_shape(g, n, DENOISE_STATES + k, names[k], STORAGE_F32, x));
        add_output(out, STORAGE_F32, x);
    }
done:
    return status;
}

static igvk_status denoise_lower(lowering *l, const node *n) {
    const bool noise = tensor_is(n->inputs[DENOISE_NOISE]);
    const tensor_shape x = shape_of(l->graph, n->outputs[0]);
    dispatch d = dispatch_elements(l, "denoise", shape_elements(x));
    dispatch_scalar(&d, (uint32_t)sample_elements(x));
    dispatch_constant(&d, noise);
    dispatch_bind(&d, n->inputs[DENOISE_STEPS], ACCESS_READ);
    dispatch_bind(&d, n->inputs[DENOISE_PREDICTION], ACCESS_READ);
    dispatch_bind(&d, n->inputs[noise ? DENOISE_NOISE : DENOISE_PREDICTION], ACCESS_READ);
    for (uint32_t k = 0; k < DENOISE_STATE_COUNT; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

static node_cost denoise_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 140);
}

const operator denoise_operator = {
    .name = "denoise",
    .shapes = denoise_shapes,
    .lower = denoise_lower,
    .cost = denoise_cost,
};

void op_denoise(graph *g, tensor_id steps, tensor_id prediction, tensor_id noise, const solver_states *s) {
    const tensor_id inputs[] = {steps, prediction, noise, s->high, s->low, s->input};
    graph_node_assign(g, &denoise_operator, NULL, inputs, DENOISE_STATES + DENOISE_STATE_COUNT, inputs + DENOISE_STATES,
                      DENOISE_STATE_COUNT);
}
