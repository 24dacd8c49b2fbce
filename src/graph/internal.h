// SPDX-License-Identifier: MIT
// The graph's inside, for the files of this folder alone.
#ifndef IGVK_GRAPH_INTERNAL_H
#define IGVK_GRAPH_INTERNAL_H

#include "graph/operator.h"

// A tensor and what only the graph needs of it. Links are tensor ids, 0 ends a list.
typedef struct tensor_record {
    tensor tensor;
    tensor_id parent;    // of a view, else none
    uint32_t first_view; // of a parent: its views
    uint32_t next;       // views: the parent's next view; external roots: the next external root
    uint32_t reads;      // roots: inputs of nodes that read the root or a view of it, and gradients that share it
} tensor_record;

struct graph {
    const struct operator *add;
    arena *arena;
    node *nodes;
    size_t node_count, node_capacity;
    tensor_record *tensors; // [0] is what NO_TENSOR shows
    size_t tensor_count, tensor_capacity;
    uint32_t first_external;
    bool keeps_for_gradient, recomputes;
    uint32_t segment, segment_count, segment_depth; // the open one, 0 none; ids are 1 ..
    igvk_status status; // the first failure, and its text
    char text[1024];
};

static inline tensor_record *record_of(graph *g, tensor_id t) { return &g->tensors[t.i]; }

// Keeps `status` and the thread's error text as the graph's failure, if it is the first. Returns NO_TENSOR.
tensor_id graph_keep_failure(graph *g, igvk_status status);
// Refuses an id that is not a tensor of the graph; `what` says whose argument it was. True where it is one.
bool graph_has(graph *g, tensor_id t, const char *what);

// A new activation root, NO_TENSOR and the failure kept where shape or memory refuse.
tensor_id tensor_append(graph *g, storage_type type, tensor_shape shape);
// The tensor whose value `t` shows whole: the topmost parent of the same size, `t` itself where it is no view.
tensor_id tensor_whole(const graph *g, tensor_id t);
// Moves an activation root and its views onto the bytes of `state`, as its assignment.
void tensor_assign(graph *g, tensor_id t, tensor_id state);
// Whether `t` reads bytes of `other`'s value: the same root, both old or both new, overlapping ranges.
bool tensor_overlaps(const graph *g, tensor_id t, tensor_id other);

// Appends copies of the nodes of last's segment up to `last`; copy_of[i], of the graph's first node_count nodes, becomes
// 1 + the index of the copy of node i. False, and the failure kept, where that cannot be.
bool segment_copy(graph *g, uint32_t last, uint32_t *copy_of, uint32_t node_count);

// For messages: "'blocks.0.x' (4x16)" and "node 12 (linear 'blocks.0.x')".
#define DESCRIPTION_SIZE 192
char *describe_tensor(char out[DESCRIPTION_SIZE], const graph *g, tensor_id t);
char *describe_node(char out[DESCRIPTION_SIZE], const graph *g, uint32_t index);

// Whether an operator `who` may assign `state` a value of this form; keeps the failure where not.
bool state_assignable(graph *g, const char *who, tensor_id state, storage_type type, tensor_shape shape);

#endif
