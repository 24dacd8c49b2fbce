// SPDX-License-Identifier: MIT
// What a run's options leave to the model: its optimizer, and the optimizer's numbers.
#ifndef IGVK_API_TRAIN_OPTIMIZER_H
#define IGVK_API_TRAIN_OPTIMIZER_H

#include "igvk/igvk.h"
#include "training/optimizer.h"

// Writes what the options leave open into them, so that a run's configuration says it.
void train_resolve_optimizer(const model_config *model, igvk_train_options *o);
// Of resolved options.
optimizer_settings train_optimizer_settings(const igvk_train_options *o);

#endif
