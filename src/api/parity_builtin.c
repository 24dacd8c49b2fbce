// SPDX-License-Identifier: MIT
#include "api/parity_builtin.h"

#include "api/loaded_model.h"
#include "core/philox.h"
#include "models/reference.h"
#include "sampling/step_words.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/run_once.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20
#define NUMBERS 256

typedef struct builtin {
    device *device;
    void (*line)(void *user, const igvk_parity_line *l);
    void *user;
    igvk_parity_result *result;
} builtin;

// Tolerance is relative to the largest magnitude of what is expected.
static void compare(const builtin *b, const char *name, const float *have, const double *want, size_t count, double relative) {
    double error = 0, difference = 0, norm = 0, largest = 0;
    igvk_parity_line l = {.folder = "built-in", .tensor = name};
    for (size_t i = 0; i < count; i++) {
        double e = fabs(have[i] - want[i]);
        error = e > error ? e : error;
        largest = fmax(largest, fabs(want[i]));
        difference += e * e;
        norm += want[i] * want[i];
        if (!isfinite(have[i]))
            l.note = "not finite";
    }
    l.error = error;
    l.tolerance = relative * largest;
    l.relative_l2 = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    l.within = !l.note && error <= l.tolerance;
    *(l.within ? &b->result->within : &b->result->out) += 1;
    if (b->line)
        b->line(b->user, &l);
}

// ---- random numbers --------------------------------------------------------------------------------

static igvk_status check_normals(const builtin *b) {
    igvk_status status = IGVK_OK;
    store *s = NULL;
    float have[NUMBERS];
    double want[NUMBERS];
    const uint32_t seed[] = {SEED, 1};
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    tensor_id seeds = graph_external(g, ROLE_INPUT, "seeds", STORAGE_U32, SHAPE(1, 2));
    tensor_id normals = op_normal(g, NO_TENSOR, seeds, STREAM_LATENT, SHAPE(1, NUMBERS));
    TRY(store_create(b->device, &s));
    TRY(run_once(b->device, s, &g, &(once_input){"seeds", seed, sizeof seed}, 1, &(once_output){normals, have, sizeof have}, 1));
    for (uint32_t i = 0; i < NUMBERS; i++)
        want[i] = random_normal(SEED | 1ull << 32, STREAM_LATENT, 0, 0, i);
    compare(b, "normals", have, want, NUMBERS, 3e-6);
done:
    graph_destroy(&g);
    store_destroy(&s);
    return status;
}

// ---- guidance --------------------------------------------------------------------------------------

static igvk_status check_guidance(const builtin *b) {
    igvk_status status = IGVK_OK;
    static const char *const names[] = {"f", "i", "f_null", "i_null"};
    const double w = 1.4, c = 1.35;
    float values[4][NUMBERS], have[NUMBERS];
    double want[NUMBERS];
    uint32_t steps[(1 + STEP_RING) * STEP_WORDS] = {0};
    once_input inputs[5];
    tensor_id t[4];
    store *s = NULL;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    step_words_of_stage(&(sampling_stage){.ig = w, .cfg = c}, steps + STEP_WORDS);
    for (uint32_t k = 0; k < 4; k++) {
        for (uint32_t i = 0; i < NUMBERS; i++)
            values[k][i] = (float)random_normal(SEED, STREAM_NOISE, k, 0, i);
        inputs[k] = (once_input){names[k], values[k], sizeof values[k]};
        t[k] = graph_external(g, ROLE_INPUT, names[k], STORAGE_F32, SHAPE(1, NUMBERS));
    }
    inputs[4] = (once_input){"steps", steps, sizeof steps};
    tensor_id out = op_guidance(
        g, graph_external(g, ROLE_INPUT, "steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS)),
        &(guidance_inputs){.final_output = t[0], .intermediate = t[1], .null_final = t[2], .null_intermediate = t[3]});
    TRY(store_create(b->device, &s));
    TRY(run_once(b->device, s, &g, inputs, 5, &(once_output){out, have, sizeof have}, 1));
    for (uint32_t i = 0; i < NUMBERS; i++) {
        double u = values[1][i] + w * ((double)values[0][i] - values[1][i]), n = values[3][i] + w * ((double)values[2][i] - values[3][i]);
        want[i] = n + c * (u - n);
    }
    compare(b, "guidance", have, want, NUMBERS, 1e-6);
done:
    graph_destroy(&g);
    store_destroy(&s);
    return status;
}

// ---- a small SiT or DiT -----------------------------------------------------------------------------------

typedef struct small_model {
    parameter_layout *layout;
    float **parameters;
    store *store;
    float *x, *have;
    double *want_final, *want_intermediate;
} small_model;

static igvk_status copy_parameter(void *user, const parameter_layout *l, size_t i, uint64_t first, uint64_t count, float *out) {
    const small_model *m = user;
    (void)l;
    memcpy(out, m->parameters[i] + first, count * sizeof *out);
    return IGVK_OK;
}

static igvk_status fill_parameters(small_model *m) {
    igvk_status status = IGVK_OK;
    for (size_t i = 0; i < parameter_count(m->layout); i++) {
        const parameter *p = parameter_at(m->layout, i);
        uint64_t count = shape_elements(p->shape);
        // Zeros would hide half the model: linear weights keep the activations near one, all else is around 0.1.
        double scale = p->shape.rank > 1 ? 1 / sqrt((double)count / (double)p->shape.dim[0]) : 0.1;
        m->parameters[i] = malloc(count * sizeof(float));
        if (!m->parameters[i]) {
            status = fail_memory(p->name, count * sizeof(float));
            goto done;
        }
        for (uint64_t e = 0; e < count; e++)
            m->parameters[i][e] = (float)(scale * random_normal(SEED, STREAM_INITIALISATION, 0, (uint32_t)i, e));
    }
    TRY(parameter_memory_add(m->store, m->layout, SET_LOADED, STORAGE_F32));
    TRY(parameter_memory_fill(m->store, &(parameter_set){.layout = m->layout, .arena_name = SET_LOADED},
                              &(parameter_source){.read = copy_parameter, .user = m}));
done:
    return status;
}

static igvk_status run_model(const builtin *b, const model_config *c, small_model *m, uint32_t count, const float *t, const uint32_t *labels) {
    igvk_status status = IGVK_OK;
    uint64_t elements = count * model_elements(c), outputs_count = elements << c->learn_sigma;
    char name[48];
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    parameter_set set = {.layout = m->layout, .arena_name = SET_LOADED, .role = ROLE_PARAMETER};
    model_inputs in = {.x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(count, c->channels, c->height, c->width)),
                       .t = graph_external(g, ROLE_INPUT, "t", STORAGE_F32, SHAPE(count)),
                       .labels = graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(count))};
    model_outputs out = model_kind_find(c->kind)->build(g, c, &set, &in);
    once_input inputs[] = {{"x", m->x, elements * 4}, {"t", t, count * 4}, {"labels", labels, count * 4}};
    once_output outputs[] = {{out.final_output, m->have, outputs_count * 4},
                             {out.intermediate, m->have + outputs_count, outputs_count * 4}};
    TRY(run_once(b->device, m->store, &g, inputs, 3, outputs, 2));
    const char *variant = c->qk_norm ? ", qk-norm" : "", *kind = c->learn_sigma ? "DiT" : "SiT";
    snprintf(name, sizeof name, "%s head %u%s: D_f", kind, c->hidden / c->heads, variant);
    compare(b, name, m->have, m->want_final, outputs_count, 2e-5);
    snprintf(name, sizeof name, "%s head %u%s: D_i", kind, c->hidden / c->heads, variant);
    compare(b, name, m->have + outputs_count, m->want_intermediate, outputs_count, 2e-5);
done:
    graph_destroy(&g);
    return status;
}

static igvk_status check_model(const builtin *b, const model_config *c) {
    enum { COUNT = 2 };
    const bool discrete = model_kind_find(c->kind)->time == MODEL_DISCRETE;
    const float t[COUNT] = {discrete ? 37 : 0.15f, discrete ? 999 : 0.85f};
    const uint32_t labels[COUNT] = {1, 3};
    igvk_status status = IGVK_OK;
    uint64_t elements = COUNT * model_elements(c), outputs = elements << c->learn_sigma;
    small_model m = {.layout = layout_for(b->device, c, STORAGE_F32)};
    TRY(m.layout ? parameter_layout_check(m.layout) : fail_memory("the parameter layout", 0));
    m.parameters = calloc(parameter_count(m.layout), sizeof *m.parameters);
    m.x = malloc(elements * sizeof *m.x);
    m.have = malloc(2 * outputs * sizeof *m.have);
    m.want_final = calloc(outputs, sizeof *m.want_final);
    m.want_intermediate = calloc(outputs, sizeof *m.want_intermediate);
    if (!m.parameters || !m.x || !m.have || !m.want_final || !m.want_intermediate)
        THROW(IGVK_ERROR_MEMORY, "out of memory for a small model");
    for (uint64_t i = 0; i < elements; i++)
        m.x[i] = (float)random_normal(SEED, STREAM_LATENT, 0, 0, i);
    TRY(store_create(b->device, &m.store));
    TRY(fill_parameters(&m));
    TRY(reference_sit(c, m.layout, (const float *const *)m.parameters, COUNT, m.x, t, labels, m.want_final, m.want_intermediate));
    TRY(run_model(b, c, &m, COUNT, t, labels));
done:
    for (size_t i = 0; m.parameters && i < parameter_count(m.layout); i++)
        free(m.parameters[i]);
    free(m.parameters);
    free(m.x);
    free(m.have);
    free(m.want_final);
    free(m.want_intermediate);
    store_destroy(&m.store);
    parameter_layout_destroy(&m.layout);
    return status;
}

igvk_status parity_builtin(device *d, void (*line)(void *user, const igvk_parity_line *l), void *user, igvk_parity_result *result) {
    igvk_status status = IGVK_OK;
    const builtin b = {d, line, user, result};
    // A rectangle with head dimension 12; head dimension 72 with qk-norm and another patch.
    const model_config small = {.kind = "sit", .height = 8, .width = 12, .channels = 3, .patch = 2, .hidden = 48, .depth = 3, .heads = 4,
                                .head_after = 1, .classes = 5, .null_class = true, .mlp_ratio = 4};
    const model_config wide = {.kind = "sit", .height = 16, .width = 16, .channels = 4, .patch = 4, .hidden = 144, .depth = 2, .heads = 2,
                               .head_after = 1, .classes = 5, .null_class = true, .qk_norm = true, .mlp_ratio = 4};
    const model_config dit = {.kind = "dit",
                              .height = 12,
                              .width = 8,
                              .channels = 3,
                              .patch = 2,
                              .hidden = 48,
                              .depth = 2,
                              .heads = 2,
                              .head_after = 1,
                              .classes = 5,
                              .null_class = true,
                              .learn_sigma = true,
                              .mlp_ratio = 4};
    TRY(check_normals(&b));
    TRY(check_guidance(&b));
    TRY(check_model(&b, &small));
    TRY(check_model(&b, &wide));
    TRY(check_model(&b, &dit));
done:
    return status;
}
