// SPDX-License-Identifier: MIT
// Validation: the EMA's losses on held-out images with fixed noise and times, so that runs and steps compare.
// Image i has its time in bin i % VALIDATION_BINS and its noise from its own seed; both depend on i alone.
#ifndef IGVK_TRAINING_VALIDATION_H
#define IGVK_TRAINING_VALIDATION_H

#include "data/dataset.h"
#include "training/trainer.h"

#define VALIDATION_BINS 8
#define VALIDATION_MOST 512 // held-out images used

typedef struct validation_result {
    uint32_t images;
    double terms[OBJECTIVE_TERMS]; // means, as the model's objective names them
    double bins[VALIDATION_BINS];  // the first term by time: bin b covers [b, b + 1) / VALIDATION_BINS; 0 where empty
} validation_result;

typedef struct validation validation;
// The dataset must outlive it.
igvk_status validation_create(dataset *d, const model_config *m, const objective_options *o, validation **out);
void validation_destroy(validation **v);
igvk_status validation_run(validation *v, trainer *t, validation_result *out);

#endif
