// SPDX-License-Identifier: MIT
// Sampling of models that were trained on a noising process of 1000 steps (DiT, MDTv2): DDPM with the learned variance
// and DDIM, on all or some of the steps. f64, pure. Method, chapters 5 and 6; official code:
// DiT/diffusion/gaussian_diffusion.py and respace.py.
#ifndef IGVK_SAMPLING_DIFFUSION_H
#define IGVK_SAMPLING_DIFFUSION_H

#include "sampling/schedule.h"

#define DIFFUSION_STEPS 1000

// Of step i of the respaced process, i from 0 (the cleanest) to count - 1.
typedef struct diffusion_step {
    uint32_t original;      // of DIFFUSION_STEPS: what the model sees
    double abar, before;    // product of (1 - beta) up to this step, up to the one before (1 for i = 0)
    double log_least;       // log of the posterior's variance; of step 0, where that is 0, step 1's
    double log_most;        // log of beta
    double from_x0, from_x; // the posterior's mean = from_x0 x0 + from_x x
} diffusion_step;

// malloc'd, `count` steps. Even spacing takes steps 0 to 999 in equal parts ("250" of the official code), a stride
// every k-th from 0 ("ddim50"). Refuses counts that the spacing does not have.
igvk_status diffusion_steps_make(uint32_t count, step_spacing spacing, diffusion_step **out);

// MDT's power-cosine CFG, from 1 at the noise (t = 1) to `scale` at the image (t = 0).
double diffusion_cfg_scale(double scale, double power, double t);

// schedule_make for SOLVER_DDPM and SOLVER_DDIM; out has room for m->steps stages.
igvk_status diffusion_stages_make(const sampling_method *m, sampling_stage *out);

#endif
