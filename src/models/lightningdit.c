// SPDX-License-Identifier: MIT
// LightningDiT with the auxiliary head (method, chapter 4; official code: LightningDiT/models/lightningdit.py): SiT's
// skeleton with RMSNorm, SwiGLU and rotary embedding, whose time runs from noise (0) to data (1).
#include "models/adaln.h"
#include "models/objective.h"

static const adaln_size sizes[] = {
    {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}, {"1p0B", 24, 1536, 24}, {"1p6B", 28, 1792, 28}};
static const uint32_t patches[] = {1, 2, 0};
static const char *const preset_names[] = {"LightningDiT-B/1",
                                           "LightningDiT-B/2",
                                           "LightningDiT-L/1",
                                           "LightningDiT-L/2",
                                           "LightningDiT-XL/1",
                                           "LightningDiT-XL/2",
                                           "LightningDiT-1p0B/1",
                                           "LightningDiT-1p0B/2",
                                           "LightningDiT-1p6B/1",
                                           "LightningDiT-1p6B/2",
                                           NULL};

// The published ones use all three; --qk-norm and no shift are choices.
static bool lightningdit_preset(const char *name, model_config *c) {
    if (!adaln_preset(name, "LightningDiT", sizes, sizeof sizes / sizeof *sizes, patches, c))
        return false;
    c->rms_norm = c->swiglu = c->rotary = true;
    return true;
}

static igvk_status lightningdit_check(const model_config *c) {
    igvk_status status = adaln_check(c);
    if (status == IGVK_OK && c->rotary && c->hidden / c->heads % 4)
        status = fail(IGVK_ERROR_INVALID,
                      "head dimension %u is not a multiple of 4, which the rotary embedding needs: change --width or "
                      "--heads",
                      c->hidden / c->heads);
    if (status == IGVK_OK && c->path != PATH_LINEAR)
        status = fail(IGVK_ERROR_INVALID, "a LightningDiT goes the linear path: leave --path-type away");
    return status;
}

const model_kind lightningdit_kind = {.name = "lightningdit",
                                      .fields = adaln_fields + ADALN_WITH_PATH,
                                      .field_count = ADALN_LIGHTNINGDIT_FIELDS,
                                      .time = MODEL_DATA_AT_ONE,
                                      .check = lightningdit_check,
                                      .preset = lightningdit_preset,
                                      .parameters = adaln_parameters,
                                      .build = adaln_build,
                                      .preset_names = preset_names,
                                      .objective = &direction_objective};
