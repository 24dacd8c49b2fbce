// SPDX-License-Identifier: MIT
// The trainer's inside, for trainer.c and diagnose.c.
#ifndef IGVK_TRAINING_TRAINER_INTERNAL_H
#define IGVK_TRAINING_TRAINER_INTERNAL_H

#include "graph/compile.h"
#include "training/trainer.h"

#define BATCH_RING 4  // micro-batches the host may have written: runs in flight and the one being filled
#define PENDING_MAX 8 // at least PROGRAM_IN_FLIGHT + 1
#define RESULT_MAX 8  // steps that can finish between two trainer_take

typedef struct pending_run {
    uint64_t ticket, step;
    uint32_t run;
    bool update;
} pending_run;

struct trainer {
    trainer_options o;
    uint32_t micro; // images at once
    parameter_layout *layout;
    store *store;
    workspace *workspace;
    program *micro_program, *update_program, *validation_program;
    compiled_graph validation;
    training_losses validation_losses;
    bool copied;      // the model's copies are made; updates keep them so
    uint64_t skipped; // steps, of which results have come
    uint32_t run; // programs run so far that advance the step ring
    pending_run pending[PENDING_MAX];
    uint32_t pending_first, pending_end;
    training_result results[RESULT_MAX], sum;
    uint32_t result_first, result_end;
};

// The micro program's graph for `count` images at once; null where memory is out.
graph *trainer_micro_graph(const trainer *t, uint32_t count);
// Fills the step block and the ring slots of the next run for the micro-batch that starts at sample `first`.
igvk_status trainer_fill_micro(trainer *t, uint64_t step, uint32_t first, batch_reader read, void *user);

#endif
