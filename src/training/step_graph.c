// SPDX-License-Identifier: MIT
#include "training/step_graph.h"

#include "step_block.h"
#include "core/philox.h"

#include <stdlib.h>

tensor_id training_steps_tensor(graph *g) {
    return graph_external(g, ROLE_STATE, "training.steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS));
}

tensor_id training_metrics_tensor(graph *g) {
    return graph_external(g, ROLE_STATE, "training.metrics", STORAGE_F32, SHAPE(STEP_RING * METRIC_WORDS));
}

tensor_id training_guard_tensor(graph *g) {
    return graph_external(g, ROLE_STATE, "training.guard", STORAGE_U32, SHAPE(GUARD_WORDS));
}

// bf16 has f32's range.
bool training_scales_loss(storage_type precision) {
    return precision == STORAGE_F16;
}

static parameter_set set_of(const parameter_layout *l, const char *set, storage_type precision) {
    parameter_set s = {.layout = l, .arena_name = set, .role = ROLE_PARAMETER};
    if (precision != STORAGE_F32) {
        s.copies = SET_COPIES;
        s.copies_type = precision;
    }
    return s;
}

static loss_terms terms_of(const training_losses *losses) {
    return (loss_terms){.values = losses->terms, .weights = losses->weights, .count = losses->count};
}

training_losses build_losses(graph *g, const model_config *c, const parameter_layout *l, const char *set,
                             storage_type precision, const objective_options *o, const training_batch *b) {
    const model_objective *objective = model_objective_for(c, o);
    const parameter_set ema = set_of(l, SET_EMA, STORAGE_F32);
    const objective_inputs in = {.model = set_of(l, set, precision),
                                 .guide = o->guided_target != 1 ? &ema : NULL,
                                 .steps = training_steps_tensor(g),
                                 .batch = *b};
    training_losses losses = {.count = objective->term_count};
    objective->losses(g, c, o, &in, losses.terms);
    for (uint32_t k = 0; k < losses.count; k++)
        losses.weights[k] = (float)objective_term_weight(&objective->terms[k], o);
    const loss_terms terms = terms_of(&losses);
    losses.total = op_loss(g, in.steps, &terms);
    return losses;
}

static void keep_gradient(graph *g, gradient_sum sum, tensor_id value, tensor_id state) {
    if (sum == GRADIENT_ACCUMULATED)
        graph_accumulate(g, value, state);
    else if (!graph_overwrite(g, value, state))
        op_copy_into(g, value, state);
}

// d(total)/d(parameter) into the gradient set, for every trained parameter in official order.
static igvk_status keep_gradients(graph *g, const parameter_layout *l, storage_type precision, gradient_sum sum,
                                  tensor_id total) {
    igvk_status status = IGVK_OK;
    parameter_set model = set_of(l, SET_MODEL, precision);
    parameter_set gradient = {.layout = l, .arena_name = SET_GRADIENT, .role = ROLE_STATE};
    size_t count = parameter_count(l), n = 0;
    tensor_id *wrt = calloc(count, sizeof *wrt), *gradients = calloc(count, sizeof *gradients);
    size_t *index = calloc(count, sizeof *index);
    if (!wrt || !gradients || !index) {
        status = fail_memory("gradient lists", count * sizeof *wrt);
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        if (!parameter_at(l, i)->frozen) {
            wrt[n] = parameter_tensor(g, &model, parameter_at(l, i)->name);
            index[n++] = i;
        }
    tensor_id seed =
        training_scales_loss(precision) ? op_loss_scale(g, training_guard_tensor(g)) : op_fill(g, SHAPE(1), 1);
    TRY(graph_gradient(g, &total, &seed, 1, wrt, n, gradients));
    for (size_t i = 0; i < n; i++)
        if (tensor_is(gradients[i]))
            keep_gradient(g, sum, gradients[i], parameter_tensor(g, &gradient, parameter_at(l, index[i])->name));
done:
    free(wrt);
    free(gradients);
    free(index);
    return status;
}

training_losses build_micro(graph *g, const model_config *c, const parameter_layout *l, storage_type precision,
                            gradient_sum sum, const objective_options *o, const training_batch *b) {
    graph_keep_for_gradient(g, true);
    training_losses losses = build_losses(g, c, l, SET_MODEL, precision, o, b);
    keep_gradients(g, l, precision, sum, losses.total); // its failure is the graph's sticky error
    const tensor_id steps = training_steps_tensor(g);
    const loss_terms terms = terms_of(&losses);
    op_write_losses(g, steps, &terms, training_metrics_tensor(g));
    op_advance(g, steps);
    return losses;
}

training_batch build_batch(graph *g, const model_config *c, const batch_source *s) {
    tensor_id steps = training_steps_tensor(g);
    tensor_shape image = SHAPE(s->count, c->channels, c->height, c->width);
    tensor_id images = graph_external(g, ROLE_INPUT, "training.images", STORAGE_F32,
                                      SHAPE(s->ring, s->count, c->channels, c->height, c->width));
    training_batch b = {.x = op_ring_read(g, steps, images),
                        .noise = op_normal(g, steps, NO_TENSOR, STREAM_NOISE, image)};
    if (c->classes) {
        tensor_id labels = graph_external(g, ROLE_INPUT, "training.labels", STORAGE_U32, SHAPE(s->ring, s->count));
        b.labels = op_ring_read(g, steps, labels);
        if (s->label_dropout > 0)
            b.labels = op_drop_labels(g, steps, b.labels, (float)s->label_dropout, c->classes);
    }
    return b;
}
