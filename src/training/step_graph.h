// SPDX-License-Identifier: MIT
// The two programs of training as graphs: micro (forward, backward, accumulate) and update (norm, clip,
// AdamW, EMA); and the forward-only validation. What is learned is the model's (models/objective.h).
#ifndef IGVK_TRAINING_STEP_GRAPH_H
#define IGVK_TRAINING_STEP_GRAPH_H

#include "training/optimizer.h"

// Names of the sets and rings in the store.
#define SET_MODEL "model"
#define SET_EMA "ema"
#define SET_GRADIENT "gradient"
#define SET_MOMENT1 "moment1" // AdamW's first; of matrices under Muon the momentum
#define SET_MOMENT2 "moment2" // not of matrices under Muon
#define SET_COPIES "copies"   // of the model in 16 bits, where training is of mixed precision; made of it, never saved
// Whether the set has memory for parameters of the group; what is kept is in the model alone.
bool training_set_holds(const char *set, parameter_group group);

typedef struct training_losses {
    uint32_t count;
    tensor_id terms[OBJECTIVE_TERMS]; // [N] each, as the model's objective names them
    float weights[OBJECTIVE_TERMS];
    tensor_id total; // [1]
} training_losses;

tensor_id training_steps_tensor(graph *g);   // "training.steps"
tensor_id training_metrics_tensor(graph *g); // "training.metrics"
tensor_id training_guard_tensor(graph *g);   // "training.guard"

// Precision, of what products multiply. f16, bf16: weights are read from the set of copies, activations and gradients
// rounded where a product reads them, all sums and all else f32; with f16 the loss is scaled (training_scales_loss).
bool training_scales_loss(storage_type precision);

// Everything up to the losses, of the model in `set`; the guided target reads the EMA set of the same layout.
// Of a set other than the model: f32, whatever the run's precision.
training_losses build_losses(graph *g, const model_config *c, const parameter_layout *l, const char *set,
                             storage_type precision, const objective_options *o, const training_batch *b);
// What a gradient is made of: of several micro-batches, added to the zeros that the update leaves, or of one that
// overwrites it.
typedef enum gradient_sum { GRADIENT_ACCUMULATED, GRADIENT_OF_ONE } gradient_sum;

// build_losses and its gradient, times the loss scale, into the gradient set; writes the losses' metrics and advances.
training_losses build_micro(graph *g, const model_config *c, const parameter_layout *l, storage_type precision,
                            gradient_sum sum, const objective_options *o, const training_batch *b);
// Norm over all chunks, clipping, AdamW over chunks or Muon by matrices, EMA, copies of what changed; writes the norm's
// metrics and advances. The layout's groups say who takes what; bf16: as in optimizer_settings.
void build_update(graph *g, const parameter_layout *l, storage_type precision, gradient_sum sum, bool bf16);
// All copies of the model, for the time before the first update.
void build_copies(graph *g, const parameter_layout *l, storage_type precision);

// The loop's own batch: images and labels from rings of `ring` micro-batches, noise and label dropout drawn by the
// step block's seed, step and item; times are left to the objective.
typedef struct batch_source {
    uint32_t count, ring;
    double label_dropout;
} batch_source;
training_batch build_batch(graph *g, const model_config *c, const batch_source *s);

#endif
