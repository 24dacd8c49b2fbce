// SPDX-License-Identifier: MIT
// The transformer with adaptive layer norm (adaLN-Zero) and the auxiliary head that SiT, DiT and LightningDiT are, each
// with its presets and choices among: qk-norm, RMSNorm, SwiGLU, rotary embedding, adaLN without shifts, learned sigma
// (method, chapters 1, 2, 4 and 5).
#ifndef IGVK_MODELS_ADALN_H
#define IGVK_MODELS_ADALN_H

#include "models/model.h"

typedef struct adaln_size {
    const char *name; // of presets: "FAMILY-NAME/PATCH"
    uint32_t depth, hidden, heads;
} adaln_size;

// Fills depth, hidden, heads, patch and head_after where `name` is "FAMILY-SIZE/PATCH" of one of the sizes and a patch
// of `patches` (ended by 0). True also of "FAMILY" alone, whose sizes are left as they are.
bool adaln_preset(const char *name, const char *family, const adaln_size *sizes, size_t count, const uint32_t *patches,
                  model_config *c);
// Refuses what no model of this skeleton can be.
igvk_status adaln_check(const model_config *c);

// Keys of the configuration: learn_sigma, what all have, path, LightningDiT's choices. DiT's are the first
// ADALN_DIT_FIELDS; SiT's and LightningDiT's start at ADALN_WITH_PATH.
extern const config_field adaln_fields[];
#define ADALN_DIT_FIELDS 8
#define ADALN_WITH_PATH 1
#define ADALN_SIT_FIELDS 8
#define ADALN_LIGHTNINGDIT_FIELDS 12

void adaln_parameters(const model_config *c, parameter_layout *l);
model_outputs adaln_build(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in);

#endif
