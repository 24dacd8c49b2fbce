// SPDX-License-Identifier: MIT
// SiT with the auxiliary head (method, chapters 1 and 2; official code: SiT/models/sit.py, class SiT).
#include "models/adaln.h"
#include "models/objective.h"

static const adaln_size sizes[] = {{"S", 12, 384, 6}, {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}};
static const uint32_t patches[] = {2, 4, 8, 0};
static const char *const preset_names[] = {"SiT-S/2", "SiT-S/4", "SiT-S/8", "SiT-B/2",  "SiT-B/4",  "SiT-B/8", "SiT-L/2",
                                           "SiT-L/4", "SiT-L/8", "SiT-XL/2", "SiT-XL/4", "SiT-XL/8", NULL};

static bool sit_preset(const char *name, model_config *c) {
    return adaln_preset(name, "SiT", sizes, sizeof sizes / sizeof *sizes, patches, c);
}

const model_kind sit_kind = {.name = "sit",
                             .fields = adaln_fields + ADALN_WITH_PATH,
                             .field_count = ADALN_SIT_FIELDS,
                             .check = adaln_check,
                             .preset = sit_preset,
                             .parameters = adaln_parameters,
                             .build = adaln_build,
                             .preset_names = preset_names,
                             .objective = &flow_objective};
