// SPDX-License-Identifier: MIT
// Recomputation, graph to graph: the backward pass of a segment first appends copies of the segment's nodes and reads
// those, so that of the forward pass nothing lasts but what the segment read. Copies are the same operators of the
// same values, hence the same bits.
#include "graph/internal.h"

void graph_segment_begin(graph *g) {
    if (g->segment_depth++ == 0)
        g->segment = ++g->segment_count;
}

void graph_segment_end(graph *g) {
    if (g->segment_depth && --g->segment_depth == 0)
        g->segment = 0;
}

void graph_recompute(graph *g, bool recompute) {
    g->recomputes = recompute;
}

// What stands for `t` among the copies: the copied output, or a view of it like this one; itself from elsewhere.
static tensor_id tensor_in_copy(graph *g, const uint32_t *copy_of, uint32_t node_count, tensor_id t) {
    const tensor it = *tensor_of(g, t);
    if (!tensor_is(t) || !it.producer || it.producer > node_count || !copy_of[it.producer - 1] ||
        it.role != ROLE_ACTIVATION)
        return t;
    const node *from = node_of(g, it.producer - 1), *to = node_of(g, copy_of[it.producer - 1] - 1);
    for (uint32_t k = 0; k < from->output_count; k++)
        if (tensor_same(from->outputs[k], it.root))
            return tensor_same(it.root, t)
                       ? to->outputs[k]
                       : graph_view(g, to->outputs[k], it.offset / storage_bytes(it.type), it.shape, NULL);
    return t;
}

static bool node_copy(graph *g, uint32_t index, uint32_t *copy_of, uint32_t node_count) {
    const uint32_t copy = (uint32_t)g->node_count;
    const node n = *node_of(g, index); // a copy: views and the node append
    tensor_id inputs[NODE_MAX_INPUTS];
    char text[DESCRIPTION_SIZE];
    for (uint32_t k = 0; k < n.output_count; k++)
        if (tensor_is(tensor_of(g, n.outputs[k])->assigns))
            graph_fail(g, "%s assigns a state: it cannot be part of what is computed again",
                       describe_node(text, g, index));
    for (uint32_t k = 0; k < n.input_count; k++)
        inputs[k] = tensor_in_copy(g, copy_of, node_count, n.inputs[k]);
    graph_node(g, n.op, n.attributes, inputs, n.input_count);
    if (g->status != IGVK_OK)
        return false;
    g->nodes[copy].segment = n.segment;
    for (uint32_t k = 0; k < n.output_count; k++) // named alike, for whoever reports of it
        record_of(g, g->nodes[copy].outputs[k])->tensor.name = tensor_of(g, n.outputs[k])->name;
    copy_of[index] = copy + 1;
    return true;
}

bool segment_copy(graph *g, uint32_t last, uint32_t *copy_of, uint32_t node_count) {
    uint32_t first = last;
    while (first > 0 && node_of(g, first - 1)->segment == node_of(g, last)->segment)
        first--;
    for (uint32_t i = first; i <= last; i++)
        if (!node_copy(g, i, copy_of, node_count))
            return false;
    return true;
}
