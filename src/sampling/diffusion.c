// SPDX-License-Identifier: MIT
#include "sampling/diffusion.h"

#include <math.h>
#include <stdlib.h>

static const double first_beta = 0.0001, last_beta = 0.02;
static const double pi = 3.14159265358979323846;

static double abar_after(double abar, uint32_t step) {
    return abar * (1 - (first_beta + step * ((last_beta - first_beta) / (DIFFUSION_STEPS - 1))));
}

// Every k-th step from 0, for the k that makes them `count`; 0 where none does.
static uint32_t stride_of(uint32_t count) {
    for (uint32_t k = 1; k < DIFFUSION_STEPS; k++)
        if ((DIFFUSION_STEPS + k - 1) / k == count)
            return k;
    return 0;
}

// As the official code: fractions of a step are added up, and rounded half to even.
static void space_evenly(uint32_t count, diffusion_step *out) {
    const double stride = count > 1 ? (double)(DIFFUSION_STEPS - 1) / (count - 1) : 1;
    double place = 0;
    for (uint32_t i = 0; i < count; i++, place += stride)
        out[i].original = (uint32_t)nearbyint(place);
}

static void fill(uint32_t count, diffusion_step *s) {
    double abar = 1;
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        s[i].before = i ? s[i - 1].abar : 1;
        for (; next <= s[i].original; next++)
            abar = abar_after(abar, next);
        s[i].abar = abar;
        const double beta = 1 - abar / s[i].before;
        s[i].log_most = log(beta);
        s[i].log_least = log(beta * (1 - s[i].before) / (1 - abar)); // of i = 0 minus infinity
        s[i].from_x0 = beta * sqrt(s[i].before) / (1 - abar);
        s[i].from_x = (1 - s[i].before) * sqrt(1 - beta) / (1 - abar);
    }
    s[0].log_least = count > 1 ? s[1].log_least : s[0].log_most;
}

igvk_status diffusion_steps_make(uint32_t count, step_spacing spacing, diffusion_step **out) {
    *out = NULL;
    if (count < 1 || count > DIFFUSION_STEPS)
        return fail(IGVK_ERROR_INVALID, "--num-steps %u: a model of discrete times has 1 to %d of them", count,
                    DIFFUSION_STEPS);
    const uint32_t stride = stride_of(count);
    if (spacing == SPACING_STRIDE && !stride)
        return fail(
            IGVK_ERROR_INVALID,
            "--num-steps %u: no stride takes so many of %d steps: choose another, such as 250, or --spacing even",
            count, DIFFUSION_STEPS);
    diffusion_step *s = calloc(count, sizeof *s);
    if (!s)
        return fail_memory("the noising process", count * sizeof *s);
    if (spacing == SPACING_EVEN)
        space_evenly(count, s);
    for (uint32_t i = 0; spacing == SPACING_STRIDE && i < count; i++)
        s[i].original = i * stride;
    fill(count, s);
    *out = s;
    return IGVK_OK;
}

// ---- stages ----------------------------------------------------------------------------------------------

// x0 = sqrt(1/abar) x - sqrt(1/abar - 1) e; DDPM takes the posterior's mean, DDIM derives e from x0 again and walks
// along it: x' = sqrt(before) x0 + sqrt(1 - before - sigma^2) e, as factors of x0 and x.
static void set_coefficients(const sampling_method *m, const diffusion_step *s, bool last, sampling_stage *out) {
    const double a = sqrt(1 / s->abar), b = sqrt(1 / s->abar - 1);
    out->coefficients[0] = a;
    out->coefficients[1] = -b;
    out->coefficients[2] = s->from_x0;
    out->coefficients[3] = s->from_x;
    out->log_variance[0] = s->log_least;
    out->log_variance[1] = s->log_most;
    out->noisy = !last;
    if (m->solver == SOLVER_DDPM)
        return;
    const double sigma = m->eta * sqrt((1 - s->before) / (1 - s->abar)) * sqrt(1 - s->abar / s->before);
    const double along = sqrt(fmax(0, 1 - s->before - sigma * sigma));
    out->coefficients[2] = sqrt(s->before) - along / b;
    out->coefficients[3] = along * a / b;
    out->noisy = !last && sigma > 0;
    out->log_variance[0] = out->log_variance[1] = out->noisy ? 2 * log(sigma) : 0;
}

double diffusion_cfg_scale(double scale, double power, double t) {
    return (scale - 1) * (1 - cos(pow(1 - t, power) * pi)) / 2 + 1;
}

igvk_status diffusion_stages_make(const sampling_method *m, sampling_stage *out) {
    diffusion_step *steps = NULL;
    igvk_status status = diffusion_steps_make(m->steps, m->spacing, &steps);
    for (uint32_t k = 0; status == IGVK_OK && k < m->steps; k++) {
        const diffusion_step *s = &steps[m->steps - 1 - k];
        const double t = (double)s->original / DIFFUSION_STEPS;
        out[k] = (sampling_stage){.time = s->original, .step = k, .commit = true, .clip = m->clip};
        set_coefficients(m, s, k + 1 == m->steps, &out[k]);
        sampling_guidance(m, t, t, &out[k].ig, &out[k].cfg);
        if (m->cfg_power > 0 && out[k].cfg > 1)
            out[k].cfg = diffusion_cfg_scale(m->cfg.scale, m->cfg_power, t);
    }
    free(steps);
    return status;
}
