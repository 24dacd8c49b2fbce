// SPDX-License-Identifier: MIT
// The memory plan: where every activation lies. A pure function of a dispatch list: live range of each
// activation root = first to last dispatch that touches it or a view of it; best fit (by decreasing size and in
// other orders, the smallest result is kept) into blocks of at most max_block bytes (a device's largest allocation);
// in place where a dispatch offers it at its input's last use. Roots in `keep` live to the end of the program.
// Refuses a tensor larger than a block by name, and a list that reads what nothing wrote.
#ifndef IGVK_GRAPH_PLAN_H
#define IGVK_GRAPH_PLAN_H

#include "graph/lower.h"

typedef struct plan_options {
    uint64_t alignment; // of offsets, a power of two (256 covers every descriptor limit seen)
    uint64_t max_block; // bytes
    bool no_reuse;      // every tensor its own place: for finding aliasing faults
    const tensor_id *keep;
    size_t keep_count;
} plan_options;

typedef struct placement {
    bool placed; // false for external roots, views and unused tensors
    uint32_t block;
    uint64_t offset, bytes; // bytes: the tensor's own, not rounded
    uint32_t first, last;   // dispatch indices, inclusive
} placement;

typedef struct memory_plan {
    placement *placements; // [graph_tensor_count + 1], by tensor id
    size_t placement_count;
    uint64_t *block_bytes;
    size_t block_count;
    uint64_t peak;      // sum of block_bytes
    uint64_t live_peak; // largest sum of rounded sizes live at one dispatch, an in-place pair counted once: what no
                        // packing can beat. From live ranges alone.
} memory_plan;

igvk_status memory_plan_make(const dispatch_list *l, const plan_options *o, memory_plan *out);
void memory_plan_free(memory_plan *p);

// Where a tensor (or view) lies, after aliasing: a memory space and a byte range in it. Spaces below
// block_count are the plan's blocks; above, one for each external root (block_count + root id).
typedef struct byte_range {
    uint32_t space;
    uint64_t begin, end;
} byte_range;
byte_range tensor_range(const graph *g, const memory_plan *p, tensor_id t);

// Barriers, derived: before[i] is true where dispatch i must wait for all before it since the last barrier
// (read after write, write after read, write after write on overlapping bytes). `before` has l->count items.
// A replayed program also starts with a barrier against its previous run, which the recorder always puts.
igvk_status barriers_make(const dispatch_list *l, const memory_plan *p, bool *before);

#endif
