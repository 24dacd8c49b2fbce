// SPDX-License-Identifier: MIT
// Packing: intervals in time, each with a size, to offsets in blocks. Knows nothing of tensors.
#ifndef IGVK_GRAPH_PACKING_H
#define IGVK_GRAPH_PACKING_H

#include "core/status.h"

// One place, and when it is in use: dispatches first to last, inclusive.
typedef struct slot {
    uint64_t size; // aligned; every offset is a sum of sizes, so offsets are aligned too
    uint32_t first, last;
    uint32_t block;  // the result
    uint64_t offset; // the result
} slot;

// Places `count` slots, each at most max_block long, into blocks of at most max_block. `enough` is a peak not worth
// improving on. *block_bytes is malloc'd.
igvk_status pack_slots(slot *slots, size_t count, uint64_t max_block, uint64_t enough, uint64_t **block_bytes,
                       size_t *block_count);

#endif
