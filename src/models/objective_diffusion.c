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

// One pass of the model; `order` null: with all tokens.
static void add_pass(graph *g, const model_config *c, const objective_inputs *in, const model_inputs *inputs,
                     tensor_id noising, tensor_id *losses) {
    const model_outputs out = model_kind_find(c->kind)->build(g, c, &in->model, inputs);
    add_terms(g, &in->batch, noising, out.final_output, losses);
    add_terms(g, &in->batch, noising, out.intermediate, losses + 2);
}

// The same x_t for every pass.
static model_inputs noised_inputs(graph *g, const objective_inputs *in, tensor_id *noising) {
    const training_batch *b = &in->batch;
    tensor_id t = b->t;
    if (!tensor_is(t))
        t = op_sample_times(g, in->steps, (uint32_t)shape_of(g, b->x).dim[0], TIME_DISCRETE, PATH_LINEAR);
    *noising = op_noising_terms(g, t);
    return (model_inputs){
        .x = graph_label(g, op_noising(g, b->x, b->noise, *noising), "x_t"), .t = t, .labels = b->labels};
}

static void diffusion_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                             tensor_id *losses) {
    tensor_id noising;
    const model_inputs inputs = noised_inputs(g, in, &noising);
    (void)o;
    add_pass(g, c, in, &inputs, noising, losses);
}

static const objective_term head_terms[] = {{.name = "auxiliary"}, {.name = "auxiliary_variance"}};

// Of a masked model, too: on all tokens, as it is sampled.
static void head_losses(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                        tensor_id *losses) {
    tensor_id noising;
    model_inputs inputs = noised_inputs(g, in, &noising);
    (void)o;
    inputs.head_only = true;
    add_terms(g, &in->batch, noising, model_kind_find(c->kind)->build(g, c, &in->model, &inputs).intermediate, losses);
}

static const model_objective head_objective = {
    .terms = head_terms, .term_count = 2, .time_steps = 1000, .losses = head_losses};

const model_objective diffusion_objective = {.terms = terms,
                                             .term_count = sizeof terms / sizeof *terms,
                                             .time_steps = 1000,
                                             .losses = diffusion_losses,
                                             .head_only = &head_objective};

// ---- with a masked pass (method, chapter 6; official code: sail-sg/MDT, masked_diffusion) ---------------------------

#define MASK_SPREAD 0.2 // the share hidden is drawn from mask_ratio to so much more, for a whole step

static const objective_term masked_terms[] = {{.name = "final"},
                                              {.name = "variance"},
                                              {.name = "auxiliary", .auxiliary = true},
                                              {.name = "auxiliary_variance", .auxiliary = true},
                                              {.name = "masked"},
                                              {.name = "masked_variance"},
                                              {.name = "masked_auxiliary", .auxiliary = true},
                                              {.name = "masked_auxiliary_variance", .auxiliary = true}};

static void masked_diffusion_losses(graph *g, const model_config *c, const objective_options *o,
                                    const objective_inputs *in, tensor_id *losses) {
    const uint32_t images = (uint32_t)shape_of(g, in->batch.x).dim[0];
    tensor_id noising;
    model_inputs inputs = noised_inputs(g, in, &noising);
    (void)o;
    add_pass(g, c, in, &inputs, noising, losses);
    const token_order order =
        op_draw_order(g, in->steps, in->batch.seeds, images, model_tokens(c), c->mask_ratio, MASK_SPREAD);
    inputs.order = &order;
    add_pass(g, c, in, &inputs, noising, losses + 4);
}

const model_objective masked_diffusion_objective = {.terms = masked_terms,
                                                    .term_count = sizeof masked_terms / sizeof *masked_terms,
                                                    .time_steps = 1000,
                                                    .losses = masked_diffusion_losses,
                                                    .head_only = &head_objective};
