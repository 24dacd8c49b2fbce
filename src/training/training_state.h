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
igvk_status training_state_add(store *s, const parameter_layout *l); // all zero
uint64_t training_state_bytes(const parameter_layout *l);            // of the sets
// The step block of run `run`, emptied; its metrics.
uint32_t *training_step_block(store *s, uint32_t run);
const float *training_metrics(store *s, uint32_t run);

#endif
