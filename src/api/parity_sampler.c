// SPDX-License-Identifier: MIT
// Parity of sampler trajectories: every state of every run, from given latents and noise.
#include "api/parity_case.h"

#include "sampling/sampler.h"

#include <stdlib.h>
#include <string.h>

typedef struct trajectory {
    parity_case *c;
    const char *run;
    sampler *sampler;
    float *state;
    uint64_t elements;
} trajectory;

static igvk_status give_state(void *user, uint32_t step) {
    trajectory *t = user;
    igvk_status status = sampler_read(t->sampler, t->state);
    if (status == IGVK_OK)
        status = parity_give(t->c, t->state, t->elements, "%s/x%02u", t->run, step + 1);
    return status;
}

static igvk_status method_of(parity_case *c, const json_t *run, sampling_method *m) {
    double steps = 0;
    const char *sampler_name = parity_text_or(run, "sampler", ""), *path = parity_text_or(run, "path_type", "linear");
    igvk_status status = parity_number(c, run, "num_steps", &steps);
    if (status != IGVK_OK)
        return status;
    *m = (sampling_method){
        .solver = json_is_true(json_object_get(run, "heun")) ? SOLVER_HEUN : SOLVER_EULER,
        .steps = steps >= 1 && steps < 1e6 ? (uint32_t)steps : 0,
        .path = strcmp(path, "cosine") == 0 ? PATH_COSINE : PATH_LINEAR,
        .cfg = {parity_number_or(run, "cfg_scale", 1), parity_number_or(run, "guidance_low", 0),
                parity_number_or(run, "guidance_high", 1)},
        .ig = {parity_number_or(run, "sg_scale", 1), parity_number_or(run, "sg_guidance_low", 0),
               parity_number_or(run, "sg_guidance_high", 1)},
    };
    if (strncmp(sampler_name, "euler_maruyama", 14) == 0)
        m->solver = SOLVER_SDE;
    else if (strcmp(sampler_name, "euler") != 0 && strcmp(sampler_name, "euler_ig") != 0)
        return fail(IGVK_ERROR_INVALID, "%s: unknown sampler '%.40s'", c->folder, sampler_name);
    return IGVK_OK;
}

typedef struct sampler_inputs {
    float *latents, *noise;
    uint32_t *labels;
    const safetensors_entry *shape, *noise_shape;
} sampler_inputs;

static igvk_status run_one(parity_case *c, const json_t *entry, const model_config *m, const parameter_set *set,
                           store *s, const sampler_inputs *in) {
    igvk_status status = IGVK_OK;
    sampling_method method;
    sampling_stage *stages = NULL;
    trajectory t = {.c = c, .run = parity_text_or(entry, "name", ""), .elements = in->shape->elements};
    sampler_options o = {.device = c->device,
                         .store = s,
                         .config = m,
                         .parameters = set,
                         .batch = (uint32_t)in->shape->shape[0],
                         .given_noise = true};
    TRY(method_of(c, entry, &method));
    TRY(schedule_make(&method, &stages, &o.stage_count));
    o.stages = stages;
    bool noisy = method.solver == SOLVER_SDE;
    if (noisy && (!in->noise || in->noise_shape->elements < (uint64_t)(method.steps - 1) * t.elements))
        THROW(IGVK_ERROR_INVALID, "%s: run '%s' needs noise for %u steps", c->folder, t.run, method.steps - 1);
    t.state = malloc(t.elements * sizeof *t.state);
    if (!t.state)
        THROW(IGVK_ERROR_MEMORY, "out of memory for a state");
    TRY(sampler_create(&o, &t.sampler));
    sampling_run run = {.stages = stages,
                        .stage_count = o.stage_count,
                        .labels = in->labels,
                        .latents = in->latents,
                        .noise = in->noise,
                        .after_step = give_state,
                        .user = &t};
    TRY(sampler_run(t.sampler, &run));
done:
    sampler_destroy(&t.sampler);
    free(t.state);
    free(stages);
    return status;
}

static igvk_status read_inputs(parity_case *c, sampler_inputs *in) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *labels = NULL;
    TRY(parity_floats(c->inputs, "latents", &in->latents, &in->shape));
    if (safetensors_find(c->inputs, "noise"))
        TRY(parity_floats(c->inputs, "noise", &in->noise, &in->noise_shape));
    TRY(parity_words(c->inputs, "labels", &in->labels, &labels));
    if (in->shape->rank != 4 || in->shape->shape[0] > 1 << 16 || labels->elements != in->shape->shape[0])
        THROW(IGVK_ERROR_INVALID, "%s: latents and labels do not fit each other", c->folder);
done:
    return status;
}

igvk_status parity_run_sampler(parity_case *c) {
    igvk_status status = IGVK_OK;
    sampler_inputs in = {0};
    model_config m;
    parameter_layout *layout = NULL;
    store *s = NULL;
    size_t i;
    json_t *entry;
    const capabilities *caps = device_capabilities(c->device);
    TRY(read_inputs(c, &in));
    TRY(parity_model_config(c, json_object_get(c->root, "config"), in.shape->shape[2], in.shape->shape[3], &m));
    if (m.channels != in.shape->shape[1])
        THROW(IGVK_ERROR_INVALID, "%s: latents have %llu channels, the model %u", c->folder,
              (unsigned long long)in.shape->shape[1], m.channels);
    if (m.classes)
        TRY(parity_check_labels(c, &m, in.labels, in.shape->shape[0]));
    layout =
        parameter_layout_create(caps->max_binding < caps->max_allocation ? caps->max_binding : caps->max_allocation);
    if (!layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    model_kind_find(m.kind)->parameters(&m, layout);
    TRY(parameter_layout_check(layout));
    TRY(store_create(c->device, &s));
    TRY(parity_load_weights(c, s, layout, "ema", c->weights, ""));
    parameter_set set = {.layout = layout, .arena_name = "ema", .role = ROLE_PARAMETER};
    json_array_foreach(c->runs, i, entry) TRY(run_one(c, entry, &m, &set, s, &in));
done:
    store_destroy(&s);
    parameter_layout_destroy(&layout);
    free(in.latents);
    free(in.noise);
    free(in.labels);
    return status;
}
