// SPDX-License-Identifier: MIT
// The optimizer's settings and its numbers of a step. AdamW takes every parameter; Muon takes the matrices and leaves
// the rest to AdamW (method, chapters 2 and 9).
#ifndef IGVK_TRAINING_OPTIMIZER_H
#define IGVK_TRAINING_OPTIMIZER_H

#include "models/objective.h"

typedef struct optimizer_settings {
    optimizer_kind kind;
    double learning_rate;                       // of both
    double beta1, beta2, epsilon, weight_decay; // AdamW's
    double momentum, matrix_decay;              // Muon's
    bool bf16;                                  // Muon: Newton-Schulz steps rounded to bf16, as in the official runs
    double clip;                                // largest global norm; 0: any
    uint64_t warmup;                            // steps of linear rise; then constant
    double ema_decay;
    bool ema_warmup; // decay min(ema_decay, (1 + k) / (10 + k)) at update k = 0, 1, ...
} optimizer_settings;

// The numbers of a step, as its step block has them: for the log and for tests.
double optimizer_rate(const optimizer_settings *o, uint64_t step);
double optimizer_ema_decay(const optimizer_settings *o, uint64_t step);
// skipped: steps before this one that were not taken, as far as is known: they do not count for AdamW's corrections.
void optimizer_words(const optimizer_settings *o, uint64_t step, uint64_t skipped, uint32_t *words);

#endif
