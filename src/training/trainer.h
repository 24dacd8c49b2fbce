// SPDX-License-Identifier: MIT
// The trainer: model, EMA, gradients, moments and the programs that move them, on one device. It takes
// optimizer steps and gives back what they measured; files, clocks and people are the loop's business.
#ifndef IGVK_TRAINING_TRAINER_H
#define IGVK_TRAINING_TRAINER_H

#include "graph/compile.h"
#include "training/training_state.h"
#include "vulkan/program.h"

typedef struct trainer_options {
    device *device;
    model_config model;
    objective_options objective;
    optimizer_settings optimizer;
    double label_dropout;
    uint32_t batch;       // effective
    uint32_t micro_batch; // divides batch; 0: the largest divisor whose plan fits the free memory
    storage_type precision; // of what products multiply (training/step_graph.h)
    bool recompute;       // blocks are computed again in the backward pass instead of kept: the same bits, less memory
    uint64_t seed;
    uint64_t reserve; // bytes of device memory left for what runs between steps (sample sheets)
} trainer_options;

typedef struct trainer trainer;
// Sets are zero until initialised or loaded. Refuses, before any large allocation, what does not fit.
igvk_status trainer_create(const trainer_options *o, trainer **out);
void trainer_destroy(trainer **t);

const parameter_layout *trainer_layout(const trainer *t);
store *trainer_store(trainer *t);
uint32_t trainer_micro_batch(const trainer *t);
// The program of forward and backward for `count` images at once, as it is run, for whoever measures or shows it.
igvk_status trainer_compile_micro(const trainer *t, uint32_t count, compiled_graph *out);
// Values from `source`, or, where null, the official initial ones from the seed; the EMA starts equal to the model,
// moments at zero.
igvk_status trainer_initialise(trainer *t, const parameter_source *source);

// What a checkpoint has of it; writing it is for before the first step.
igvk_status trainer_read_scale(trainer *t, loss_scale *out);
igvk_status trainer_write_scale(trainer *t, const loss_scale *scale);

// Images and labels of one micro-batch: `first` is its first sample's place in the effective batch of `step`.
typedef igvk_status (*batch_reader)(void *user, uint64_t step, uint32_t first, uint32_t count, float *images,
                                    uint32_t *labels);
// Submits optimizer step `step` (from 0). The host stays a few programs ahead: results come later, in order.
igvk_status trainer_step(trainer *t, uint64_t step, batch_reader read, void *user);

typedef struct training_result {
    uint64_t step;
    double loss, gradient_norm;
    double terms[OBJECTIVE_TERMS]; // unweighted means, as the model's objective names them
    bool finite;                   // false: the update was held back, and so are all after it
    bool skipped;                  // the gradient overflowed under the loss scale, which halves: only the EMA moved
    double loss_scale;             // at this step; 1 where losses are not scaled
} training_result;
// The next finished step's result; false where none has finished yet.
bool trainer_take(trainer *t, training_result *out);
// Waits for everything submitted; all results can be taken.
igvk_status trainer_finish(trainer *t);

// The step's forward and backward once more, every node's output checked: writes the first non-finite tensor's
// description into `out`. For a step that came back not finite, after trainer_finish.
igvk_status trainer_find_non_finite(trainer *t, uint64_t step, batch_reader read, void *user, char *out, size_t size);

// Losses of the EMA's outputs on given images, labels, times (in [0, 1), whatever the model's unit) and per-image seeds
// of noise; count <= micro batch.
typedef struct validation_batch {
    uint32_t count;
    const float *images, *times;
    const uint32_t *labels;
    const uint64_t *seeds;
} validation_batch;
// `terms` [the objective's term_count, count]: each image's.
igvk_status trainer_validate(trainer *t, const validation_batch *b, float *terms);

#endif
