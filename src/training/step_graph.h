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

// Everything up to the losses, of the model in `set`; the guided target reads the EMA set of the same layout.
training_losses build_losses(graph *g, const model_config *c, const parameter_layout *l, const char *set,
                             const objective_options *o, const training_batch *b);
// build_losses and its gradient added to the gradient set; writes the losses' metrics and advances.
training_losses build_micro(graph *g, const model_config *c, const parameter_layout *l, const objective_options *o,
                            const training_batch *b);
// Norm over all chunks, clipping, AdamW over chunks or Muon by matrices, EMA, zeroed gradients; writes the norm's
// metrics and advances. The layout's groups say who takes what; bf16: as in optimizer_settings.
void build_update(graph *g, const parameter_layout *l, bool bf16);

// The loop's own batch: images and labels from rings of `ring` micro-batches, noise and label dropout drawn by the
// step block's seed, step and item; times are left to the objective.
typedef struct batch_source {
    uint32_t count, ring;
    double label_dropout;
} batch_source;
training_batch build_batch(graph *g, const model_config *c, const batch_source *s);

#endif
