// SPDX-License-Identifier: MIT
// Graph nodes to dispatches: which nodes are needed, each operator's lowering in order, and the checks that
// every dispatch passes.
#include "core/text.h"
#include "graph/internal.h"

#include <stdlib.h>
#include <string.h>

// ---- building a dispatch -----------------------------------------------------------------------------
// A count beyond its limit is counted but not stored; lowering_emit refuses it.

void dispatch_bind(dispatch *d, tensor_id t, tensor_access a) {
    if (d->argument_count < DISPATCH_MAX_ARGUMENTS)
        d->arguments[d->argument_count] = (argument){.tensor = t, .access = a};
    d->argument_count++;
}

void dispatch_bind_in_place(dispatch *d, tensor_id t, uint32_t input_slot) {
    dispatch_bind(d, t, ACCESS_WRITE);
    if (d->argument_count <= DISPATCH_MAX_ARGUMENTS)
        d->arguments[d->argument_count - 1].in_place_of = (uint8_t)(input_slot + 1);
}

void dispatch_constant(dispatch *d, uint32_t value) {
    if (d->constant_count < DISPATCH_MAX_CONSTANTS)
        d->constants[d->constant_count] = value;
    d->constant_count++;
}

void dispatch_scalar(dispatch *d, uint32_t value) {
    if (d->scalar_count < DISPATCH_MAX_SCALARS)
        d->scalars[d->scalar_count] = value;
    d->scalar_count++;
}

void dispatch_scalar_f32(dispatch *d, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    dispatch_scalar(d, bits);
}

void dispatch_groups_linear(dispatch *d, const capabilities *c, uint64_t items, uint64_t per_group) {
    uint64_t groups = items / per_group + (items % per_group != 0);
    if (groups == 0)
        groups = 1;
    uint64_t rows = (groups - 1) / c->max_groups[0] + 1;
    d->groups[0] = (uint32_t)((groups - 1) / rows + 1); // even rows: fewer workgroups than rows beyond the last item
    d->groups[1] = rows <= UINT32_MAX ? (uint32_t)rows : UINT32_MAX;
    d->groups[2] = 1;
}

// ---- checking a dispatch -----------------------------------------------------------------------------
// What exceeds a limit of the device is IGVK_ERROR_DEVICE_MEMORY: a smaller batch may do, and callers try it.

static igvk_status check_counts(const capabilities *c, const dispatch *d) {
    if (d->argument_count > DISPATCH_MAX_ARGUMENTS)
        return fail(IGVK_ERROR_INTERNAL, "%u tensors bound, at most %d", d->argument_count, DISPATCH_MAX_ARGUMENTS);
    if (d->scalar_count > DISPATCH_MAX_SCALARS)
        return fail(IGVK_ERROR_INTERNAL, "%u push words, at most %d", d->scalar_count, DISPATCH_MAX_SCALARS);
    if (d->constant_count > DISPATCH_MAX_CONSTANTS)
        return fail(IGVK_ERROR_INTERNAL, "%u specialization constants, at most %d", d->constant_count,
                    DISPATCH_MAX_CONSTANTS);
    if (d->local_size == 0 || d->local_size > c->max_invocations)
        return fail(IGVK_ERROR_INTERNAL, "a workgroup of %u invocations, the device takes 1 to %u", d->local_size,
                    c->max_invocations);
    for (int axis = 0; axis < 3; axis++)
        if (d->groups[axis] == 0 || d->groups[axis] > c->max_groups[axis])
            return fail(IGVK_ERROR_DEVICE_MEMORY, "%u workgroups along %c, the device takes 1 to %u: use a smaller batch",
                        d->groups[axis], "xyz"[axis], c -> max_groups[axis]);
    return IGVK_OK;
}

static igvk_status check_argument(const lowering *l, const dispatch *d, uint32_t slot) {
    const argument *a = &d->arguments[slot];
    const tensor *t = tensor_of(l->graph, a->tensor);
    char text[DESCRIPTION_SIZE], need[32], limit[32];
    if (!tensor_is(t->root))
        return fail(IGVK_ERROR_INTERNAL, "slot %u binds no tensor", slot);
    if ((t->type == STORAGE_F16 || t->type == STORAGE_BF16) && !l->capabilities->storage_16bit)
        return fail(IGVK_ERROR_INVALID, "%s is stored in 16 bits, which this device cannot (path storage-16bit): use f32",
                    describe_tensor(text, l->graph, a->tensor));
    uint64_t bytes = tensor_bytes(l->graph, a->tensor);
    if (bytes > l->capabilities->max_binding)
        return fail(IGVK_ERROR_DEVICE_MEMORY, "%s has %s, one binding of this device spans at most %s: use a smaller batch",
                    describe_tensor(text, l->graph, a->tensor), format_bytes(need, bytes),
                    format_bytes(limit, l->capabilities->max_binding));
    if ((a->access & ACCESS_WRITE) && (t->role == ROLE_PARAMETER || t->role == ROLE_INPUT))
        return fail(IGVK_ERROR_INTERNAL, "slot %u writes %s, which is not declared as written", slot,
                    describe_tensor(text, l->graph, a->tensor));
    if (a->in_place_of && (a->access != ACCESS_WRITE || a->in_place_of > d->argument_count ||
                           !(d->arguments[a->in_place_of - 1].access & ACCESS_READ)))
        return fail(IGVK_ERROR_INTERNAL, "slot %u is in place of slot %d, which is not read", slot, a->in_place_of - 1);
    return IGVK_OK;
}

igvk_status lowering_emit(lowering *l, const dispatch *d) {
    igvk_status status = IGVK_OK;
    TRY(check_counts(l->capabilities, d));
    for (uint32_t slot = 0; slot < d->argument_count; slot++)
        TRY(check_argument(l, d, slot));
    dispatch_list *list = l->list;
    if (!ARRAY_RESERVE(list->items, list->capacity, list->count + 1))
        TRY(fail_memory("the dispatch list", (list->count + 1) * sizeof *list->items));
    list->items[list->count] = *d;
    list->items[list->count++].node = l->node;
done:
    return fail_within(status, "shader %s", d->shader ? d->shader : "(none)");
}

// ---- which nodes are needed --------------------------------------------------------------------------

static bool assigns_something(const graph *g, const node *n) {
    for (uint32_t k = 0; k < n->output_count; k++)
        if (tensor_is(tensor_of(g, n->outputs[k])->assigns))
            return true;
    return false;
}

// needed[i]: node i assigns a state or an output, or computes what a needed node or `keep` reads. Nodes come
// after what they read, so one pass backwards is enough.
static void mark_needed(const graph *g, const tensor_id *keep, size_t keep_count, bool *needed) {
    for (size_t k = 0; k < keep_count; k++) {
        uint32_t producer = tensor_of(g, keep[k])->producer;
        if (producer)
            needed[producer - 1] = true;
    }
    for (uint32_t i = (uint32_t)g->node_count; i-- > 0;) {
        const node *n = &g->nodes[i];
        needed[i] = needed[i] || assigns_something(g, n);
        for (uint32_t k = 0; needed[i] && k < n->input_count; k++) {
            uint32_t producer = tensor_of(g, n->inputs[k])->producer;
            if (producer)
                needed[producer - 1] = true;
        }
    }
}

// ---- lowering ----------------------------------------------------------------------------------------

// Dispatches whose operator did not split the node's cost share it evenly.
static void share_cost(const node *n, const graph *g, dispatch *items, size_t count) {
    if (!n->op->cost || count == 0)
        return;
    for (size_t k = 0; k < count; k++)
        if (items[k].flops != 0 || items[k].bytes != 0)
            return;
    node_cost cost = n->op->cost(g, n);
    for (size_t k = 0; k < count; k++) {
        items[k].flops = cost.flops / (double)count;
        items[k].bytes = cost.bytes / (double)count;
    }
}

static igvk_status lower_node(lowering *l, uint32_t index) {
    const node *n = node_of(l->graph, index);
    size_t first = l->list->count;
    l->node = index;
    igvk_status status = n->op->lower(l, n);
    if (status == IGVK_OK && l->graph->status != IGVK_OK) // a scratch tensor's failure is the graph's
        status = graph_check(l->graph);
    if (status != IGVK_OK) {
        char text[DESCRIPTION_SIZE];
        return fail_within(status, "%s", describe_node(text, l->graph, index));
    }
    share_cost(n, l->graph, l->list->items + first, l->list->count - first);
    return IGVK_OK;
}

igvk_status graph_lower(graph *g, const capabilities *c, const tensor_id *keep, size_t keep_count, dispatch_list *out) {
    igvk_status status = IGVK_OK;
    *out = (dispatch_list){.graph = g};
    bool *needed = calloc(g->node_count + 1, sizeof *needed);
    if (!needed)
        TRY(fail_memory("lowering the graph", g->node_count + 1));
    TRY(graph_check(g));
    mark_needed(g, keep, keep_count, needed);
    lowering l = {.capabilities = c, .graph = g, .list = out};
    for (uint32_t i = 0; i < g->node_count; i++)
        if (needed[i])
            TRY(lower_node(&l, i));
done:
    free(needed);
    if (status != IGVK_OK)
        dispatch_list_free(out);
    return status;
}

void dispatch_list_free(dispatch_list *l) {
    free(l->items);
    *l = (dispatch_list){0};
}
