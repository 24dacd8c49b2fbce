// SPDX-License-Identifier: MIT
// What an operator is. One struct, one file src/ops/NAME.c, one line in src/ops/table.c, its shaders beside
// it in shaders/. The graph knows operators only through this.
#ifndef IGVK_GRAPH_OPERATOR_H
#define IGVK_GRAPH_OPERATOR_H

#include "graph/graph.h"
#include "graph/lower.h"

typedef struct node_cost {
    double flops; // 2 per multiply-add
    double bytes; // read and written at least once
} node_cost;

// A shape rule's results: count and, per output, type and shape.
typedef struct output_shapes {
    uint32_t count;
    storage_type type[NODE_MAX_OUTPUTS];
    tensor_shape shape[NODE_MAX_OUTPUTS];
} output_shapes;

typedef struct operator {
    const char *name;
    size_t attributes_size;
    // Checks inputs (n->inputs, n->attributes are set, outputs are not) and gives the outputs. Refuses with
    // fail(IGVK_ERROR_INVALID, ...) naming the input and both shapes.
    igvk_status (*shapes)(const graph *g, const node *n, output_shapes *out);
    // Appends nodes computing the gradient of each input i with want[i] into dx[i], of the input's shape; dx starts as
    // NO_TENSOR, which stands for zero. dy[k] is NO_TENSOR where nothing depends on output k. Two dx may be the same
    // tensor, or a dy. Null: the operator has no gradient (inputs are never wanted).
    void (*gradient)(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx);
    // Appends dispatches for the node. Pure: device facts come from l->capabilities alone.
    igvk_status (*lower)(lowering *l, const node *n);
    node_cost (*cost)(const graph *g, const node *n);
    // Optional: makes the node add `addend` (of output 0's shape) to its output 0 in its epilogue, by graph_set_input;
    // each element of the addend read by the invocation that then writes that element, since both may lie in one
    // place. False, and nothing changed, where it cannot. By it gradients are summed without passes of their own.
    bool (*fuse_add)(graph *g, uint32_t node_index, tensor_id addend);
    // Optional: appends what makes output 0 again from tensors that the node's own gradient needs anyway, in one pass
    // over them; NO_TENSOR, and nothing appended, where this node's output is better kept.
    tensor_id (*again)(graph *g, uint32_t node_index);
} operator;

#endif
