// SPDX-License-Identifier: MIT
// The memory that the programs of training move: sets of parameters, segment tables, the rings of step blocks and of
// metrics. The trainer has it, and parity, which steps by itself.
#ifndef IGVK_TRAINING_TRAINING_STATE_H
#define IGVK_TRAINING_TRAINING_STATE_H

#include "training/step_graph.h"
#include "vulkan/store.h"

// An empty layout under the device's limits, whose groups are those that the optimizer tells apart. Null where memory
// is out.
parameter_layout *training_layout_create(const device *d, optimizer_kind kind);
// All zero but the guard's scale, which is LOSS_SCALE_START where the precision scales losses.
igvk_status training_state_add(store *s, const parameter_layout *l, storage_type precision);
uint64_t training_state_bytes(const parameter_layout *l, storage_type precision); // of the sets
// The step block of run `run`, emptied; its metrics.
uint32_t *training_step_block(store *s, uint32_t run);
const float *training_metrics(store *s, uint32_t run);
// Makes the copies of a mixed precision from the model; nothing in f32. Runs on the device and waits for it.
igvk_status training_copy_model(device *d, store *s, const parameter_layout *l, storage_type precision);

// What lasts of the loss scale.
typedef struct loss_scale {
    float scale;
    uint32_t good, skipped; // steps: taken since the scale changed, skipped in all
} loss_scale;
igvk_status training_read_scale(store *s, loss_scale *out);
igvk_status training_write_scale(store *s, const loss_scale *scale);

#endif
