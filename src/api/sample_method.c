// SPDX-License-Identifier: MIT
#include "api/sample_method.h"

#include <stdio.h>

// Values of --mode and --solver in the order of their choices (options_sample.c).
enum { MODE_AUTO, MODE_SDE, MODE_ODE };
enum { CHOICE_AUTO, CHOICE_EULER, CHOICE_HEUN, CHOICE_MIDPOINT, CHOICE_DOPRI5, CHOICE_DDPM, CHOICE_DDIM };

static igvk_status check_choices(const igvk_sample_options *o) {
    if (o->mode == MODE_SDE && o->solver != CHOICE_AUTO)
        return fail(IGVK_ERROR_INVALID, "--mode sde has its own solver, Euler-Maruyama: leave --solver away");
    if (o->mode == MODE_SDE && o->heun)
        return fail(IGVK_ERROR_INVALID, "--heun needs --mode ode");
    if (o->heun && o->solver != CHOICE_AUTO && o->solver != CHOICE_HEUN)
        return fail(IGVK_ERROR_INVALID, "--heun and another --solver exclude each other");
    return IGVK_OK;
}

// Discrete times have solvers of their own, the others none of these.
static igvk_status check_kind(const igvk_sample_options *o, const model_kind *kind) {
    const bool discrete = kind->time == MODEL_DISCRETE;
    if (discrete && (o->mode != MODE_AUTO || o->heun || o->path != 0 ||
                     (o->solver != CHOICE_AUTO && o->solver != CHOICE_DDPM && o->solver != CHOICE_DDIM)))
        return fail(IGVK_ERROR_INVALID,
                    "--model: a model of kind %s is sampled by --solver ddpm or ddim; leave --mode, --heun and "
                    "--path-type away",
                    kind->name);
    if (!discrete && (o->solver == CHOICE_DDPM || o->solver == CHOICE_DDIM || o->spacing || o->clip_denoised ||
                      o->cfg_channels || o->cfg_power != 0))
        return fail(IGVK_ERROR_INVALID,
                    "--solver ddpm and ddim, --spacing, --clip-denoised, --cfg-channels and --cfg-power are of DiT and "
                    "MDTv2; the model is of kind %s",
                    kind->name);
    return IGVK_OK;
}

static solver_kind solver_of(const igvk_sample_options *o, const model_kind *kind) {
    static const solver_kind solvers[] = {
        [CHOICE_AUTO] = SOLVER_EULER,        [CHOICE_EULER] = SOLVER_EULER,   [CHOICE_HEUN] = SOLVER_HEUN,
        [CHOICE_MIDPOINT] = SOLVER_MIDPOINT, [CHOICE_DOPRI5] = SOLVER_DOPRI5, [CHOICE_DDPM] = SOLVER_DDPM,
        [CHOICE_DDIM] = SOLVER_DDIM};
    if (kind->time == MODEL_DISCRETE && o->solver == CHOICE_AUTO)
        return SOLVER_DDPM;
    const bool sde = o->mode == MODE_SDE ||
                     (o->mode == MODE_AUTO && o->solver == CHOICE_AUTO && !o->heun && kind->time != MODEL_DATA_AT_ONE);
    return sde ? SOLVER_SDE : o->heun ? SOLVER_HEUN : solvers[o->solver];
}

igvk_status sample_method_make(const igvk_sample_options *o, const model_config *c, sampling_method *m) {
    const model_kind *kind = model_kind_find(c->kind);
    igvk_status status = check_choices(o);
    if (status == IGVK_OK)
        status = check_kind(o, kind);
    if (status != IGVK_OK)
        return status;
    *m = (sampling_method){
        .solver = solver_of(o, kind),
        .steps = (uint32_t)o->steps,
        .absolute = o->absolute_tolerance,
        .relative = o->relative_tolerance,
        .path = o->path == 0   ? c->path
                : o->path == 1 ? PATH_LINEAR
                               : PATH_COSINE,
        .data_at_one = kind->time == MODEL_DATA_AT_ONE,
        .shift = o->timestep_shift,
        .ig = {o->autoguidance[0] ? o->autoguidance_scale : o->ig_scale, o->ig_low, o->ig_high},
        .cfg = {o->cfg_scale, o->cfg_low, o->cfg_high},
        .spacing = o->spacing ? SPACING_STRIDE : SPACING_EVEN,
        .eta = o->eta,
        .clip = o->clip_denoised,
        .cfg_power = o->cfg_power,
        .cfg_channels = kind->time != MODEL_DISCRETE || o->cfg_channels || c->channels <= 3 ? 0 : 3,
    };
    if (!c->null_class && o->cfg_scale > 1)
        return fail(IGVK_ERROR_INVALID,
                    "--cfg-scale %g: the model was trained without a no-class label (label dropout 0): use IG alone",
                    o->cfg_scale);
    if (o->autoguidance[0] ? o->ig_scale != 1 : o->autoguidance_scale != 1)
        return fail(IGVK_ERROR_INVALID, o->autoguidance[0]
                                            ? "--ig-scale and --autoguidance exclude each other: give "
                                              "--autoguidance-scale alone"
                                            : "--autoguidance-scale needs --autoguidance PATH, the weaker model");
    if (o->autoguidance[0] && o->autoguidance_scale == 1)
        return fail(IGVK_ERROR_INVALID, "--autoguidance: does nothing at --autoguidance-scale 1: give a scale above 1");
    if (c->head_after == 0 && o->ig_scale != 1)
        return fail(IGVK_ERROR_INVALID,
                    "--ig-scale %g: the model has no auxiliary head: use CFG, or `igvk train --train-head-only`, which "
                    "adds one",
                    o->ig_scale);
    return IGVK_OK;
}

void sample_method_describe(const sampling_method *m, uint32_t batch, char *out, size_t size) {
    static const char *const solvers[] = {
        [SOLVER_SDE] = "SDE Euler-Maruyama",
        [SOLVER_EULER] = "ODE Euler",
        [SOLVER_HEUN] = "ODE Heun",
        [SOLVER_MIDPOINT] = "ODE midpoint",
        [SOLVER_DOPRI5] = "ODE dopri5",
        [SOLVER_DDPM] = "DDPM",
        [SOLVER_DDIM] = "DDIM",
    };
    char how[160];
    if (solver_is_discrete(m->solver))
        snprintf(how, sizeof how, "%u steps %s, eta %g,%s CFG's power %g and channels %s", m->steps,
                 m->spacing == SPACING_STRIDE ? "by a stride" : "in equal parts", m->eta, m->clip ? " clipped," : "",
                 m->cfg_power, m->cfg_channels ? "3" : "all");
    else if (m->solver == SOLVER_DOPRI5)
        snprintf(how, sizeof how, "tolerances %g and %g, batch %u, path %s, shift %g", m->absolute, m->relative, batch,
                 m->path == PATH_COSINE ? "cosine" : "linear", m->shift);
    else
        snprintf(how, sizeof how, "%u steps, path %s, shift %g", m->steps, m->path == PATH_COSINE ? "cosine" : "linear",
                 m->shift);
    snprintf(out, size, "%s %s, IG %g on [%g, %g], CFG %g on [%g, %g]", solvers[m->solver], how, m->ig.scale, m->ig.low,
             m->ig.high, m->cfg.scale, m->cfg.low, m->cfg.high);
}

uint32_t sample_method_batch(const igvk_sample_options *o, const sampling_method *m) {
    return o->batch || m->solver != SOLVER_DOPRI5 ? (uint32_t)o->batch : 1;
}
