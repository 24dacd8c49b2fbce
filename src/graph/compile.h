// SPDX-License-Identifier: MIT
// A graph made ready to record: checked, lowered, planned. Pure.
#ifndef IGVK_GRAPH_COMPILE_H
#define IGVK_GRAPH_COMPILE_H

#include "graph/plan.h"

typedef struct compiled_graph {
    graph *graph; // owned
    dispatch_list list;
    memory_plan plan;
} compiled_graph;

// Takes the graph over, also where it fails. `keep`: activations the host wants to read after a run.
igvk_status graph_compile(graph **g, const capabilities *c, const tensor_id *keep, size_t keep_count, compiled_graph *out);
void compiled_graph_free(compiled_graph *c);

#endif
