// SPDX-License-Identifier: MIT
// What a sampler is made of, for its two ways of running: a list of stages, and steps of chosen length.
#ifndef IGVK_SAMPLING_SAMPLER_INTERNAL_H
#define IGVK_SAMPLING_SAMPLER_INTERNAL_H

#include "sampling/sampler.h"

// Programs: one for each kind of stage (bit 0 the auxiliary head is needed, bit 1 the null half is), recorded where a
// stage needs it; noise to state; of an adaptive sampler, sums of slopes without a model call and the error's measure.
enum { USES_HEAD = 1, USES_NULL = 2, KINDS = 4, PROGRAM_START = KINDS, PROGRAM_UPDATE, PROGRAM_MEASURE, PROGRAMS };

struct sampler {
    sampler_options o;
    model_config config, weak_config;
    parameter_set parameters, weak_parameters;
    workspace *own_workspace;
    program *programs[PROGRAMS];
    tensor_id measured; // of PROGRAM_MEASURE: mean squares [batch]
    uint32_t run;       // programs run so far: the step ring's position
};

static inline int kind_of(const sampling_stage *s) {
    return (s->ig != 1 ? USES_HEAD : 0) | (s->cfg > 1 ? USES_NULL : 0);
}

// The step block of the program to run next, zeroed.
uint32_t *sampler_next_block(sampler *s);

// sampler_run with r->adaptive, from the state at its start.
igvk_status sampler_run_adaptive(sampler *s, const sampling_run *r);

#endif
