// SPDX-License-Identifier: MIT
// Parity of models of discrete times, whose folders hold runs of several sorts: a forward, sampling, and the losses of
// a batch with their gradients.
#include "api/parity_case.h"

#include "step_block.h"
#include "api/loaded_model.h"
#include "sampling/diffusion.h"
#include "sampling/step_words.h"
#include "training/training_state.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/run_once.h"

#include <stdlib.h>
#include <string.h>

typedef struct loss_case {
    parity_case *c;
    const char *name;
    model_config model;
    parameter_layout *layout;
    store *store;
    objective_options objective;
    const safetensors_entry *shape; // of the images
    float *images, *noise, *times;
    uint32_t *labels;
} loss_case;

static igvk_status read_batch(loss_case *t) {
    igvk_status status = IGVK_OK;
    uint32_t *whole = NULL;
    const safetensors_entry *noise = NULL, *times = NULL, *labels = NULL;
    TRY(parity_floats(t->c->inputs, "x_start", &t->images, &t->shape));
    TRY(parity_floats(t->c->inputs, "tnoise", &t->noise, &noise));
    TRY(parity_words(t->c->inputs, "tt", &whole, &times));
    TRY(parity_words(t->c->inputs, "ty", &t->labels, &labels));
    if (t->shape->rank != 4 || t->shape->shape[0] > 1 << 16 || noise->elements != t->shape->elements ||
        times->elements != t->shape->shape[0] || labels->elements != times->elements)
        THROW(IGVK_ERROR_INVALID, "%s: x_start, tnoise, tt and ty do not fit each other", t->c->folder);
    t->times = malloc(times->elements * sizeof *t->times);
    if (!t->times)
        THROW(IGVK_ERROR_MEMORY, "out of memory for times");
    for (uint64_t i = 0; i < times->elements; i++)
        t->times[i] = (float)whole[i];
done:
    free(whole);
    return status;
}

static igvk_status prepare(loss_case *t) {
    igvk_status status = IGVK_OK;
    const float share = 1;
    const uint64_t *s = t->shape->shape;
    TRY(parity_model_config(t->c, json_object_get(t->c->root, "config"), s[2], s[3], &t->model));
    if (t->model.channels != s[1])
        THROW(IGVK_ERROR_INVALID, "%s: images do not have the model's channels", t->c->folder);
    TRY(parity_check_labels(t->c, &t->model, t->labels, s[0]));
    t->layout = layout_for(t->c->device, &t->model, STORAGE_F32);
    TRY(t->layout ? parameter_layout_check(t->layout) : fail_memory("the parameter layout", 0));
    TRY(store_create(t->c->device, &t->store));
    TRY(training_state_add(t->store, t->layout, t->c->precision));
    memcpy(training_step_block(t->store, 0) + STEP_LOSS_SCALE, &share, sizeof share);
    TRY(parity_load_weights(t->c, t->store, t->layout, SET_MODEL, STORAGE_F32, t->c->weights, ""));
    TRY(training_copy_model(t->c->device, t->store, t->layout, t->c->precision));
done:
    return status;
}

static igvk_status give_gradients(loss_case *t) {
    igvk_status status = IGVK_OK;
    float *values = NULL;
    for (size_t i = 0; i < parameter_count(t->layout); i++) {
        const parameter *p = parameter_at(t->layout, i);
        const uint64_t count = shape_elements(p->shape);
        if (!parity_wants(t->c, "%s/grad/%s", t->name, p->name))
            continue;
        free(values);
        values = malloc(count * sizeof *values);
        if (!values)
            THROW(IGVK_ERROR_MEMORY, "out of memory for '%s'", p->name);
        TRY(parity_read_set(t->c, t->store, t->layout, SET_GRADIENT, i, values));
        TRY(parity_give(t->c, values, count, "%s/grad/%s", t->name, p->name));
    }
done:
    free(values);
    return status;
}

// The terms in their official names, and each output's sum of its two.
static igvk_status give_terms(loss_case *t, float *terms, float total) {
    static const char *const names[] = {"mse", "vb", "aux_mse", "aux_vb"};
    igvk_status status = IGVK_OK;
    const uint64_t n = t->shape->shape[0];
    for (uint32_t k = 0; k < 4; k++)
        TRY(parity_give(t->c, terms + k * n, n, "%s/%s", t->name, names[k]));
    for (uint64_t i = 0; i < n; i++)
        terms[i] += terms[n + i];
    TRY(parity_give(t->c, terms, n, "%s/loss", t->name));
    TRY(parity_give(t->c, &total, 1, "%s/total", t->name));
done:
    return status;
}

static igvk_status run_losses(loss_case *t) {
    igvk_status status = IGVK_OK;
    const uint64_t n = t->shape->shape[0], elements = t->shape->elements;
    const tensor_shape shape = SHAPE(n, t->model.channels, t->model.height, t->model.width);
    float total = 0, *terms = calloc(4 * n, sizeof *terms), *x_t = calloc(elements, sizeof *x_t);
    graph *g = graph_new();
    if (!g || !terms || !x_t)
        THROW(IGVK_ERROR_MEMORY, "out of memory for losses");
    training_batch b = {.x = graph_external(g, ROLE_INPUT, "images", STORAGE_F32, shape),
                        .noise = graph_external(g, ROLE_INPUT, "noise", STORAGE_F32, shape),
                        .t = graph_external(g, ROLE_INPUT, "times", STORAGE_F32, SHAPE(n)),
                        .labels = graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(n))};
    training_losses losses = build_micro(g, &t->model, t->layout, t->c->precision, GRADIENT_ACCUMULATED, &t->objective, &b);
    once_input inputs[] = {{"images", t->images, elements * 4},
                           {"noise", t->noise, elements * 4},
                           {"times", t->times, n * 4},
                           {"labels", t->labels, n * 4}};
    once_output outputs[6] = {{losses.total, &total, 4}, {graph_find(g, "x_t"), x_t, elements * 4}};
    for (uint32_t k = 0; k < 4; k++)
        outputs[2 + k] = (once_output){losses.terms[k], terms + k * n, n * 4};
    TRY(run_once(t->c->device, t->store, &g, inputs, 4, outputs, 6));
    TRY(give_terms(t, terms, total));
    TRY(parity_give(t->c, x_t, elements, "%s/x_t", t->name));
    TRY(give_gradients(t));
done:
    graph_destroy(&g);
    free(terms);
    free(x_t);
    return status;
}

// Runs called train...: with "aux_weight" the auxiliary head learns, too.
static igvk_status losses_run(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    loss_case t = {.c = c, .name = parity_text_or(run, "name", "")};
    t.objective = (objective_options){.auxiliary_weight = parity_number_or(run, "aux_weight", 0), .guided_target = 1};
    TRY(read_batch(&t));
    TRY(prepare(&t));
    TRY(run_losses(&t));
done:
    store_destroy(&t.store);
    parameter_layout_destroy(&t.layout);
    free(t.images);
    free(t.noise);
    free(t.times);
    free(t.labels);
    return status;
}

// ---- guidance of a growing scale -------------------------------------------------------------------

#define GUIDED_CHANNELS 3

typedef struct scaled_case {
    parity_case *c;
    const json_t *run;
    model_config model;
    parameter_layout *layout;
    store *store;
    const safetensors_entry *shape; // of the images
    float *images, *out;            // out [2 N, 2 C, H, W]: the classes' rows, then those without
    uint32_t *times, *labels;
} scaled_case;

// Image n with and without its class, guided by the scale of its own time.
static igvk_status run_scaled(scaled_case *t, uint64_t n) {
    igvk_status status = IGVK_OK;
    const model_config *m = &t->model;
    const uint64_t elements = model_elements(m), channel = (uint64_t)m->height * m->width, half = 2 * elements;
    const tensor_shape one = SHAPE(1, 2 * m->channels, m->height, m->width);
    const uint32_t labels[] = {t->labels[n], m->classes};
    const float time[] = {(float)t->times[n], (float)t->times[n]};
    uint32_t words[(1 + STEP_RING) * STEP_WORDS] = {0};
    float *guided = t->out + n * half, *unguided = t->out + (t->shape->shape[0] + n) * half;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    const double scale = diffusion_cfg_scale(parity_number_or(t->run, "cfg_scale", 1),
                                             parity_number_or(t->run, "scale_pow", 4), t->times[n] / 1000.0);
    step_words_of_stage(&(sampling_stage){.ig = 1, .cfg = scale}, words + STEP_WORDS);
    const parameter_set set = {
        .layout = t->layout, .arena_name = SET_LOADED, .role = ROLE_PARAMETER, .type = t->c->precision};
    const tensor_id x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(1, m->channels, m->height, m->width));
    const model_inputs in = {.x = op_repeat(g, x, 2),
                             .t = graph_external(g, ROLE_INPUT, "t", STORAGE_F32, SHAPE(2)),
                             .labels = graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(2))};
    const model_outputs out = model_kind_find(m->kind)->build(g, m, &set, &in);
    const tensor_id row = op_split_columns(g, graph_view(g, out.final_output, 0, SHAPE(1, 2 * half), NULL), 2);
    const tensor_id null_half = graph_output(g, row, 1);
    const guidance_inputs guidance = {.final_output = graph_view(g, row, 0, one, NULL),
                                      .null_final = graph_view(g, null_half, 0, one, NULL),
                                      .cfg_elements = GUIDED_CHANNELS * channel};
    const tensor_id steps = graph_external(g, ROLE_INPUT, "steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS));
    once_input inputs[] = {{"x", t->images + n * elements, elements * 4},
                           {"t", time, sizeof time},
                           {"labels", labels, sizeof labels},
                           {"steps", words, sizeof words}};
    once_output outputs[] = {{op_guidance(g, steps, &guidance), guided, half * 4}, {null_half, unguided, half * 4}};
    TRY(run_once(t->c->device, t->store, &g, inputs, 4, outputs, 2));
    memcpy(unguided, guided, GUIDED_CHANNELS * channel * sizeof *guided);
done:
    graph_destroy(&g);
    return status;
}

static igvk_status read_scaled(scaled_case *t) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *times = NULL, *labels = NULL;
    TRY(parity_floats(t->c->inputs, "cx", &t->images, &t->shape));
    TRY(parity_words(t->c->inputs, "ct", &t->times, &times));
    TRY(parity_words(t->c->inputs, "cy", &t->labels, &labels));
    const uint64_t *s = t->shape->shape;
    if (t->shape->rank != 4 || s[0] > 1 << 16 || times->elements != s[0] || labels->elements != s[0])
        THROW(IGVK_ERROR_INVALID, "%s: cx, ct and cy do not fit each other", t->c->folder);
    TRY(parity_model_config(t->c, json_object_get(t->c->root, "config"), s[2], s[3], &t->model));
    if (t->model.channels != s[1] || s[1] < GUIDED_CHANNELS || !t->model.learn_sigma)
        THROW(IGVK_ERROR_INVALID, "%s: images do not have the model's channels", t->c->folder);
    TRY(parity_check_labels(t->c, &t->model, t->labels, s[0]));
    t->out = calloc(4 * t->shape->elements + 1, sizeof *t->out);
    if (!t->out)
        THROW(IGVK_ERROR_MEMORY, "out of memory for guided outputs");
done:
    return status;
}

static igvk_status scaled_run(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    scaled_case t = {.c = c, .run = run};
    TRY(read_scaled(&t));
    t.layout = layout_for(c->device, &t.model, c->precision);
    TRY(t.layout ? parameter_layout_check(t.layout) : fail_memory("the parameter layout", 0));
    TRY(store_create(c->device, &t.store));
    TRY(parity_load_weights(c, t.store, t.layout, SET_LOADED, c->precision, c->weights, ""));
    for (uint64_t n = 0; n < t.shape->shape[0]; n++)
        TRY(run_scaled(&t, n));
    TRY(parity_give(c, t.out, 4 * t.shape->elements, "%s/out", parity_text_or(run, "name", "")));
done:
    store_destroy(&t.store);
    parameter_layout_destroy(&t.layout);
    free(t.images);
    free(t.times);
    free(t.labels);
    free(t.out);
    return status;
}

// ---- all -------------------------------------------------------------------------------------------

igvk_status parity_run_diffusion(parity_case *c) {
    igvk_status status = IGVK_OK;
    bool samples = false;
    size_t i;
    json_t *entry;
    json_array_foreach(c->runs, i, entry) {
        if (json_object_get(entry, "sampler"))
            samples = true;
        else if (json_object_get(entry, "scale_pow"))
            TRY(scaled_run(c, entry));
        else if (strncmp(parity_text_or(entry, "name", ""), "train", 5) == 0)
            TRY(losses_run(c, entry));
        else
            TRY(parity_forward_run(c, entry));
    }
    if (samples)
        TRY(parity_run_sampler(c));
done:
    return status;
}
