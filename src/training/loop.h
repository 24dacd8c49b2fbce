// SPDX-License-Identifier: MIT
// The training loop: steps from a dataset until the steps, the time or the user end it; log, validation,
// sample sheets and checkpoints on the way; the same bits whether it ran through or was resumed.
#ifndef IGVK_TRAINING_LOOP_H
#define IGVK_TRAINING_LOOP_H

#include "data/dataset.h"
#include "training/checkpoint.h"

typedef struct loop_options {
    trainer_options trainer;
    dataset *data;           // not owned
    const char *run;         // folder, exists
    const char *resume_from; // checkpoint file; null: a fresh start
    // Where a fresh run's weights come from, for the trainer's layout; null: the official initial values.
    igvk_status (*start)(void *user, const parameter_layout *l, parameter_source *source);
    void *start_user;
    checkpoint_texts texts;                                            // kept in checkpoints
    uint64_t steps;                                                    // in all; 0: no limit
    double time;                                                       // seconds of this session; 0: no limit
    uint64_t validate_every, sheet_every, save_every, keep, log_every; // steps; 0: never (keep: at least 1)
    double save_interval;                                              // seconds; 0: never
    const igvk_events *events;                                         // null: none

    // Draws a sample sheet of the EMA to `path`; null: none. Runs between steps; its error is told, and training goes
    // on. Returns IGVK_INTERRUPTED where events->stop asks for it: the user wants to stop, or time is up.
    igvk_status (*sheet)(void *user, trainer *t, uint64_t step, const char *path, const igvk_events *events);
    void *sheet_user;
} loop_options;

// What training_loop would put on the device, on a planning device: the micro-batch that it takes. No file is touched.
igvk_status training_loop_plan(const loop_options *o, uint32_t *micro_batch);
// IGVK_INTERRUPTED where the user stopped it, after saving.
igvk_status training_loop(const loop_options *o);

#endif
