// SPDX-License-Identifier: MIT
// Parity of sampler trajectories: every state of every run, from given latents and noise.
#include "api/loaded_model.h"
#include "api/parity_case.h"

#include "core/text.h"
#include "sampling/sampler.h"

#include <stdlib.h>
#include <string.h>

typedef struct trajectory {
    parity_case *c;
    const char *run;
    sampler *sampler;
    float *points; // [1 + steps, N, C, H, W]: the given latents, then the state after each step
    uint32_t steps;
    bool adaptive; // its states are not at the grid's points: the last alone is kept
    uint64_t elements;
} trajectory;

// sampler_read waits for the device: the states are read as they are made.
static igvk_status keep_state(void *user, uint32_t step) {
    trajectory *t = user;
    return step < t->steps && !t->adaptive ? sampler_read(t->sampler, t->points + (step + 1) * t->elements) : IGVK_OK;
}

static bool is_lightningdit(const parity_case *c) {
    return strcmp(parity_text_or(c->root, "kind", ""), "lightningdit_sampler") == 0;
}

static igvk_status give_grid(parity_case *c, const char *run, const sampling_method *m) {
    const uint32_t points = sampling_intervals(m) + 1;
    float *grid = malloc(points * sizeof *grid);
    if (!grid)
        return fail_memory("a grid", points * sizeof *grid);
    for (uint32_t i = 0; i < points; i++)
        grid[i] = (float)sampling_time(m, i);
    igvk_status status = parity_give(c, grid, points, "%s/grid.f64", run);
    free(grid);
    return status;
}

// SiT's cases have a tensor for each state, LightningDiT's one of all.
static igvk_status give_points(const trajectory *t, const sampling_method *m) {
    igvk_status status = IGVK_OK;
    for (uint32_t i = 1; i <= t->steps && !t->adaptive; i++)
        TRY(parity_give(t->c, t->points + i * t->elements, t->elements, "%s/x%02u", t->run, i));
    if (!t->adaptive)
        TRY(parity_give(t->c, t->points, (t->steps + 1) * t->elements, "%s/trajectory", t->run));
    TRY(parity_give(t->c, t->points + t->steps * t->elements, t->elements, "%s/final", t->run));
    if (m->data_at_one)
        TRY(give_grid(t->c, t->run, m));
done:
    return status;
}

// LightningDiT's official inference: IG from t = 0 to ig_interval (0: off), CFG from cfg_interval_start on.
static igvk_status lightningdit_method(parity_case *c, const json_t *run, sampling_method *m) {
    static const struct {
        const char *name;
        solver_kind solver;
    } methods[] = {
        {"euler", SOLVER_EULER}, {"heun2", SOLVER_HEUN}, {"midpoint", SOLVER_MIDPOINT}, {"dopri5", SOLVER_DOPRI5}};
    const char *name = parity_text_or(run, "method", "");
    double points = 0;
    igvk_status status = parity_number(c, run, "num_sampling_steps", &points);
    if (status != IGVK_OK)
        return status;
    const double interval = parity_number_or(run, "ig_interval", 0), cfg = parity_number_or(run, "cfg_scale", 1);
    const bool bounded = json_is_true(json_object_get(run, "cfg_interval"));
    *m = (sampling_method){
        .steps = points >= 1 && points < 1e6 ? (uint32_t)points : 0,
        .data_at_one = true,
        .absolute = parity_number_or(run, "atol", 1e-6),
        .relative = parity_number_or(run, "rtol", 1e-3),
        .shift = parity_number_or(run, "timestep_shift", 0),
        .ig = {interval > 0 ? parity_number_or(run, "ig_scale", 1) : 1, 0, interval},
        .cfg = {cfg, bounded ? parity_number_or(run, "cfg_interval_start", 0) : 0, 1},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, name) == 0) {
            m->solver = methods[i].solver;
            return IGVK_OK;
        }
    return fail(IGVK_ERROR_INVALID, "%s: unknown method '%.40s'", c->folder, name);
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

// DiT's runs: respacing "10" or "ddim10".
static igvk_status diffusion_method(parity_case *c, const json_t *run, sampling_method *m) {
    igvk_status status = IGVK_OK;
    const char *respacing = parity_text_or(run, "respacing", "");
    const bool stride = strncmp(respacing, "ddim", 4) == 0,
               ddim = strcmp(parity_text_or(run, "sampler", ""), "ddim") == 0;
    uint64_t steps = 0;
    uint32_t channels = 0;
    TRY(fail_within(parse_u64("respacing", respacing + (stride ? 4 : 0), 1, 1000, &steps), "%s", c->folder));
    TRY(parity_count(c, run, "cfg_channels", 1, 1 << 12, 3, &channels));
    *m = (sampling_method){
        .solver = ddim ? SOLVER_DDIM : SOLVER_DDPM,
        .steps = (uint32_t)steps,
        .ig = {parity_number_or(run, "ig_scale", 1), 0, 1},
        .cfg = {parity_number_or(run, "cfg_scale", 1), 0, 1},
        .spacing = stride ? SPACING_STRIDE : SPACING_EVEN,
        .clip = json_is_true(json_object_get(run, "clip_denoised")),
        .cfg_channels = channels,
    };
done:
    return status;
}

static bool is_discrete(const parity_case *c) {
    return strcmp(parity_text_or(c->root, "kind", ""), "dit") == 0;
}

typedef struct sampler_inputs {
    float *latents, *noise;
    uint32_t *labels;
    const safetensors_entry *shape;
    uint64_t noise_elements;
} sampler_inputs;

// What a folder may ask for at most, in bytes of states kept.
#define LARGEST_TRAJECTORY (UINT64_C(1) << 30)

static igvk_status make_points(trajectory *t, const sampling_method *m, const float *latents) {
    t->steps = m->data_at_one ? sampling_intervals(m) : m->steps;
    const uint64_t bytes = (t->steps + 1) * t->elements * sizeof *t->points;
    if (bytes > LARGEST_TRAJECTORY)
        return fail(IGVK_ERROR_INVALID, "%s: run '%s' has %u steps: its states need more than 1 GiB", t->c->folder,
                    t->run, t->steps);
    t->points = malloc(bytes);
    if (!t->points)
        return fail_memory("the states of a run", bytes);
    memcpy(t->points, latents, t->elements * sizeof *t->points);
    return IGVK_OK;
}

// What the first step takes for the image: a step that ends there.
static igvk_status give_first_prediction(trajectory *t, sampling_run *run) {
    sampling_stage only = run->stages[0];
    only.coefficients[2] = 1;
    only.coefficients[3] = 0;
    only.noisy = false;
    run->stages = &only;
    run->stage_count = 1;
    igvk_status status = sampler_run(t->sampler, run);
    if (status == IGVK_OK)
        status = parity_give(t->c, t->points + t->elements, t->elements, "%s/pred_xstart_first", t->run);
    return status;
}

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
    TRY(is_lightningdit(c) ? lightningdit_method(c, entry, &method)
        : is_discrete(c)   ? diffusion_method(c, entry, &method)
                           : method_of(c, entry, &method));
    TRY(schedule_make(&method, &stages, &o.stage_count));
    o.stages = stages;
    o.cfg_channels = method.cfg_channels;
    bool noisy = method.solver == SOLVER_SDE || method.solver == SOLVER_DDPM;
    if (noisy && (!in->noise || in->noise_elements < (uint64_t)(method.steps - 1) * t.elements))
        THROW(IGVK_ERROR_INVALID, "%s: run '%s' needs noise for %u steps", c->folder, t.run, method.steps - 1);
    t.adaptive = o.adaptive = method.solver == SOLVER_DOPRI5;
    TRY(make_points(&t, &method, in->latents));
    TRY(sampler_create(&o, &t.sampler));
    sampling_run run = {.adaptive = t.adaptive ? &method : NULL,
                        .stages = stages,
                        .stage_count = o.stage_count,
                        .labels = in->labels,
                        .latents = in->latents,
                        .noise = in->noise,
                        .after_step = keep_state,
                        .user = &t};
    TRY(sampler_run(t.sampler, &run));
    if (t.adaptive)
        TRY(sampler_read(t.sampler, t.points + t.steps * t.elements));

    TRY(give_points(&t, &method));
    if (solver_is_discrete(method.solver))
        TRY(give_first_prediction(&t, &run));
done:
    sampler_destroy(&t.sampler);
    free(t.points);
    free(stages);
    return status;
}

// noise.0, noise.1, ... one after the other.
static igvk_status join_noises(parity_case *c, sampler_inputs *in) {
    igvk_status status = IGVK_OK;
    char name[32] = "noise.0";
    float *one = NULL;
    const safetensors_entry *e = NULL;
    uint32_t count = 0;
    for (; safetensors_find(c->inputs, name); snprintf(name, sizeof name, "noise.%u", count)) {
        free(one);
        one = NULL;
        TRY(parity_floats(c->inputs, name, &one, &e));
        float *grown = realloc(in->noise, (count + 1) * in->shape->elements * sizeof *grown);
        if (!grown || e->elements != in->shape->elements) {
            in->noise = grown ? grown : in->noise;
            status = grown ? fail(IGVK_ERROR_INVALID, "%s: '%s' is not of the latents' shape", c->folder, name)
                           : fail_memory(name, (count + 1) * in->shape->elements * sizeof *grown);
            goto done;
        }
        in->noise = grown;
        memcpy(in->noise + count++ * in->shape->elements, one, in->shape->elements * sizeof *one);
    }
    in->noise_elements = count * in->shape->elements;
done:
    free(one);
    return status;
}

static igvk_status read_inputs(parity_case *c, sampler_inputs *in) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *labels = NULL, *noise = NULL;
    const bool official = is_lightningdit(c) || is_discrete(c);
    TRY(parity_floats(c->inputs, official ? "z" : "latents", &in->latents, &in->shape));
    if (is_discrete(c))
        TRY(join_noises(c, in));
    if (safetensors_find(c->inputs, "noise")) {
        TRY(parity_floats(c->inputs, "noise", &in->noise, &noise));
        in->noise_elements = noise->elements;
    }
    TRY(parity_words(c->inputs, is_discrete(c) ? "sy" : official ? "y" : "labels", &in->labels, &labels));
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
    TRY(read_inputs(c, &in));
    TRY(parity_model_config(c, json_object_get(c->root, "config"), in.shape->shape[2], in.shape->shape[3], &m));
    if (m.channels != in.shape->shape[1])
        THROW(IGVK_ERROR_INVALID, "%s: latents have %llu channels, the model %u", c->folder,
              (unsigned long long)in.shape->shape[1], m.channels);
    if (m.classes)
        TRY(parity_check_labels(c, &m, in.labels, in.shape->shape[0]));
    layout = layout_for(c->device, &m, c->precision);
    if (!layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    TRY(parameter_layout_check(layout));
    TRY(store_create(c->device, &s));
    TRY(parity_load_weights(c, s, layout, "ema", c->precision, c->weights, ""));
    parameter_set set = {.layout = layout, .arena_name = "ema", .role = ROLE_PARAMETER, .type = c->precision};
    json_array_foreach(c->runs, i, entry) {
        if (!is_discrete(c) || json_object_get(entry, "sampler"))
            TRY(run_one(c, entry, &m, &set, s, &in));
    }
done:
    store_destroy(&s);
    parameter_layout_destroy(&layout);
    free(in.latents);
    free(in.noise);
    free(in.labels);
    return status;
}
