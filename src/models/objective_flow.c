// SPDX-License-Identifier: MIT
// Velocity along a path between data and noise (method, chapter 2; official code: SiT/loss.py).
#include "models/objective.h"

static const objective_term terms[] = {{.name = "final"}, {.name = "auxiliary", .auxiliary = true}};

static model_outputs run_model(graph *g, const model_config *c, const parameter_set *p, const objective_inputs *in,
                               tensor_id x_t, tensor_id t) {
    return model_kind_find(c->kind)->build(g, c, p, &(model_inputs){.x = x_t, .t = t, .labels = in->batch.labels});
}

// v' = v + (W - 1)(E_f - E_i) of the guiding model, no gradient.
static tensor_id guide_target(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                              tensor_id x_t, tensor_id t, tensor_id target) {
    const bool keeps = graph_keeps_for_gradient(g);
    graph_keep_for_gradient(g, false);
    model_outputs guide = run_model(g, c, in->guide, in, x_t, t);
    graph_keep_for_gradient(g, keeps);
    return op_guided_target(
        g, target, guide.final_output, guide.intermediate, t,
        &(guided_target_options){(float)o->guided_target, (float)o->guided_low, (float)o->guided_high});
}

static void flow_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                        tensor_id *losses) {
    const training_batch *b = &in->batch;
    const tensor_id t =
        tensor_is(b->t) ? b->t : op_sample_times(g, in->steps, (uint32_t)shape_of(g, b->x).dim[0], o->times, c->path);
    const tensor_id x_t = op_interpolant(g, b->x, b->noise, t, c->path), target = graph_output(g, x_t, 1);
    tensor_id final_target = target;
    if (in->guide)
        final_target = guide_target(g, c, o, in, x_t, t, target);
    model_outputs out = run_model(g, c, &in->model, in, x_t, t);
    losses[0] = op_squared_error(g, out.final_output, final_target);
    losses[1] = op_squared_error(g, out.intermediate, target);
}

const model_objective flow_objective = {
    .terms = terms, .term_count = sizeof terms / sizeof *terms, .losses = flow_losses};
