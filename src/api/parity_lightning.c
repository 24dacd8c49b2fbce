// SPDX-License-Identifier: MIT
// Parity of LightningDiT's training: its losses and gradients on a given batch, runs of a few steps with Muon, times.
// Inputs of step K: "x1.K" data, "x0.K" noise, "t.K", "y.K".
#include "api/parity_case.h"

#include "step_block.h"
#include "training/training_state.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/run_once.h"

#include <stdlib.h>
#include <string.h>

typedef struct lightning_case {
    parity_case *c;
    const json_t *run;
    const char *name;
    model_config model;
    uint32_t count; // N
    uint32_t steps;
    parameter_layout *layout;
    store *store;
    optimizer_settings optimizer;
    uint32_t next_run; // of the step ring
} lightning_case;

// One step's inputs and what its forward gave.
typedef struct lightning_step {
    float *x, *noise, *times;
    uint32_t *labels;
    float *terms; // [OBJECTIVE_TERMS, N]
    float *x_t, *final_output, *intermediate;
} lightning_step;

static void free_step(lightning_step *s) {
    free(s->x);
    free(s->noise);
    free(s->times);
    free(s->labels);
    free(s->terms);
    free(s->x_t);
    free(s->final_output);
    free(s->intermediate);
}

// ---- a batch ---------------------------------------------------------------------------------------

static igvk_status read_floats(const lightning_case *l, const char *what, uint32_t step, uint64_t elements,
                               float **values) {
    igvk_status status = IGVK_OK;
    char name[32];
    const safetensors_entry *e = NULL;
    snprintf(name, sizeof name, "%s.%u", what, step);
    TRY(parity_floats(l->c->inputs, name, values, &e));
    if (e->elements != elements)
        THROW(IGVK_ERROR_INVALID, "%s: input '%s' does not fit the first batch", l->c->folder, name);
done:
    return status;
}

static igvk_status read_step(const lightning_case *l, uint32_t step, lightning_step *s) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *labels = NULL;
    const uint64_t n = l->count, elements = n * model_elements(&l->model);
    char name[32];
    TRY(read_floats(l, "x1", step, elements, &s->x));
    TRY(read_floats(l, "x0", step, elements, &s->noise));
    TRY(read_floats(l, "t", step, n, &s->times));
    snprintf(name, sizeof name, "y.%u", step);
    TRY(parity_words(l->c->inputs, name, &s->labels, &labels));
    if (labels->elements != n)
        THROW(IGVK_ERROR_INVALID, "%s: input '%s' does not fit the first batch", l->c->folder, name);
    TRY(parity_check_labels(l->c, &l->model, s->labels, n));
    s->terms = calloc(OBJECTIVE_TERMS * n, sizeof *s->terms);
    s->x_t = malloc(elements * sizeof *s->x_t);
    s->final_output = malloc(elements * sizeof *s->final_output);
    s->intermediate = malloc(elements * sizeof *s->intermediate);
    if (!s->terms || !s->x_t || !s->final_output || !s->intermediate)
        status = fail_memory("outputs", 0);
done:
    return status;
}

// Forward and backward.
static igvk_status run_micro(lightning_case *l, lightning_step *s) {
    igvk_status status = IGVK_OK;
    const model_config *m = &l->model;
    const uint64_t n = l->count, bytes = n * model_elements(m) * sizeof(float);
    const tensor_shape shape = SHAPE(n, m->channels, m->height, m->width);
    const objective_options objective = {.auxiliary_weight = 0.5, .guided_target = 1};
    const float share = 1;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    const training_batch b = {.x = graph_external(g, ROLE_INPUT, "images", STORAGE_F32, shape),
                              .noise = graph_external(g, ROLE_INPUT, "noise", STORAGE_F32, shape),
                              .t = graph_external(g, ROLE_INPUT, "times", STORAGE_F32, SHAPE(n)),
                              .labels = graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(n))};
    const training_losses losses = build_micro(g, m, l->layout, l->c->precision, GRADIENT_ACCUMULATED, &objective, &b);
    memcpy(training_step_block(l->store, l->next_run++) + STEP_LOSS_SCALE, &share, sizeof share);
    const once_input inputs[] = {
        {"images", s->x, bytes}, {"noise", s->noise, bytes}, {"times", s->times, n * 4}, {"labels", s->labels, n * 4}};
    once_output outputs[3 + OBJECTIVE_TERMS] = {{graph_find(g, "xt"), s->x_t, bytes},
                                                {graph_find(g, "D_f"), s->final_output, bytes},
                                                {graph_find(g, "D_i"), s->intermediate, bytes}};
    for (uint32_t k = 0; k < losses.count; k++)
        outputs[3 + k] = (once_output){losses.terms[k], s->terms + k * n, n * 4};
    TRY(run_once(l->c->device, l->store, &g, inputs, 4, outputs, 3 + losses.count));
done:
    graph_destroy(&g);
    return status;
}

static float run_loss(lightning_case *l) {
    return training_metrics(l->store, l->next_run - 1)[METRIC_LOSS];
}

static float run_norm(lightning_case *l) {
    return training_metrics(l->store, l->next_run - 1)[METRIC_GRADIENT_NORM];
}

static igvk_status run_update(lightning_case *l, uint32_t step) {
    igvk_status status = IGVK_OK;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    build_update(g, l->layout, l->c->precision, GRADIENT_ACCUMULATED, l->optimizer.bf16);
    optimizer_words(&l->optimizer, step, 0, training_step_block(l->store, l->next_run++));
    TRY(run_once(l->c->device, l->store, &g, NULL, 0, NULL, 0));
done:
    graph_destroy(&g);
    return status;
}

// ---- sets ------------------------------------------------------------------------------------------

// Gives a set's parameters as RUN/PREFIX/NAME/SUFFIX (the suffix may be null); `from` is taken off, where there is one.
static igvk_status give_set(lightning_case *l, const char *set, const char *prefix, const char *suffix,
                            float *const *from) {
    igvk_status status = IGVK_OK;
    float *values = NULL;
    for (size_t i = 0; i < parameter_count(l->layout); i++) {
        const parameter *p = parameter_at(l->layout, i);
        const uint64_t count = shape_elements(p->shape);
        const char *slash = suffix ? "/" : "", *end = suffix ? suffix : "";
        if (!training_set_holds(set, p->group) ||
            !parity_wants(l->c, "%s/%s/%s%s%s", l->name, prefix, p->name, slash, end))
            continue;
        free(values);
        values = malloc(count * sizeof *values);
        if (!values) {
            status = fail_memory(p->name, count * sizeof *values);
            goto done;
        }
        TRY(parity_read_set(l->c, l->store, l->layout, set, i, values));
        for (uint64_t k = 0; k < count && from; k++)
            values[k] -= from[i][k];
        TRY(parity_give(l->c, values, count, "%s/%s/%s%s%s", l->name, prefix, p->name, slash, end));
    }
done:
    free(values);
    return status;
}

static void free_initial(const lightning_case *l, float ***initial) {
    for (size_t i = 0; *initial && i < parameter_count(l->layout); i++)
        free((*initial)[i]);
    free(*initial);
    *initial = NULL;
}

static igvk_status read_initial(lightning_case *l, float ***out) {
    igvk_status status = IGVK_OK;
    float **initial = *out = calloc(parameter_count(l->layout), sizeof *initial);
    if (!initial)
        return fail_memory("initial parameters", 0);
    for (size_t i = 0; i < parameter_count(l->layout); i++) {
        initial[i] = malloc(shape_elements(parameter_at(l->layout, i)->shape) * sizeof **initial);
        if (!initial[i]) {
            status = fail_memory("initial parameters", 0);
            goto done;
        }
        TRY(parameter_memory_read(l->store, l->layout, SET_MODEL, i, initial[i]));
    }
done:
    return status;
}

// ---- runs ------------------------------------------------------------------------------------------

static igvk_status run_loss_case(lightning_case *l) {
    igvk_status status = IGVK_OK;
    lightning_step s = {0};
    const uint64_t n = l->count, elements = n * model_elements(&l->model);
    TRY(read_step(l, 0, &s));
    TRY(run_micro(l, &s));
    const float total = run_loss(l);
    TRY(parity_give(l->c, s.x_t, elements, "%s/xt", l->name));
    TRY(parity_give(l->c, s.final_output, elements, "%s/D_f", l->name));
    TRY(parity_give(l->c, s.intermediate, elements, "%s/D_i", l->name));
    TRY(parity_give(l->c, s.terms + 2 * n, n, "%s/cos_loss", l->name));
    for (uint64_t i = 0; i < n; i++)
        s.terms[i] += 0.5f * s.terms[n + i];
    TRY(parity_give(l->c, s.terms, n, "%s/loss", l->name));
    TRY(parity_give(l->c, &total, 1, "%s/total", l->name));
    TRY(give_set(l, SET_GRADIENT, "grad", NULL, NULL));
    TRY(run_update(l, 0));
    const float norm = run_norm(l);
    TRY(parity_give(l->c, &norm, 1, "%s/grad_norm", l->name));
done:
    free_step(&s);
    return status;
}

static igvk_status give_step(lightning_case *l, uint32_t step, float *const *initial) {
    igvk_status status = IGVK_OK;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "step%u/delta", step);
    TRY(give_set(l, SET_MODEL, prefix, NULL, initial));
    snprintf(prefix, sizeof prefix, "step%u/ema_delta", step);
    TRY(give_set(l, SET_EMA, prefix, NULL, initial));
    snprintf(prefix, sizeof prefix, "step%u/ema", step);
    TRY(give_set(l, SET_EMA, prefix, NULL, NULL));
    snprintf(prefix, sizeof prefix, "state%u", step);
    TRY(give_set(l, SET_MOMENT1, prefix, "momentum_buffer", NULL));
    TRY(give_set(l, SET_MOMENT1, prefix, "exp_avg", NULL));
    TRY(give_set(l, SET_MOMENT2, prefix, "exp_avg_sq", NULL));
done:
    return status;
}

static igvk_status run_steps(lightning_case *l) {
    igvk_status status = IGVK_OK;
    lightning_step s = {0};
    float **initial = NULL, *losses = calloc(2 * l->steps, sizeof *losses);
    if (!losses)
        return fail_memory("losses", 2 * l->steps * sizeof *losses);
    TRY(read_initial(l, &initial));
    for (uint32_t k = 0; k < l->steps; k++) {
        free_step(&s);
        s = (lightning_step){0};
        TRY(read_step(l, k, &s));
        TRY(run_micro(l, &s));
        losses[k] = run_loss(l);
        TRY(run_update(l, k));
        losses[l->steps + k] = run_norm(l);
        TRY(give_step(l, k + 1, initial));
    }
    TRY(parity_give(l->c, losses, l->steps, "%s/losses", l->name));
    TRY(parity_give(l->c, losses + l->steps, l->steps, "%s/grad_norms", l->name));
done:
    free_initial(l, &initial);
    free_step(&s);
    free(losses);
    return status;
}

static igvk_status run_times(lightning_case *l) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *e = NULL;
    float *values = NULL;
    graph *g = graph_new();
    TRY(g ? IGVK_OK : fail_memory("a graph", 0));
    TRY(parity_floats(l->c->inputs, "normals", &values, &e));
    tensor_id normals = graph_external(g, ROLE_INPUT, "normals", STORAGE_F32, SHAPE(e->elements));
    tensor_id times = op_times_of_normals(g, normals, PATH_LINEAR);
    TRY(store_create(l->c->device, &l->store));
    TRY(run_once(l->c->device, l->store, &g, &(once_input){"normals", values, e->elements * 4}, 1,
                 &(once_output){times, values, e->elements * 4}, 1));
    TRY(parity_give(l->c, values, e->elements, "%s/t", l->name));
done:
    graph_destroy(&g);
    free(values);
    return status;
}

// ---- all -------------------------------------------------------------------------------------------

static igvk_status read_settings(lightning_case *l) {
    igvk_status status = IGVK_OK;
    const json_t *betas = json_object_get(l->run, "betas");
    optimizer_settings *o = &l->optimizer;
    o->kind = OPTIMIZER_MUON;
    o->learning_rate = parity_number_or(l->run, "lr", 2e-4);
    o->beta1 = json_is_array(betas) ? json_number_value(json_array_get(betas, 0)) : 0.9;
    o->beta2 = json_is_array(betas) ? json_number_value(json_array_get(betas, 1)) : 0.95;
    o->epsilon = parity_number_or(l->run, "eps", 1e-8);
    o->momentum = parity_number_or(l->run, "momentum", 0.95);
    o->matrix_decay = parity_number_or(l->run, "weight_decay_muon", 0.01);
    o->clip = parity_number_or(l->run, "max_grad_norm", 1);
    o->ema_decay = parity_number_or(l->run, "ema_decay", 0.9999);
    o->bf16 = strcmp(parity_text_or(l->run, "newton_schulz", "f32"), "bf16") == 0;
    TRY(parity_count(l->c, l->run, "steps", 1, 64, 1, &l->steps));
done:
    return status;
}

static igvk_status start(lightning_case *l) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *e = safetensors_find(l->c->inputs, "x1.0");
    if (!e || e->rank != 4 || e->shape[0] == 0 || e->shape[0] > 1 << 16)
        THROW(IGVK_ERROR_INVALID, "%s: needs an input 'x1.0' of images x channels x height x width", l->c->folder);
    l->count = (uint32_t)e->shape[0];
    TRY(parity_model_config(l->c, json_object_get(l->c->root, "config"), e->shape[2], e->shape[3], &l->model));
    if (l->model.channels != e->shape[1] || l->model.classes == 0)
        THROW(IGVK_ERROR_INVALID, "%s: images do not have the model's channels, or it has no classes", l->c->folder);
    l->layout = training_layout_create(l->c->device, OPTIMIZER_MUON);
    if (!l->layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    model_kind_find(l->model.kind)->parameters(&l->model, l->layout);
    TRY(parameter_layout_check(l->layout));
    TRY(store_create(l->c->device, &l->store));
    TRY(training_state_add(l->store, l->layout, l->c->precision));
    TRY(parity_load_weights(l->c, l->store, l->layout, SET_MODEL, STORAGE_F32, l->c->weights, ""));
    TRY(parameter_memory_copy(l->store, l->layout, SET_MODEL, SET_EMA));
    TRY(training_copy_model(l->c->device, l->store, l->layout, l->c->precision));
done:
    return status;
}

static igvk_status run_one(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    lightning_case l = {.c = c, .run = run, .name = parity_text_or(run, "name", "")};
    TRY(read_settings(&l));
    if (strcmp(l.name, "lognorm") == 0) {
        TRY(run_times(&l));
        goto done;
    }
    TRY(start(&l));
    if (strcmp(l.name, "loss") == 0)
        TRY(run_loss_case(&l));
    else
        TRY(run_steps(&l));
done:
    store_destroy(&l.store);
    parameter_layout_destroy(&l.layout);
    return status;
}

igvk_status parity_run_lightning(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *run;
    json_array_foreach(c->runs, i, run) TRY(run_one(c, run));
done:
    return status;
}
