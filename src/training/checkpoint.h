// SPDX-License-Identifier: MIT
// A checkpoint is the complete state of a run: model, EMA, moments ("model/NAME", "ema/NAME", "moment1/NAME",
// "moment2/NAME" without Muon's matrices, moments without what is kept, f32, official names) and, as metadata, the
// model's configuration and the counters. Random numbers and data order are functions of seed and step, so nothing else
// is needed to go on with the same bits.
#ifndef IGVK_TRAINING_CHECKPOINT_H
#define IGVK_TRAINING_CHECKPOINT_H

#include "training/trainer.h"

typedef struct checkpoint_counters {
    uint64_t step;        // optimizer steps taken
    double seconds;       // of training so far
    loss_scale scale;     // of f16 training; scale 0: a file without, of other training
    uint32_t micro_batch; // images at once: the order of sums depends on it
    char kernels[256];    // device, driver and kernel choices: resuming under others gives other bits
    char dataset[17];     // its digest
} checkpoint_counters;

// Metadata that training only passes on.
typedef struct checkpoint_texts {
    const char *options;     // the run's resolved options, JSON
    const char *class_names; // JSON list of texts, "[]" where there are none
} checkpoint_texts;

// Bytes the file will have (to a few KiB), for checks of free space.
uint64_t checkpoint_bytes(const parameter_layout *l);
// Whole or not at all. The trainer must be finished (trainer_finish).
igvk_status checkpoint_save(trainer *t, const model_config *model, const checkpoint_counters *c,
                            const checkpoint_texts *texts, const char *path);
// The model's configuration; the counters; then the tensors into a trainer of the same model.
igvk_status checkpoint_read_model(const char *path, model_config *model);
igvk_status checkpoint_read_counters(const char *path, checkpoint_counters *c);
igvk_status checkpoint_load(trainer *t, const char *path);

#endif
