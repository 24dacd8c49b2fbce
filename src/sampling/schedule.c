// SPDX-License-Identifier: MIT
#include "sampling/schedule.h"

#include <math.h>
#include <stdlib.h>

#define LAST_SDE_TIME 0.04
static const double pi = 3.14159265358979323846;

// numpy's and torch's linspace differ in the last bit; this is start + i * step, the end exact.
static double linspace(double start, double end, uint32_t count, uint32_t i) {
    return i + 1 == count ? end : start + i * ((end - start) / (count - 1));
}

static double scale_at(const guidance_scale *g, double t) { return g->scale > 1 && g->low <= t && t <= g->high ? g->scale : 1; }

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
        out[i] = (sampling_stage){.time = t, .step = i, .commit = true,
                                  .coefficients = {1 + dt * dx, dt * dv, 0, last ? 0 : sqrt(w) * sqrt(fabs(dt))}};
    }
    return m->steps;
}

// Grid linspace(1, 0, K + 1). Heun's second stage averages with the velocity at t_next, at every step but the last.
static size_t make_ode(const sampling_method *m, sampling_stage *out) {
    size_t n = 0;
    for (uint32_t i = 0; i < m->steps; i++) {
        double t = linspace(1, 0, m->steps + 1, i), next = linspace(1, 0, m->steps + 1, i + 1), dt = next - t;
        bool two = m->solver == SOLVER_HEUN && i + 1 < m->steps;
        out[n++] = (sampling_stage){.time = t, .step = i, .commit = !two, .coefficients = {1, dt, 0, 0}};
        if (two)
            out[n++] = (sampling_stage){.time = next, .step = i, .commit = true, .coefficients = {1, dt / 2, dt / 2, 0}};
    }
    return n;
}

static igvk_status check(const sampling_method *m) {
    uint32_t least = m->solver == SOLVER_SDE ? 2 : 1;
    if (m->steps < least || m->steps > 100000)
        return fail(IGVK_ERROR_INVALID, "--num-steps %u: must be between %u and 100000 for this solver", m->steps, least);
    if (!(m->ig.low <= m->ig.high))
        return fail(IGVK_ERROR_INVALID, "--ig-guidance-low %g is above --ig-guidance-high %g", m->ig.low, m->ig.high);
    if (!(m->cfg.low <= m->cfg.high))
        return fail(IGVK_ERROR_INVALID, "--guidance-low %g is above --guidance-high %g", m->cfg.low, m->cfg.high);
    return IGVK_OK;
}

igvk_status schedule_make(const sampling_method *m, sampling_stage **stages, size_t *count) {
    *stages = NULL;
    *count = 0;
    igvk_status status = check(m);
    if (status != IGVK_OK)
        return status;
    sampling_stage *list = calloc(2 * (size_t)m->steps, sizeof *list);
    if (!list)
        return fail_memory("the sampling schedule", 2 * (uint64_t)m->steps * sizeof *list);
    size_t n = m->solver == SOLVER_SDE ? make_sde(m, list) : make_ode(m, list);
    for (size_t i = 0; i < n; i++) {
        // Both evaluations of a Heun step test the time of the step's start, as the official sampler does.
        double start = i > 0 && list[i - 1].step == list[i].step ? list[i - 1].time : list[i].time;
        list[i].ig = scale_at(&m->ig, start);
        list[i].cfg = scale_at(&m->cfg, start);
    }
    *stages = list;
    *count = n;
    return IGVK_OK;
}
