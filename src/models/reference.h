// SPDX-License-Identifier: MIT
// The forward of SiT and DiT in plain C and f64: what every device is held against where there are no reference files.
// Slow and short on purpose; shares no code with the graph.
#ifndef IGVK_MODELS_REFERENCE_H
#define IGVK_MODELS_REFERENCE_H

#include "models/model.h"

// parameters[i]: values of parameter i of the layout, f32. x [N, C, H, W], t [N], labels [N] -> D_f and D_i [N, output
// channels, H, W].
igvk_status reference_sit(const model_config *c, const parameter_layout *l, const float *const *parameters, uint32_t count,
                          const float *x, const float *t, const uint32_t *labels, double *final_output, double *intermediate);

#endif
