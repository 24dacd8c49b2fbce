// SPDX-License-Identifier: MIT
// What a sampler does, as a list of stages, each one model evaluation and one solver update. Pure, f64: the
// device gets a stage's numbers in its step block. Method, chapter 3; official code: SiT/samplers.py.
#ifndef IGVK_SAMPLING_SCHEDULE_H
#define IGVK_SAMPLING_SCHEDULE_H

#include "core/status.h"
#include "ops/ops.h"

typedef enum solver_kind {
    SOLVER_SDE,
    SOLVER_EULER,
    SOLVER_HEUN,
    SOLVER_MIDPOINT,
    SOLVER_DOPRI5,
    SOLVER_DDPM,
    SOLVER_DDIM, // of models of discrete times alone (sampling/diffusion.h)
} solver_kind;
static inline bool solver_is_discrete(solver_kind s) {
    return s == SOLVER_DDPM || s == SOLVER_DDIM;
}
// Which steps of a noising process are taken: in equal parts from the first to the last, or every k-th.
typedef enum step_spacing { SPACING_EVEN, SPACING_STRIDE } step_spacing;

typedef struct guidance_scale {
    double scale;     // on where scale > 1 and low <= t <= high; of IG with data_at_one any scale but 1
    double low, high; // closed interval of the step's starting time; with data_at_one of each call's own; of discrete
                      // times as parts of 1000
} guidance_scale;

typedef struct sampling_method {
    solver_kind solver;
    uint32_t steps; // SDE: model calls; ODE: intervals; with data_at_one points of the grid, one more than intervals;
                    // DOPRI5: of no effect; DDPM, DDIM: of the process's 1000
    double absolute, relative; // DOPRI5's tolerances
    path_kind path;
    bool data_at_one; // the model's time runs from noise (0) to data (1): LightningDiT's rules throughout
    double shift;     // with data_at_one: each time t becomes shift t / (1 + (shift - 1) t); 0: as it is
    guidance_scale ig, cfg;
    // Of DDPM and DDIM alone:
    step_spacing spacing;
    double eta;            // DDIM's noise: 0 none, 1 as much as DDPM's least
    bool clip;             // the prediction of the image is kept in [-1, 1]
    double cfg_power;      // CFG's scale rises from 1 at the noise as (1 - cos(pi (1 - t)^power)) / 2 does; 0: constant
    uint32_t cfg_channels; // CFG acts on the first so many channels; 0: all
} sampling_method;

// Time i of the grid of intervals, i from 0 to their count.
uint32_t sampling_intervals(const sampling_method *m); // of an ODE
double sampling_time(const sampling_method *m, uint32_t i);

typedef struct sampling_stage {
    double time;            // what the model sees
    double ig, cfg;         // 1 where off
    double
        coefficients[4]; // x' = c0 x + c1 v + c2 v_previous + c3 noise; DDPM, DDIM: x0 = c0 x + c1 e, x' = c2 x0 + c3 x
    double log_variance[2]; // DDPM, DDIM: of the noise, least and most
    bool clip;              // DDPM, DDIM: x0 is kept in [-1, 1]
    bool noisy;             // noise is added
    bool commit;            // x' becomes the state
    uint32_t step;          // from 0; also the noise's step word
} sampling_stage;

// What guidance does at a call at `time` in a step that started at `start`.
void sampling_guidance(const sampling_method *m, double start, double time, double *ig, double *cfg);

// malloc'd. DOPRI5, whose times are not known before: a stage for each pair of guidance on and off that a run may
// meet, so that a sampler can be made ready for it. Refuses step counts below 1 (SDE: 2) or above 100000, and intervals with low > high.
igvk_status schedule_make(const sampling_method *m, sampling_stage **stages, size_t *count);

#endif
