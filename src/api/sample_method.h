// SPDX-License-Identifier: MIT
// The sampling options as a method: what --mode, --solver and the guidance options mean for a model.
#ifndef IGVK_API_SAMPLE_METHOD_H
#define IGVK_API_SAMPLE_METHOD_H

#include "models/model.h"
#include "sampling/schedule.h"

#include "igvk/igvk.h"

// Refuses options that exclude each other, and what the model can't be asked for.
// With --autoguidance its scale is the method's `ig`.
igvk_status sample_method_make(const igvk_sample_options *o, const model_config *c, sampling_method *m);
// "ODE Heun 50 steps, path linear, ..., IG 1.4 on [0, 1], CFG ...": all that images depend on; `batch` at a time.
void sample_method_describe(const sampling_method *m, uint32_t batch, char *out, size_t size);
// Images at a time where the options leave it open; 0: what fits. Adaptive steps are chosen for a whole batch, so an
// image alone is the one that depends on nothing else.
uint32_t sample_method_batch(const igvk_sample_options *o, const sampling_method *m);

#endif
