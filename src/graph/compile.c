// SPDX-License-Identifier: MIT
#include "graph/compile.h"

#include <string.h>

#define PLAN_ALIGNMENT 256 // the largest storage-buffer offset alignment seen (SwiftShader)

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

igvk_status graph_compile(graph **g, const capabilities *c, const tensor_id *keep, size_t keep_count, compiled_graph *out) {
    igvk_status status = IGVK_OK;
    memset(out, 0, sizeof *out);
    out->graph = *g;
    *g = NULL;
    if (!out->graph)
        return fail_memory("a graph", 0);
    TRY(graph_check(out->graph));
    TRY(graph_lower(out->graph, c, keep, keep_count, &out->list));
    plan_options o = {.alignment = PLAN_ALIGNMENT, .max_block = smaller(c->max_allocation, UINT64_MAX / 2), .keep = keep,
                      .keep_count = keep_count};
    TRY(memory_plan_make(&out->list, &o, &out->plan));
done:
    if (status != IGVK_OK)
        compiled_graph_free(out);
    return status;
}

void compiled_graph_free(compiled_graph *c) {
    memory_plan_free(&c->plan);
    dispatch_list_free(&c->list);
    graph_destroy(&c->graph);
}
