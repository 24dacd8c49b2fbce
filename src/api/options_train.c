// SPDX-License-Identifier: MIT
// The options of training. The last column says whether a resumed run may differ: what only watches the run,
// ends it, or says where things lie may; what shapes its numbers may not, but for the way out of a gradient that is
// not finite.
#include "api/options.h"

#include <stdbool.h>

#define OPTIONS igvk_train_options

static const char *const paths[] = {"linear", "cosine", NULL};
static const char *const weights[] = {"ema", "model", NULL};
static const char *const optimizers[] = {"auto", "adamw", "muon", NULL};
static const char *const switches[] = {"auto", "on", "off", NULL};
static const char *const precisions[] = {"f32", "f16", "bf16", NULL};
static const char *const times[] = {"uniform", "lognormal", NULL};

enum { FIXED = false, FREE = true };

// Just under 1: at 1 an average would never move.
#define DECAY(field, default_text) OPTION_NUMBER(field, 0, 0.9999999, default_text)
#define STEPS(field, default_text) OPTION_INTEGER(field, 0, 1e12, default_text)
#define SIZE(field, most) OPTION_INTEGER(field, 0, most, "0")

static const igvk_option table[] = {
    {"data", "DIR", OPTION_PATH(data), "Run", "dataset folder, as `igvk data` makes", FREE}, // its digest may not
    {"out", "DIR", OPTION_PATH(out), "Run", "run folder, made: configuration, log, checkpoints, sheets", FIXED},
    {"resume", "DIR", OPTION_PATH(resume), "Run", "run folder to go on with; needs no other flag", FREE},
    {"seed", "N", OPTION_INTEGER(seed, 0, OPTION_LARGEST, "0"), "Run", "of weights, order, noise and times", FIXED},

    {"recipe", "NAME", OPTION_TEXT(recipe, ""), "Model", "model and settings as published; other flags override them",
     FIXED},
    {"recipes", NULL, OPTION_FLAG(recipes), "Model", "list the recipes, their settings, sources and figures, and end",
     FREE},
    {"model", "PRESET", OPTION_TEXT(model, ""), "Model",
     "SiT-B/2, LightningDiT-XL/1, ...; or a kind alone, LightningDiT, with sizes", FIXED},
    {"init", "PATH", OPTION_PATH(init), "Model",
     "weights to start from, with their model: a checkpoint, an export or a run folder", FIXED},
    {"init-weights", "WHICH", OPTION_CHOICE(init_weights, weights, "ema"), "Model", "which of its weights", FIXED},
    {"train-head-only", NULL, OPTION_FLAG(train_head_only), "Model",
     "with --init: train the auxiliary head alone, new where the file has none, and leave all else as it is", FIXED},
    {"width", "N", SIZE(width, 65536), "Model", "channels of a token; 0: the preset's", FIXED},
    {"depth", "N", SIZE(depth, 1024), "Model", "blocks; 0: the preset's", FIXED},
    {"heads", "N", SIZE(heads, 4096), "Model", "attention heads, of --width / --heads channels; 0: the preset's",
     FIXED},
    {"patch", "N", SIZE(patch, 1024), "Model", "side of a token's patch of the image; 0: the preset's", FIXED},
    {"head-after", "K", SIZE(head_after, 1024), "Model", "the auxiliary head reads block K's output; 0: chosen", FIXED},
    {"qk-norm", NULL, OPTION_FLAG(qk_norm), "Model", "normalise queries and keys", FIXED},
    {"rms-norm", "SWITCH", OPTION_CHOICE(rms_norm, switches, "auto"), "Model",
     "RMSNorm in LayerNorm's place; auto: on in a LightningDiT", FIXED},
    {"swiglu", "SWITCH", OPTION_CHOICE(swiglu, switches, "auto"), "Model",
     "SwiGLU in GELU's place; auto: on in a LightningDiT", FIXED},
    {"rotary", "SWITCH", OPTION_CHOICE(rotary, switches, "auto"), "Model",
     "rotary embedding of queries and keys; auto: on in a LightningDiT", FIXED},
    {"no-shift", NULL, OPTION_FLAG(no_shift), "Model", "a LightningDiT's blocks modulated by scales and gates alone",
     FIXED},

    {"path-type", "PATH", OPTION_CHOICE(path, paths, "linear"), "Objective", "interpolant between image and noise",
     FIXED},
    {"times", "LAW", OPTION_CHOICE(times, times, "uniform"), "Objective", "how times are drawn", FIXED},
    {"auxiliary-weight", "W", OPTION_NUMBER(auxiliary_weight, 0, 1000, "0.5"), "Objective",
     "of the auxiliary head's loss", FIXED},
    {"label-dropout", "P", OPTION_NUMBER(label_dropout, 0, 1, "0.1"), "Objective",
     "share of labels dropped, which CFG needs", FIXED},
    {"guided-target", "W", OPTION_NUMBER(guided_target, 1, 1000, "1"), "Objective",
     "the final output learns the target extrapolated by the EMA's two outputs; 1: off", FIXED},
    {"guided-low", "T", OPTION_NUMBER(guided_low, 0, 1, "0"), "Objective", "guided target from this time (0: image)",
     FIXED},
    {"guided-high", "T", OPTION_NUMBER(guided_high, 0, 1, "1"), "Objective", "guided target up to this time (1: noise)",
     FIXED},

    {"batch", "N", OPTION_INTEGER(batch, 1, 1048576, "256"), "Optimizer", "images a step", FIXED},
    // Only the order of a sum: worth less than being able to go on with a smaller device.
    {"micro-batch", "N", OPTION_INTEGER(micro_batch, 0, 65536, "0"), "Optimizer",
     "images at a time, accumulated to --batch; 0: the most that fit", FREE},
    {"precision", "TYPE", OPTION_CHOICE(precision, precisions, "f32"), "Optimizer",
     "of what matrix products multiply; weights, sums and all else stay f32; f16 scales the loss", FIXED},
    {"recompute", NULL, OPTION_FLAG(recompute), "Optimizer",
     "compute blocks again in the backward pass instead of keeping them: the same bits, less memory, more time", FREE},
    {"optimizer", "NAME", OPTION_CHOICE(optimizer, optimizers, "auto"), "Optimizer",
     "auto: the model's, Muon of a LightningDiT, else AdamW; Muon leaves all but matrices to AdamW", FIXED},
    {"learning-rate", "R", OPTION_NUMBER(learning_rate, 0, 1000, "0"), "Optimizer",
     "constant after warm-up; 0: the optimizer's, 1e-4 of AdamW, 2e-4 of Muon", FREE},
    {"warmup", "N", STEPS(warmup, "0"), "Optimizer", "steps over which the rate rises from 0", FIXED},
    {"beta1", "B", DECAY(beta1, "0.9"), "Optimizer", "AdamW's first moment", FIXED},
    {"beta2", "B", DECAY(beta2, "0"), "Optimizer", "AdamW's second moment; 0: 0.999, and 0.95 beside Muon", FIXED},
    {"epsilon", "E", OPTION_NUMBER(epsilon, 0, 1, "1e-8"), "Optimizer", "AdamW's", FIXED},
    {"weight-decay", "W", OPTION_NUMBER(weight_decay, 0, 1000, "0"), "Optimizer", "AdamW's", FIXED},
    {"muon-momentum", "M", DECAY(muon_momentum, "0.95"), "Optimizer", "Muon's momentum", FIXED},
    {"muon-decay", "W", OPTION_NUMBER(muon_decay, 0, 1000, "0.01"), "Optimizer", "Muon's weight decay of matrices",
     FIXED},
    {"muon-rounding", NULL, OPTION_FLAG(muon_rounding), "Optimizer",
     "round Muon's Newton-Schulz steps to bf16, as the official runs did", FIXED},
    {"clip", "NORM", OPTION_NUMBER(clip, 0, 1e30, "1"), "Optimizer", "largest norm of the whole gradient; 0: any",
     FREE},
    {"ema", "D", DECAY(ema, "0.9999"), "Optimizer", "decay a step of the averaged weights", FIXED},
    {"ema-warmup", NULL, OPTION_FLAG(ema_warmup), "Optimizer",
     "EMA decay min(D, (1 + k) / (10 + k)) at step k, for short runs", FIXED},

    {"steps", "N", OPTION_INTEGER(steps, 1, 1e12, "400000"), "Length", "optimizer steps in all", FREE},
    {"time", "TIME", OPTION_DURATION(time, "0"), "Length", "stop and save in time: 90s, 15m, 8h, 2d; 0: no limit",
     FREE},

    {"log-every", "N", OPTION_INTEGER(log_every, 1, 1e12, "10"), "Watching", "steps between lines of the log", FREE},
    {"validate-every", "N", STEPS(validate_every, "1000"), "Watching",
     "steps between losses on held-out images; 0: never", FREE},
    {"sheet-every", "N", STEPS(sheet_every, "1000"), "Watching", "steps between sample sheets; 0: never", FREE},
    {"sheet-steps", "N", OPTION_INTEGER(sheet_steps, 1, 1e5, "18"), "Watching", "solver steps of a sheet (Heun)", FREE},
    {"sheet-cfg-scale", "W", OPTION_NUMBER(sheet_cfg_scale, 1, 1000, "1.5"), "Watching", "CFG of its guided rows",
     FREE},
    {"sheet-ig-scale", "W", OPTION_NUMBER(sheet_ig_scale, 1, 1000, "1.5"), "Watching", "IG of its guided rows", FREE},

    {"save-interval", "TIME", OPTION_DURATION(save_interval, "15m"), "Checkpoints", "time between two; 0: none by time",
     FREE},
    {"save-every", "N", STEPS(save_every, "0"), "Checkpoints", "steps between two; 0: none by steps", FREE},
    {"keep", "N", OPTION_INTEGER(keep, 1, 1e6, "3"), "Checkpoints", "newest that are kept", FREE},

    OPTION_DEVICE_ROWS(FREE),
    {"plan", NULL, OPTION_FLAG(plan), "Device", "print the memory that it would take, by kind, and end", FREE},
};

static const igvk_option_list list = OPTION_LIST(table);
const igvk_option_list *igvk_train_option_list(void) {
    return &list;
}
void igvk_train_options_default(igvk_train_options *o) {
    options_default(&list, o);
}
