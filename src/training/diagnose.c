// SPDX-License-Identifier: MIT
// Which tensor became non-finite first: the micro program once more, with every node's output kept and read.
#include "training/trainer_internal.h"

#include "step_block.h"
#include "graph/operator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool all_finite(const float *values, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

// Whether the node's output k is an f32 activation of its own: what the host can look at.
static bool readable(const graph *g, tensor_id t) {
    const tensor *x = tensor_of(g, t);
    return x->type == STORAGE_F32 && x->role == ROLE_ACTIVATION && !tensor_is(x->assigns);
}

static void describe(const graph *g, const node *n, tensor_id t, char *out, size_t size) {
    char shape[64];
    const tensor *x = tensor_of(g, t);
    const char *parameter = "";
    for (uint32_t i = 0; i < n->input_count && !*parameter; i++)
        if (tensor_is(n->inputs[i]) && tensor_of(g, n->inputs[i])->role == ROLE_PARAMETER &&
            tensor_of(g, n->inputs[i])->name)
            parameter = tensor_of(g, n->inputs[i])->name;
    snprintf(out, size, "%s%s%s%s%s [%s]", x->name ? x->name : n->op->name, x->name ? ", output of " : "",
             x->name ? n->op->name : "", *parameter ? " with " : "", parameter, shape_text(shape, x->shape));
}

static igvk_status search(const graph *g, program *p, const tensor_id *keep, size_t count, char *out, size_t size) {
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = tensor_bytes(g, keep[i]);
        float *values = malloc(bytes);
        if (!values)
            return fail_memory("a tensor to look at", bytes);
        igvk_status status = program_read(p, keep[i], values, bytes);
        bool finite = status == IGVK_OK && all_finite(values, bytes / 4);
        free(values);
        if (status != IGVK_OK)
            return status;
        if (!finite) {
            describe(g, node_of(g, tensor_of(g, keep[i])->producer - 1), keep[i], out, size);
            return IGVK_OK;
        }
    }
    return IGVK_OK;
}

igvk_status trainer_find_non_finite(trainer *t, uint64_t step, batch_reader read, void *user, char *out, size_t size) {
    igvk_status status = IGVK_OK;
    compiled_graph compiled = {0};
    workspace *w = NULL;
    program *p = NULL;
    tensor_id *keep = NULL;
    size_t count = 0;
    out[0] = 0;
    graph *g = trainer_micro_graph(t, t->micro);
    TRY(g ? graph_check(g) : fail_memory("a graph", 0));
    keep = calloc((size_t)graph_node_count(g) * NODE_MAX_OUTPUTS, sizeof *keep);
    if (!keep)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the search");
    for (uint32_t i = 0; i < graph_node_count(g); i++)
        for (uint32_t k = 0; k < node_of(g, i)->output_count; k++)
            if (readable(g, node_of(g, i)->outputs[k]))
                keep[count++] = node_of(g, i)->outputs[k];
    TRY(graph_compile(&g, device_capabilities(t->o.device), keep, count, &compiled));
    if (compiled.plan.peak > device_memory_free(t->o.device)) {
        snprintf(out, size, "a tensor that cannot be named: keeping all of them does not fit the memory");
        goto done;
    }
    TRY(workspace_create(t->o.device, &w));
    TRY(workspace_reserve(w, &compiled.plan));
    TRY(program_record(t->o.device, &compiled.list, &compiled.plan, t->store, w, NULL, &p));
    for (uint32_t first = 0; first < t->o.batch && !out[0]; first += t->micro) {
        TRY(trainer_fill_micro(t, step, first, read, user));
        TRY(program_run(p, NULL));
        t->run++;
        TRY(device_wait(t->o.device));
        TRY(search(compiled.graph, p, keep, count, out, size));
    }
done:
    program_destroy(&p);
    workspace_destroy(&w);
    compiled_graph_free(&compiled);
    graph_destroy(&g);
    free(keep);
    return status;
}
