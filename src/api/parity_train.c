// SPDX-License-Identifier: MIT
// Parity of training: losses, gradients, optimizer steps and EMA on given batches; the optimizer alone; times.
#include "api/parity_case.h"

#include "step_block.h"
#include "training/training_state.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/run_once.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *set, *output;
} sets[] = {{SET_GRADIENT, "grad"},
            {SET_MODEL, "param"},
            {SET_EMA, "ema"},
            {SET_MOMENT1, "exp_avg"},
            {SET_MOMENT2, "exp_avg_sq"}};

typedef struct training_case {
    parity_case *c;
    const json_t *run;
    const char *name;
    model_config model;
    parameter_layout *layout;
    store *store;
    storage_type precision;
    optimizer_settings optimizer;
    objective_options objective;
    const safetensors_entry *images; // [K, N, C, H, W]
    float *image_values, *noise, *times;
    uint32_t *labels;
    uint32_t count;  // N
    uint32_t micros; // per step
    uint32_t steps;
    uint32_t next_run;
} training_case;

static igvk_status read_settings(training_case *t) {
    igvk_status status = IGVK_OK;
    const json_t *r = t->run;
    TRY(parity_number(t->c, r, "learning_rate", &t->optimizer.learning_rate));
    t->optimizer.beta1 = parity_number_or(r, "adam_beta1", 0.9);
    t->optimizer.beta2 = parity_number_or(r, "adam_beta2", 0.999);
    t->optimizer.epsilon = parity_number_or(r, "adam_epsilon", 1e-8);
    t->optimizer.weight_decay = parity_number_or(r, "adam_weight_decay", 0);
    t->optimizer.clip = parity_number_or(r, "max_grad_norm", 1);
    t->optimizer.ema_decay = parity_number_or(r, "ema_decay", 0.9999);
    t->objective.auxiliary_weight = parity_number_or(r, "auxiliary_weight", 0.5);
    t->objective.guided_target = parity_number_or(r, "guidance_weight", 1);
    t->objective.guided_low = parity_number_or(r, "guidance_low", 0);
    t->objective.guided_high = parity_number_or(r, "guidance_high", 1);
    TRY(parity_count(t->c, r, "gradient_accumulation_steps", 1, 64, 1, &t->micros));
    TRY(parity_count(t->c, r, "steps", 1, 1000, 1, &t->steps));
done:
    return status;
}

// Gives every parameter of a set as RUN/stepS.WHAT/NAME; qkv biases also as .qv, without the k third, whose
// gradient is rounding noise.
static igvk_status give_set(training_case *t, uint32_t step, const char *set, const char *what) {
    igvk_status status = IGVK_OK;
    float *values = NULL;
    for (size_t i = 0; i < parameter_count(t->layout); i++) {
        const parameter *p = parameter_at(t->layout, i);
        uint64_t count = shape_elements(p->shape);
        if (!parity_wants(t->c, "%s/step%u.%s/%s", t->name, step, what, p->name) &&
            !parity_wants(t->c, "%s/step%u.%s/%s.qv", t->name, step, what, p->name))
            continue;
        free(values);
        values = malloc(count * sizeof *values);
        if (!values) {
            status = fail_memory(p->name, count * sizeof *values);
            goto done;
        }
        TRY(parity_read_set(t->c, t->store, t->layout, set, i, values));
        TRY(parity_give(t->c, values, count, "%s/step%u.%s/%s", t->name, step, what, p->name));
        if (count % 3 == 0) {
            memmove(values + count / 3, values + 2 * (count / 3), count / 3 * sizeof *values);
            TRY(parity_give(t->c, values, 2 * (count / 3), "%s/step%u.%s/%s.qv", t->name, step, what, p->name));
        }
    }
done:
    free(values);
    return status;
}

static igvk_status update(training_case *t, uint32_t step) {
    igvk_status status = IGVK_OK;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    build_update(g, t->layout, t->precision, GRADIENT_ACCUMULATED, false);
    optimizer_words(&t->optimizer, step - 1, 0, training_step_block(t->store, t->next_run));
    TRY(run_once(t->c->device, t->store, &g, NULL, 0, NULL, 0));
    float norm = training_metrics(t->store, t->next_run++)[METRIC_GRADIENT_NORM];
    TRY(parity_give(t->c, &norm, 1, "%s/step%u.grad_norm", t->name, step));
    for (size_t i = 1; i < sizeof sets / sizeof *sets; i++)
        TRY(give_set(t, step, sets[i].set, sets[i].output));
done:
    graph_destroy(&g);
    return status;
}

// ---- training steps --------------------------------------------------------------------------------

// Forward and backward of batch `row`; sample i's value of term k goes to terms[k * stride + i].
static igvk_status micro(training_case *t, uint64_t row, float *terms, uint64_t stride) {
    igvk_status status = IGVK_OK;
    const model_config *m = &t->model;
    uint64_t n = t->count, image = n * model_elements(m);
    float share = 1 / (float)t->micros;
    tensor_shape shape = SHAPE(n, m->channels, m->height, m->width);
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    training_batch b = {.x = graph_external(g, ROLE_INPUT, "images", STORAGE_F32, shape),
                        .noise = graph_external(g, ROLE_INPUT, "noise", STORAGE_F32, shape),
                        .t = graph_external(g, ROLE_INPUT, "times", STORAGE_F32, SHAPE(n)),
                        .labels =
                            m->classes ? graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(n)) : NO_TENSOR};
    training_losses losses = build_micro(g, m, t->layout, t->precision, GRADIENT_ACCUMULATED, &t->objective, &b);
    memcpy(training_step_block(t->store, t->next_run) + STEP_LOSS_SCALE, &share, sizeof share);
    once_input inputs[] = {{"images", t->image_values + row * image, image * 4},
                           {"noise", t->noise + row * image, image * 4},
                           {"times", t->times + row * n, n * 4},
                           {"labels", t->labels + row * n, n * 4}};
    once_output outputs[OBJECTIVE_TERMS];
    for (uint32_t k = 0; k < losses.count; k++)
        outputs[k] = (once_output){losses.terms[k], terms + k * stride, n * 4};
    TRY(run_once(t->c->device, t->store, &g, inputs, m->classes ? 4 : 3, outputs, losses.count));
    t->next_run++;
done:
    graph_destroy(&g);
    return status;
}

static igvk_status step(training_case *t, uint32_t number) {
    igvk_status status = IGVK_OK;
    uint32_t first_run = t->next_run;
    uint64_t count = (uint64_t)t->micros * t->count;
    double loss = 0;
    float *losses = calloc(OBJECTIVE_TERMS * count, sizeof *losses);
    if (!losses)
        return fail_memory("losses", OBJECTIVE_TERMS * count * sizeof *losses);
    for (uint32_t k = 0; k < t->micros; k++)
        TRY(micro(t, (uint64_t)(number - 1) * t->micros + k, losses + k * t->count, count));
    for (uint32_t k = 0; k < t->micros; k++)
        loss += training_metrics(t->store, first_run + k)[METRIC_LOSS] / (double)t->micros;
    float total = (float)loss;
    TRY(parity_give(t->c, losses, count, "%s/step%u.loss_final", t->name, number));
    TRY(parity_give(t->c, losses + count, count, "%s/step%u.loss_aux", t->name, number));
    TRY(parity_give(t->c, &total, 1, "%s/step%u.loss", t->name, number));
    TRY(give_set(t, number, SET_GRADIENT, "grad"));
    TRY(update(t, number));
done:
    free(losses);
    return status;
}

static igvk_status read_batches(training_case *t, uint64_t rows) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *noise = NULL, *times = NULL, *labels = NULL;
    TRY(parity_floats(t->c->inputs, "images", &t->image_values, &t->images));
    TRY(parity_floats(t->c->inputs, "noise", &t->noise, &noise));
    TRY(parity_floats(t->c->inputs, "times", &t->times, &times));
    TRY(parity_words(t->c->inputs, "labels", &t->labels, &labels));
    const uint64_t *s = t->images->shape;
    if (t->images->rank != 5 || s[0] < rows || s[1] == 0 || s[1] > 1 << 16 || noise->elements != t->images->elements ||
        times->elements != s[0] * s[1] || labels->elements != times->elements)
        THROW(IGVK_ERROR_INVALID, "%s: images, noise, times and labels do not fit %llu batches", t->c->folder,
              (unsigned long long)rows);
    t->count = (uint32_t)s[1];
done:
    return status;
}

// Whether the case gives the EMA its own start (the guided runs).
static bool has_ema(const training_case *t) {
    for (size_t i = 0; i < safetensors_count(t->c->inputs); i++)
        if (strncmp(safetensors_at(t->c->inputs, i)->name, "ema/", 4) == 0)
            return t->objective.guided_target != 1;
    return false;
}

static igvk_status run_training(training_case *t) {
    igvk_status status = IGVK_OK;
    TRY(read_batches(t, (uint64_t)t->steps * t->micros));
    const json_t *config = json_object_get(t->run, "config");
    TRY(parity_model_config(t->c, config ? config : json_object_get(t->c->root, "config"), t->images->shape[3],
                            t->images->shape[4], &t->model));
    if (t->model.channels != t->images->shape[2])
        THROW(IGVK_ERROR_INVALID, "%s: images do not have the model's channels", t->c->folder);
    if (t->model.classes)
        TRY(parity_check_labels(t->c, &t->model, t->labels, t->images->shape[0] * t->count));
    t->model.path = strcmp(parity_text_or(t->run, "path_type", "linear"), "cosine") == 0 ? PATH_COSINE : PATH_LINEAR;
    t->precision = t->c->precision;
    t->layout = training_layout_create(t->c->device, OPTIMIZER_ADAMW);
    if (!t->layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    model_kind_find(t->model.kind)->parameters(&t->model, t->layout);
    TRY(parameter_layout_check(t->layout));
    TRY(store_create(t->c->device, &t->store));
    TRY(training_state_add(t->store, t->layout, t->precision));
    TRY(parity_load_weights(t->c, t->store, t->layout, SET_MODEL, STORAGE_F32, t->c->weights, ""));
    if (has_ema(t))
        TRY(parity_load_weights(t->c, t->store, t->layout, SET_EMA, STORAGE_F32, t->c->inputs, "ema/"));
    else
        TRY(parameter_memory_copy(t->store, t->layout, SET_MODEL, SET_EMA));
    TRY(training_copy_model(t->c->device, t->store, t->layout, t->precision));
    for (uint32_t k = 1; k <= t->steps; k++)
        TRY(step(t, k));
done:
    return status;
}

// ---- optimizer alone -------------------------------------------------------------------------------

// Inputs "RUN.param/NAME", "RUN.ema/NAME" and "RUN.grad/NAME" (first axis: the step).
static igvk_status add_given_parameters(training_case *t) {
    char prefix[96];
    int length = snprintf(prefix, sizeof prefix, "%s.param/", t->name);
    for (size_t i = 0; i < safetensors_count(t->c->inputs); i++) {
        const safetensors_entry *e = safetensors_at(t->c->inputs, i);
        if (strncmp(e->name, prefix, (size_t)length) != 0 || e->rank > TENSOR_MAX_RANK || e->rank == 0)
            continue;
        parameter p = {.name = e->name + length, .shape = {.rank = e->rank}};
        memcpy(p.shape.dim, e->shape, e->rank * sizeof *e->shape);
        parameter_layout_add(t->layout, &p);
    }
    return parameter_layout_check(t->layout);
}

static igvk_status write_given(training_case *t, const char *what, const char *set, uint64_t row, bool rows) {
    igvk_status status = IGVK_OK;
    float *values = NULL;
    for (size_t i = 0; i < parameter_count(t->layout); i++) {
        char name[192];
        const safetensors_entry *e = NULL;
        const parameter *p = parameter_at(t->layout, i);
        uint64_t count = shape_elements(p->shape);
        snprintf(name, sizeof name, "%s.%s/%s", t->name, what, p->name);
        free(values);
        TRY(parity_floats(t->c->inputs, name, &values, &e));
        if (e->elements < (row + 1) * count || (!rows && e->elements != count))
            THROW(IGVK_ERROR_INVALID, "%s: input '%s' is too small", t->c->folder, name);
        TRY(parameter_memory_write(t->store, t->layout, set, i, values + row * count));
    }
done:
    free(values);
    return status;
}

static igvk_status run_optimizer(training_case *t) {
    igvk_status status = IGVK_OK;
    t->layout = training_layout_create(t->c->device, OPTIMIZER_ADAMW);
    if (!t->layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    TRY(add_given_parameters(t));
    TRY(store_create(t->c->device, &t->store));
    TRY(training_state_add(t->store, t->layout, t->precision));
    TRY(write_given(t, "param", SET_MODEL, 0, false));
    TRY(write_given(t, "ema", SET_EMA, 0, false));
    for (uint32_t k = 1; k <= t->steps; k++) {
        TRY(write_given(t, "grad", SET_GRADIENT, k - 1, true));
        TRY(update(t, k));
    }
done:
    return status;
}

// ---- times -----------------------------------------------------------------------------------------

static igvk_status run_times(training_case *t) {
    igvk_status status = IGVK_OK;
    static const char *const names[] = {"linear", "cosine"};
    const safetensors_entry *e = NULL;
    store *s = NULL;
    graph *g = NULL;
    TRY(parity_floats(t->c->inputs, "normals", &t->times, &e));
    for (int k = 0; k < 2; k++) {
        float *out = t->noise = realloc(t->noise, e->elements * sizeof *out);
        store_destroy(&s);
        TRY(store_create(t->c->device, &s));
        g = graph_new();
        if (!g || !out)
            THROW(IGVK_ERROR_MEMORY, "out of memory for times");
        tensor_id normals = graph_external(g, ROLE_INPUT, "normals", STORAGE_F32, SHAPE(e->elements));
        tensor_id times = op_times_of_normals(g, normals, k ? PATH_COSINE : PATH_LINEAR);
        TRY(run_once(t->c->device, s, &g, &(once_input){"normals", t->times, e->elements * 4}, 1,
                     &(once_output){times, out, e->elements * 4}, 1));
        TRY(parity_give(t->c, out, e->elements, "%s/%s", t->name, names[k]));
    }
done:
    graph_destroy(&g);
    store_destroy(&s);
    return status;
}

// ---- all -------------------------------------------------------------------------------------------

static igvk_status run_one(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    training_case t = {.c = c, .run = run, .name = parity_text_or(run, "name", "")};
    const char *kind = parity_text_or(run, "kind", "train");
    if (strcmp(kind, "times") == 0) {
        TRY(run_times(&t));
    } else if (strcmp(kind, "optimizer") == 0) {
        TRY(read_settings(&t));
        TRY(run_optimizer(&t));
    } else if (strcmp(kind, "train") == 0) {
        TRY(read_settings(&t));
        TRY(run_training(&t));
    } else {
        THROW(IGVK_ERROR_INVALID, "%s: unknown kind of run '%.40s'", c->folder, kind);
    }
done:
    store_destroy(&t.store);
    parameter_layout_destroy(&t.layout);
    free(t.image_values);
    free(t.noise);
    free(t.times);
    free(t.labels);
    return status;
}

igvk_status parity_run_train(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *run;
    json_array_foreach(c->runs, i, run) TRY(run_one(c, run));
done:
    return status;
}
