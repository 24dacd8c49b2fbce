// SPDX-License-Identifier: MIT
// The noise of a process of discrete times and, in bits, its variance (method, chapter 5; official code:
// DiT/diffusion/gaussian_diffusion.py, training_losses): for the final output and for the auxiliary head's.
#include "models/objective.h"

static const objective_term terms[] = {{.name = "final"},
                                       {.name = "variance"},
                                       {.name = "auxiliary", .auxiliary = true},
                                       {.name = "auxiliary_variance", .auxiliary = true}};

static void add_terms(graph *g, const training_batch *b, tensor_id noising, tensor_id output, tensor_id *losses) {
    losses[0] = op_noising_loss(g, output, b->x, b->noise, noising);
    losses[1] = graph_output(g, losses[0], 1);
}

static void diffusion_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                             tensor_id *losses) {
    const training_batch *b = &in->batch;
    (void)o;
    tensor_id t = b->t;
    if (!tensor_is(t))
        t = op_sample_times(g, in->steps, (uint32_t)shape_of(g, b->x).dim[0], TIME_DISCRETE, PATH_LINEAR);
    const tensor_id noising = op_noising_terms(g, t);
    const model_inputs inputs = {
        .x = graph_label(g, op_noising(g, b->x, b->noise, noising), "x_t"), .t = t, .labels = b->labels};
    const model_outputs out = model_kind_find(c->kind)->build(g, c, &in->model, &inputs);
    add_terms(g, b, noising, out.final_output, losses);
    add_terms(g, b, noising, out.intermediate, losses + 2);
}

const model_objective diffusion_objective = {
    .terms = terms, .term_count = sizeof terms / sizeof *terms, .time_steps = 1000, .losses = diffusion_losses};
