// SPDX-License-Identifier: MIT
// Velocity along a path between data and noise: SiT's two squared errors (method, chapter 2; official code:
// SiT/loss.py), and LightningDiT's, whose time runs the other way, with the velocity's direction as a third term
// (chapter 4; LightningDiT/transport/transport.py).
#include "models/objective.h"

#define COSINE_EPSILON 1e-8f

static const objective_term terms[] = {{.name = "final"}, {.name = "auxiliary", .auxiliary = true}, {.name = "cosine"}};

static model_outputs run_model(graph *g, const model_config *c, const parameter_set *p, const objective_inputs *in,
                               tensor_id x_t, tensor_id t, bool head_only) {
    const model_inputs inputs = {.x = x_t, .t = t, .labels = in->batch.labels, .head_only = head_only};
    return model_kind_find(c->kind)->build(g, c, p, &inputs);
}

// v' = v + (W - 1)(E_f - E_i) of the guiding model, no gradient.
static tensor_id guide_target(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                              tensor_id x_t, tensor_id t, tensor_id target) {
    const bool keeps = graph_keeps_for_gradient(g);
    graph_keep_for_gradient(g, false);
    model_outputs guide = run_model(g, c, in->guide, in, x_t, t, false);
    graph_keep_for_gradient(g, keeps);
    return op_guided_target(
        g, target, guide.final_output, guide.intermediate, t,
        &(guided_target_options){(float)o->guided_target, (float)o->guided_low, (float)o->guided_high});
}

// Times and the point of the path at them; the velocity there is its second output.
static tensor_id noised(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                        tensor_id *t) {
    const training_batch *b = &in->batch;
    const bool data_at_one = model_kind_find(c->kind)->time == MODEL_DATA_AT_ONE;
    const uint32_t count = (uint32_t)shape_of(g, b->x).dim[0];
    *t = tensor_is(b->t) ? b->t : op_sample_times(g, in->steps, count, o->times, c->path);
    return op_interpolant(g, data_at_one ? b->noise : b->x, data_at_one ? b->x : b->noise, *t, c->path);
}

// Returns the final output; *final_target is what it learns.
static tensor_id velocity_losses(graph *g, const model_config *c, const objective_options *o,
                                 const objective_inputs *in, tensor_id *losses, tensor_id *final_target) {
    tensor_id t;
    const tensor_id x_t = noised(g, c, o, in, &t);
    const tensor_id target = graph_output(g, x_t, 1);
    *final_target = in->guide ? guide_target(g, c, o, in, x_t, t, target) : target;
    model_outputs out = run_model(g, c, &in->model, in, graph_label(g, x_t, "xt"), t, false);
    losses[0] = op_squared_error(g, out.final_output, *final_target);
    losses[1] = op_squared_error(g, out.intermediate, target);
    return out.final_output;
}

static void head_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                        tensor_id *losses) {
    tensor_id t;
    const tensor_id x_t = noised(g, c, o, in, &t);
    const model_outputs out = run_model(g, c, &in->model, in, graph_label(g, x_t, "xt"), t, true);
    losses[0] = op_squared_error(g, out.intermediate, graph_output(g, x_t, 1));
}

static void flow_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                        tensor_id *losses) {
    tensor_id target;
    velocity_losses(g, c, o, in, losses, &target);
}

static void direction_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                             tensor_id *losses) {
    tensor_id target;
    const tensor_id velocity = velocity_losses(g, c, o, in, losses, &target);
    losses[2] = op_cosine_loss(g, velocity, target, COSINE_EPSILON);
}

static const objective_term head_terms[] = {{.name = "auxiliary"}};
static const model_objective head_objective = {.terms = head_terms, .term_count = 1, .losses = head_losses};
static const model_objective muon_head_objective = {
    .terms = head_terms, .term_count = 1, .optimizer = OPTIMIZER_MUON, .losses = head_losses};

const model_objective flow_objective = {
    .terms = terms, .term_count = 2, .losses = flow_losses, .head_only = &head_objective};
const model_objective direction_objective = {.terms = terms,
                                             .term_count = 3,
                                             .optimizer = OPTIMIZER_MUON,
                                             .losses = direction_losses,
                                             .head_only = &muon_head_objective};
