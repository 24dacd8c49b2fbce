// SPDX-License-Identifier: MIT
#include "api/train_optimizer.h"

enum { OPTIMIZER_OF_MODEL, OPTIMIZER_FIRST }; // of the option's words: auto, then those of optimizer_kind

// As published: SiT's and LightningDiT's training scripts.
static const struct {
    double learning_rate, beta2;
} published[] = {[OPTIMIZER_ADAMW] = {1e-4, 0.999}, [OPTIMIZER_MUON] = {2e-4, 0.95}};

void train_resolve_optimizer(const model_config *model, igvk_train_options *o) {
    const model_objective *objective = model_objective_of(model);
    if (o->optimizer == OPTIMIZER_OF_MODEL)
        o->optimizer = OPTIMIZER_FIRST + (objective ? objective->optimizer : OPTIMIZER_ADAMW);
    const optimizer_kind kind = (optimizer_kind)(o->optimizer - OPTIMIZER_FIRST);
    if (o->learning_rate == 0)
        o->learning_rate = published[kind].learning_rate;
    if (o->beta2 == 0)
        o->beta2 = published[kind].beta2;
}

optimizer_settings train_optimizer_settings(const igvk_train_options *o) {
    return (optimizer_settings){.kind = (optimizer_kind)(o->optimizer - OPTIMIZER_FIRST),
                                .learning_rate = o->learning_rate,
                                .beta1 = o->beta1,
                                .beta2 = o->beta2,
                                .epsilon = o->epsilon,
                                .weight_decay = o->weight_decay,
                                .momentum = o->muon_momentum,
                                .matrix_decay = o->muon_decay,
                                .bf16 = o->muon_rounding,
                                .clip = o->clip,
                                .warmup = o->warmup,
                                .ema_decay = o->ema,
                                .ema_warmup = o->ema_warmup};
}
