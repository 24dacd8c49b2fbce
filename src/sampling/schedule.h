// SPDX-License-Identifier: MIT
// What a sampler does, as a list of stages, each one model evaluation and one solver update. Pure, f64: the
// device gets a stage's numbers in its step block. Method, chapter 3; official code: SiT/samplers.py.
#ifndef IGVK_SAMPLING_SCHEDULE_H
#define IGVK_SAMPLING_SCHEDULE_H

#include "core/status.h"
#include "ops/ops.h"

typedef enum solver_kind { SOLVER_SDE, SOLVER_EULER, SOLVER_HEUN, SOLVER_MIDPOINT, SOLVER_DOPRI5 } solver_kind;

typedef struct guidance_scale {
    double scale;     // on where scale > 1 and low <= t <= high; of IG with data_at_one any scale but 1
    double low, high; // closed interval of the step's starting time; with data_at_one of each call's own
} guidance_scale;

typedef struct sampling_method {
    solver_kind solver;
    uint32_t steps; // SDE: model calls; ODE: intervals; with data_at_one points of the grid, one more than intervals;
                    // DOPRI5: of no effect
    double absolute, relative; // DOPRI5's tolerances
    path_kind path;
    bool data_at_one; // the model's time runs from noise (0) to data (1): LightningDiT's rules throughout
    double shift;     // with data_at_one: each time t becomes shift t / (1 + (shift - 1) t); 0: as it is
    guidance_scale ig, cfg;
} sampling_method;

// Time i of the grid of intervals, i from 0 to their count.
uint32_t sampling_intervals(const sampling_method *m); // of an ODE
double sampling_time(const sampling_method *m, uint32_t i);

typedef struct sampling_stage {
    double time;            // what the model sees
    double ig, cfg;         // 1 where off
    double coefficients[4]; // x' = c0 x + c1 v + c2 v_previous + c3 noise
    bool commit;            // x' becomes the state
    uint32_t step;          // from 0; also the noise's step word
} sampling_stage;

// What guidance does at a call at `time` in a step that started at `start`.
void sampling_guidance(const sampling_method *m, double start, double time, double *ig, double *cfg);

// malloc'd. DOPRI5, whose times are not known before: a stage for each pair of guidance on and off that a run may
// meet, so that a sampler can be made ready for it. Refuses step counts below 1 (SDE: 2) or above 100000, and intervals with low > high.
igvk_status schedule_make(const sampling_method *m, sampling_stage **stages, size_t *count);

#endif
