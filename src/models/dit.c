// SPDX-License-Identifier: MIT
// DiT with the auxiliary head (method, chapter 5; official code: DiT/models.py): SiT's network, whose outputs are the
// noise and, in a second half of channels, the variance, at the discrete steps of a noising process.
#include "models/adaln.h"
#include "models/objective.h"

static const adaln_size sizes[] = {{"S", 12, 384, 6}, {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}};
static const uint32_t patches[] = {2, 4, 8, 0};
static const char *const preset_names[] = {"DiT-S/2",  "DiT-S/4",  "DiT-S/8", "DiT-B/2", "DiT-B/4",
                                           "DiT-B/8",  "DiT-L/2",  "DiT-L/4", "DiT-L/8", "DiT-XL/2",
                                           "DiT-XL/4", "DiT-XL/8", NULL};

static bool dit_preset(const char *name, model_config *c) {
    if (!adaln_preset(name, "DiT", sizes, sizeof sizes / sizeof *sizes, patches, c))
        return false;
    c->learn_sigma = true;
    return true;
}

static igvk_status dit_check(const model_config *c) {
    if (!c->learn_sigma)
        return fail(IGVK_ERROR_INVALID,
                    "a DiT of %u output channels has no variance among them (learn_sigma is off): "
                    "only such that learn it can be run",
                    c->channels);
    return adaln_check(c);
}

const model_kind dit_kind = {.name = "dit",
                             .fields = adaln_fields,
                             .field_count = ADALN_DIT_FIELDS,
                             .time = MODEL_DISCRETE,
                             .check = dit_check,
                             .preset = dit_preset,
                             .parameters = adaln_parameters,
                             .build = adaln_build,
                             .preset_names = preset_names,
                             .objective = &diffusion_objective};
