// SPDX-License-Identifier: MIT
#include "sampling/schedule.h"

#include "sampling/diffusion.h"

#include <math.h>
#include <stdlib.h>

#define LAST_SDE_TIME 0.04
static const double pi = 3.14159265358979323846;

// numpy's and torch's linspace differ in the last bit; this is start + i * step, the end exact.
static double linspace(double start, double end, uint32_t count, uint32_t i) {
    return i + 1 == count ? end : start + i * ((end - start) / (count - 1));
}

static double scale_at(const guidance_scale *g, double t, bool any) {
    const bool on = any ? g->scale != 1 : g->scale > 1;
    return on && g->low <= t && t <= g->high ? g->scale : 1;
}

// Drift of the reverse SDE, d = v - w/2 score with score = (r v - x)/var, is linear in v and x: d = dv v + dx x.
// CFG acts on the drift; its x terms cancel, so guidance of v alone is the same.
static void drift_of(path_kind path, double t, double w, double *dv, double *dx) {
    double a = 1 - t, da = -1, s = t, ds = 1;
    if (path == PATH_COSINE) {
        a = cos(pi * t / 2);
        s = sin(pi * t / 2);
        da = -pi / 2 * s;
        ds = pi / 2 * a;
    }
    double r = a / da, variance = s * s - r * ds * s;
    *dv = 1 - 0.5 * w * r / variance;
    *dx = 0.5 * w / variance;
}

// Euler-Maruyama: grid linspace(1, 0.04, K), then 0; the last step takes the mean.
static size_t make_sde(const sampling_method *m, sampling_stage *out) {
    for (uint32_t i = 0; i < m->steps; i++) {
        double t = linspace(1, LAST_SDE_TIME, m->steps, i);
        bool last = i + 1 == m->steps;
        double dt = (last ? 0 : linspace(1, LAST_SDE_TIME, m->steps, i + 1)) - t;
        double w = 2 * t, dv, dx; // the official diffusion coefficient, on both paths
        drift_of(m->path, t, w, &dv, &dx);
        out[i] = (sampling_stage){.time = t,
                                  .step = i,
                                  .commit = true,
                                  .noisy = !last,
                                  .coefficients = {1 + dt * dx, dt * dv, 0, last ? 0 : sqrt(w) * sqrt(fabs(dt))}};
    }
    return m->steps;
}

uint32_t sampling_intervals(const sampling_method *m) {
    return m->data_at_one ? m->steps - 1 : m->steps;
}

double sampling_time(const sampling_method *m, uint32_t i) {
    const uint32_t points = sampling_intervals(m) + 1;
    if (!m->data_at_one)
        return linspace(1, 0, points, i);
    const double t = linspace(0, 1, points, i);
    // The last point is 1 and not what rounding makes of it: beyond 1 intervals of guidance that end there are over.
    return m->shift == 0 || i + 1 == points ? t : m->shift * t / (1 + (m->shift - 1) * t);
}

// SiT's Heun averages with the velocity at the next point at every step but the last, LightningDiT's at every step.
static size_t make_ode(const sampling_method *m, sampling_stage *out) {
    const uint32_t intervals = sampling_intervals(m);
    size_t n = 0;
    for (uint32_t i = 0; i < intervals; i++) {
        const double t = sampling_time(m, i), next = sampling_time(m, i + 1), dt = next - t;
        const bool heun = m->solver == SOLVER_HEUN && (m->data_at_one || i + 1 < intervals);
        const bool midpoint = m->solver == SOLVER_MIDPOINT;
        out[n++] = (sampling_stage){
            .time = t, .step = i, .commit = !heun && !midpoint, .coefficients = {1, midpoint ? dt / 2 : dt, 0, 0}};
        if (heun)
            out[n++] =
                (sampling_stage){.time = next, .step = i, .commit = true, .coefficients = {1, dt / 2, dt / 2, 0}};
        if (midpoint)
            out[n++] = (sampling_stage){.time = t + dt / 2, .step = i, .commit = true, .coefficients = {1, dt, 0, 0}};
    }
    return n;
}

// Both calls of a SiT step test the time of the step's start, LightningDiT's each their own.
// Adaptive steps go beyond the end and come back, so times reach beyond 0 and 1. With data_at_one IG ends there with
// its interval, as in the official code, whose CFG has no end; else the interval's ends stand for all beyond them.
void sampling_guidance(const sampling_method *m, double start, double time, double *ig, double *cfg) {
    const double tested = m->data_at_one ? time : fmin(1, fmax(0, start));
    *ig = scale_at(&m->ig, tested, m->data_at_one);
    *cfg = scale_at(&m->cfg, m->data_at_one && m->cfg.high >= 1 ? fmin(1, tested) : tested, false);
}

// Every pair of on and off of the guidance that is asked for.
static size_t make_pairs(const sampling_method *m, sampling_stage *out) {
    size_t n = 0;
    for (uint32_t k = 0; k < 4; k++) {
        const bool ig = k & 1, cfg = k & 2;
        if ((!ig || m->ig.scale != 1) && (!cfg || m->cfg.scale > 1))
            out[n++] = (sampling_stage){.ig = ig ? m->ig.scale : 1, .cfg = cfg ? m->cfg.scale : 1};
    }
    return n;
}

static igvk_status check_tolerances(const sampling_method *m) {
    if (!(m->absolute >= 1e-12 && m->absolute <= 1) || !(m->relative >= 1e-7 && m->relative <= 1))
        return fail(IGVK_ERROR_INVALID, "--atol %g --rtol %g: must be from 1e-12 and from 1e-7 to 1", m->absolute,
                    m->relative);
    return IGVK_OK;
}

static igvk_status check(const sampling_method *m) {
    uint32_t least = m->solver == SOLVER_SDE || m->data_at_one ? 2 : 1;
    if (m->steps < least || m->steps > 100000)
        return fail(IGVK_ERROR_INVALID, "--num-steps %u: must be between %u and 100000 for this solver", m->steps,
                    least);
    if (m->data_at_one && (m->solver == SOLVER_SDE || m->path != PATH_LINEAR))
        return fail(IGVK_ERROR_INVALID,
                    "--mode sde and the cosine path are not defined for a model whose time runs from "
                    "noise to data: use --mode ode");
    if (!(m->shift >= 0 && m->shift <= 100) || (m->shift != 0 && !m->data_at_one))
        return fail(IGVK_ERROR_INVALID,
                    "--timestep-shift %g: must be from 0 (none) to 100, and is for LightningDiT alone", m->shift);
    if (!(m->ig.low <= m->ig.high))
        return fail(IGVK_ERROR_INVALID, "--ig-guidance-low %g is above --ig-guidance-high %g", m->ig.low, m->ig.high);
    if (!(m->cfg.low <= m->cfg.high))
        return fail(IGVK_ERROR_INVALID, "--guidance-low %g is above --guidance-high %g", m->cfg.low, m->cfg.high);
    if (!(m->eta >= 0 && m->eta <= 1) || (m->eta != 0 && m->solver != SOLVER_DDIM))
        return fail(IGVK_ERROR_INVALID, "--eta %g: must be from 0 to 1, and is of --solver ddim alone", m->eta);
    return m->solver == SOLVER_DOPRI5 ? check_tolerances(m) : IGVK_OK;
}

igvk_status schedule_make(const sampling_method *m, sampling_stage **stages, size_t *count) {
    *stages = NULL;
    *count = 0;
    igvk_status status = check(m);
    if (status != IGVK_OK)
        return status;
    const size_t most = m->solver == SOLVER_DOPRI5 ? 4 : 2 * (size_t)m->steps;
    sampling_stage *list = calloc(most, sizeof *list);
    if (!list)
        return fail_memory("the sampling schedule", most * sizeof *list);
    if (solver_is_discrete(m->solver) && (status = diffusion_stages_make(m, list)) != IGVK_OK) {
        free(list);
        return status;
    }
    size_t n = solver_is_discrete(m->solver) ? m->steps
               : m->solver == SOLVER_DOPRI5  ? make_pairs(m, list)
               : m->solver == SOLVER_SDE     ? make_sde(m, list)
                                             : make_ode(m, list);
    for (size_t i = 0; i < n && m->solver <= SOLVER_MIDPOINT; i++) {
        const bool second = i > 0 && list[i - 1].step == list[i].step;
        sampling_guidance(m, list[i - second].time, list[i].time, &list[i].ig, &list[i].cfg);
    }
    *stages = list;
    *count = n;
    return IGVK_OK;
}
