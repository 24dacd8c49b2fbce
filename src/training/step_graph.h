// SPDX-License-Identifier: MIT
// The two programs of training as graphs: micro (forward, backward, accumulate) and update (norm, clip,
// AdamW, EMA); and the forward-only validation. Method, chapter 2; official code: SiT/loss.py, SiT/train.py.
#ifndef IGVK_TRAINING_STEP_GRAPH_H
#define IGVK_TRAINING_STEP_GRAPH_H

#include "models/model.h"

typedef struct training_objective {
    double auxiliary_weight; // of the auxiliary loss, 0.5
    double guided_target;    // W; 1 is off
    double guided_low, guided_high;
} training_objective;

// Names of the sets and rings in the store.
#define SET_MODEL "model"
#define SET_EMA "ema"
#define SET_GRADIENT "gradient"
#define SET_MOMENT1 "moment1"
#define SET_MOMENT2 "moment2"

// What a micro-batch is made of; the loop draws them on the device, parity gives them.
typedef struct training_batch {
    tensor_id x, noise; // [N, C, H, W]
    tensor_id t;        // [N]
    tensor_id labels;   // u32 [N]; NO_TENSOR where the model has no classes
} training_batch;

typedef struct training_losses {
    tensor_id final_loss, auxiliary_loss; // [N]
    tensor_id total;                      // [1]
} training_losses;

tensor_id training_steps_tensor(graph *g);   // "training.steps"
tensor_id training_metrics_tensor(graph *g); // "training.metrics"

// Forward and both losses. `set` is the model's; the guided target reads the EMA set of the same layout.
training_losses build_losses(graph *g, const model_config *c, const parameter_layout *l, const char *set,
                             const training_objective *o, const training_batch *b);
// build_losses and its gradient added to the gradient set; writes the losses' metrics and advances.
training_losses build_micro(graph *g, const model_config *c, const parameter_layout *l, const training_objective *o,
                            const training_batch *b);
// Norm over all chunks, clipping, AdamW, EMA, zeroed gradients; writes the norm's metrics and advances.
void build_update(graph *g, const parameter_layout *l);

// The loop's own batch: images and labels from rings of `ring` micro-batches, noise, times and label dropout
// drawn by the step block's seed, step and item.
typedef struct batch_source {
    uint32_t count, ring;
    time_weighting times;
    double label_dropout;
} batch_source;
training_batch build_batch(graph *g, const model_config *c, const batch_source *s);

#endif
