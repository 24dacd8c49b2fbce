// SPDX-License-Identifier: MIT
// What a kind of model learns: a function that builds, from a batch, everything up to the losses (times, the noised
// input, the model's pass or passes, the terms) and the terms' names. Training, validation, logs and parity take any
// number of terms by them, so that none of these knows a model by name. One file per family: objective_flow.c.
#ifndef IGVK_MODELS_OBJECTIVE_H
#define IGVK_MODELS_OBJECTIVE_H

#include "step_block.h"
#include "models/model.h"

typedef struct objective_options {
    double auxiliary_weight; // of the auxiliary head's terms, 0.5
    double guided_target;    // W; 1 is off
    double guided_low, guided_high;
    time_weighting times;
    bool head_only; // the auxiliary head alone learns, on the blocks before it as they are
} objective_options;

// Labels are after dropout. Where the times are NO_TENSOR the objective draws them from the step block.
typedef struct training_batch {
    tensor_id x, noise; // [N, C, H, W]
    tensor_id t;        // [N], in the model's own unit; NO_TENSOR: drawn
    tensor_id labels;   // u32 [N]; NO_TENSOR where the model has no classes
    tensor_id seeds;    // u32 [N, 2]: of what else is random, as op_normal takes them; NO_TENSOR: the step block's
} training_batch;

typedef struct objective_inputs {
    parameter_set model;        // what learns
    const parameter_set *guide; // whose outputs extrapolate the target (the EMA); null: no guided target
    tensor_id steps;            // of step blocks
    training_batch batch;
} objective_inputs;

// A term's mean over the batch is named in logs: "loss_NAME". The first is the final output's own, which the progress
// line calls the loss and validation splits by time.
typedef struct objective_term {
    const char *name;
    bool auxiliary; // counts auxiliary_weight times, else once
} objective_term;

typedef enum optimizer_kind { OPTIMIZER_ADAMW, OPTIMIZER_MUON } optimizer_kind;

#define OBJECTIVE_TERMS LOSS_TERMS // most there can be

typedef struct model_objective model_objective;
struct model_objective {
    const objective_term *terms;
    uint32_t term_count;
    optimizer_kind optimizer; // of the published recipe
    uint32_t time_steps;      // times are whole numbers below it; 0: from [0, 1]
    // Appends the terms' values, [N] each, into losses[term_count]. What it draws is counted by streams of its own.
    void (*losses)(graph *g, const model_config *c, const objective_options *o, const objective_inputs *in,
                   tensor_id *losses);
    const model_objective *head_only; // what the auxiliary head learns where it learns alone
};

extern const model_objective flow_objective, direction_objective; // SiT, LightningDiT: objective_flow.c
extern const model_objective diffusion_objective;                 // DiT: objective_diffusion.c
extern const model_objective masked_diffusion_objective;          // likewise, and once more with tokens hidden: MDTv2

// The kind's; null where it is not trained.
const model_objective *model_objective_of(const model_config *c);
// Of these options: with head_only the one of the head.
const model_objective *model_objective_for(const model_config *c, const objective_options *o);
double objective_term_weight(const objective_term *t, const objective_options *o);

#endif
