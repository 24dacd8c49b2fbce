// SPDX-License-Identifier: MIT
// One solver stage: the time, guidance, the score, the step.
#include "ops/common.h"
#include "ops/ops.h"

// ---- fill_time: steps -> [N] -------------------------------------------------------------------------------

static igvk_status fill_time_shapes(const graph *g, const node *n, output_shapes *out) {
    const uint32_t *count = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_count("fill_time", *count));
    add_output(out, STORAGE_F32, SHAPE(*count));
done:
    return status;
}

static igvk_status fill_time_lower(lowering *l, const node *n) {
    dispatch d = dispatch_elements(l, "fill_time", *(const uint32_t *)n->attributes);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator fill_time_operator = {
    .name = "fill_time",
    .attributes_size = sizeof(uint32_t),
    .shapes = fill_time_shapes,
    .lower = fill_time_lower,
    .cost = copy_cost,
};

tensor_id op_fill_time(graph *g, tensor_id steps, uint32_t count) {
    return graph_node(g, &fill_time_operator, &count, &steps, 1);
}

// Elements of a sample that each guidance acts on; 0: all.
typedef struct guidance_attributes {
    uint64_t ig, cfg;
} guidance_attributes;

// ---- guidance: steps, final, intermediate, null final, null intermediate -> of final's shape ---------------------

enum {
    GUIDANCE_STEPS,
    GUIDANCE_FINAL,
    GUIDANCE_INTERMEDIATE,
    GUIDANCE_NULL,
    GUIDANCE_NULL_INTERMEDIATE,
    GUIDANCE_INPUTS,
};

static igvk_status guidance_shapes(const graph *g, const node *n, output_shapes *out) {
    static const char *const names[] = {"steps", "final_output", "intermediate", "null_final", "null_intermediate"};
    const bool internal = tensor_is(n->inputs[GUIDANCE_INTERMEDIATE]), null = tensor_is(n->inputs[GUIDANCE_NULL]);
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, GUIDANCE_STEPS));
    TRY(check_input(g, n, GUIDANCE_FINAL, names[GUIDANCE_FINAL], STORAGE_F32));
    for (uint32_t i = GUIDANCE_INTERMEDIATE; i < GUIDANCE_INPUTS; i++)
        if (tensor_is(n->inputs[i]))
            TRY(check_shape(g, n, i, names[i], STORAGE_F32, input_shape(g, n, GUIDANCE_FINAL)));
    if (tensor_is(n->inputs[GUIDANCE_NULL_INTERMEDIATE]) != (internal && null))
        THROW(IGVK_ERROR_INVALID, "guidance: input 'null_intermediate' must be there exactly where 'intermediate' and "
                                  "'null_final' are");
    const guidance_attributes *a = n->attributes;
    const uint64_t sample = sample_elements(input_shape(g, n, GUIDANCE_FINAL));
    if (a->ig > sample || a->cfg > sample)
        THROW(IGVK_ERROR_INVALID, "guidance: of %llu and %llu elements, a sample has %llu", (unsigned long long)a->ig,
              (unsigned long long)a->cfg, (unsigned long long)sample);
    add_output(out, STORAGE_F32, input_shape(g, n, GUIDANCE_FINAL));
done:
    return status;
}

static igvk_status guidance_lower(lowering *l, const node *n) {
    const guidance_attributes *a = n->attributes;
    const tensor_shape shape = shape_of(l->graph, n->outputs[0]);
    const uint64_t sample = sample_elements(shape);
    dispatch d = dispatch_elements(l, "guidance", shape_elements(shape));
    dispatch_constant(&d, tensor_is(n->inputs[GUIDANCE_INTERMEDIATE]));
    dispatch_constant(&d, tensor_is(n->inputs[GUIDANCE_NULL]));
    dispatch_constant(&d, a->ig || a->cfg);
    dispatch_scalar(&d, (uint32_t)sample);
    dispatch_scalar(&d, (uint32_t)(a->ig ? a->ig : sample));
    dispatch_scalar(&d, (uint32_t)(a->cfg ? a->cfg : sample));
    for (uint32_t i = 0; i < GUIDANCE_INPUTS; i++)
        dispatch_bind(&d, n->inputs[tensor_is(n->inputs[i]) ? i : GUIDANCE_FINAL], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], GUIDANCE_FINAL);
    return lowering_emit(l, &d);
}

static node_cost guidance_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 9); }

const operator guidance_operator = {
    .name = "guidance",
    .attributes_size = sizeof(guidance_attributes),
    .shapes = guidance_shapes,
    .lower = guidance_lower,
    .cost = guidance_cost,
};

tensor_id op_guidance(graph *g, tensor_id steps, const guidance_inputs *in) {
    const tensor_id inputs[GUIDANCE_INPUTS] = {
        [GUIDANCE_STEPS] = steps,
        [GUIDANCE_FINAL] = in->final_output,
        [GUIDANCE_INTERMEDIATE] = in->intermediate,
        [GUIDANCE_NULL] = in->null_final,
        [GUIDANCE_NULL_INTERMEDIATE] = in->null_intermediate,
    };
    const guidance_attributes a = {in->ig_elements, in->cfg_elements};
    return graph_node(g, &guidance_operator, &a, inputs, GUIDANCE_INPUTS);
}

// ---- score: velocity, x [N, ...], t [N] -> [N, ...] --------------------------------------------------------------

static igvk_status score_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "velocity", STORAGE_F32));
    tensor_shape v = input_shape(g, n, 0);
    TRY(check_shape(g, n, 1, "x", STORAGE_F32, v));
    TRY(check_shape(g, n, 2, "t", STORAGE_F32, SHAPE(v.dim[0])));
    add_output(out, STORAGE_F32, v);
done:
    return status;
}

static igvk_status score_lower(lowering *l, const node *n) {
    const path_kind *path = n->attributes;
    const tensor_shape v = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "score", shape_elements(v));
    dispatch_scalar(&d, (uint32_t)sample_elements(v));
    dispatch_constant(&d, *path == PATH_COSINE);
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

const operator score_operator = {
    .name = "score",
    .attributes_size = sizeof(path_kind),
    .shapes = score_shapes,
    .lower = score_lower,
    .cost = guidance_cost,
};

tensor_id op_score(graph *g, tensor_id velocity, tensor_id x, tensor_id t, path_kind path) {
    const tensor_id inputs[] = {velocity, x, t};
    return graph_node(g, &score_operator, &path, inputs, 3);
}

// ---- solver: steps, velocity, noise or none, states high, low, input, previous, all assigned ----------------------

enum { SOLVER_STEPS, SOLVER_VELOCITY, SOLVER_NOISE, SOLVER_STATES };
#define SOLVER_STATE_COUNT 4

static igvk_status solver_shapes(const graph *g, const node *n, output_shapes *out) {
    static const char *const names[SOLVER_STATE_COUNT] = {"high", "low", "input", "previous"};
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, SOLVER_STEPS));
    TRY(check_input(g, n, SOLVER_VELOCITY, "velocity", STORAGE_F32));
    tensor_shape v = input_shape(g, n, SOLVER_VELOCITY);
    if (tensor_is(n->inputs[SOLVER_NOISE]))
        TRY(check_shape(g, n, SOLVER_NOISE, "noise", STORAGE_F32, v));
    for (uint32_t k = 0; k < SOLVER_STATE_COUNT; k++) {
        TRY(check_shape(g, n, SOLVER_STATES + k, names[k], STORAGE_F32, v));
        add_output(out, STORAGE_F32, v);
    }
done:
    return status;
}

static igvk_status solver_lower(lowering *l, const node *n) {
    const bool noise = tensor_is(n->inputs[SOLVER_NOISE]);
    dispatch d = dispatch_elements(l, "solver", shape_elements(shape_of(l->graph, n->outputs[0])));
    dispatch_constant(&d, noise);
    dispatch_bind(&d, n->inputs[SOLVER_STEPS], ACCESS_READ);
    dispatch_bind(&d, n->inputs[SOLVER_VELOCITY], ACCESS_READ);
    dispatch_bind(&d, n->inputs[noise ? SOLVER_NOISE : SOLVER_VELOCITY], ACCESS_READ);
    for (uint32_t k = 0; k < SOLVER_STATE_COUNT; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

static node_cost solver_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 120); }

const operator solver_operator = {
    .name = "solver",
    .shapes = solver_shapes,
    .lower = solver_lower,
    .cost = solver_cost,
};

void op_solver(graph *g, tensor_id steps, tensor_id velocity, tensor_id noise, const solver_states *s) {
    const tensor_id inputs[] = {steps, velocity, noise, s->high, s->low, s->input, s->previous};
    graph_node_assign(g, &solver_operator, NULL, inputs, SOLVER_STATES + SOLVER_STATE_COUNT, inputs + SOLVER_STATES,
                      SOLVER_STATE_COUNT);
}
