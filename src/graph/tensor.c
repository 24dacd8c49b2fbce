// SPDX-License-Identifier: MIT
// Tensors of a graph: shapes, roots, views, and which bytes they share.
#include "graph/internal.h"

#include <stdio.h>
#include <string.h>

uint64_t storage_bytes(storage_type type) {
    switch (type) {
    case STORAGE_F32:
    case STORAGE_U32:
        return 4;
    case STORAGE_F16:
    case STORAGE_BF16:
        return 2;
    }
    return 0;
}

// Saturates, so that a shape too large for 64 bits is refused where tensors are made.
uint64_t shape_elements(tensor_shape s) {
    uint64_t elements = 1;
    for (uint32_t k = 0; k < s.rank; k++)
        if (!multiply_u64(elements, s.dim[k], &elements))
            return UINT64_MAX;
    return elements;
}

bool shape_equal(tensor_shape a, tensor_shape b) {
    return a.rank == b.rank && memcmp(a.dim, b.dim, a.rank * sizeof a.dim[0]) == 0;
}

char *shape_text(char out[64], tensor_shape s) {
    int length = snprintf(out, 64, "%s", s.rank ? "" : "scalar");
    for (uint32_t k = 0; k < s.rank && length < 64; k++)
        length += snprintf(out + length, 64 - (size_t)length, "%s%llu", k ? "x" : "", (unsigned long long)s.dim[k]);
    return out;
}

uint32_t graph_tensor_count(const graph *g) { return (uint32_t)g->tensor_count - 1; }

const tensor *tensor_of(const graph *g, tensor_id t) { return &g->tensors[t.i < g->tensor_count ? t.i : 0].tensor; }

uint64_t tensor_bytes(const graph *g, tensor_id t) {
    const tensor *it = tensor_of(g, t);
    return tensor_is(it->root) ? shape_elements(it->shape) * storage_bytes(it->type) : 0;
}

bool graph_has(graph *g, tensor_id t, const char *what) {
    if (g->status != IGVK_OK)
        return false;
    if (tensor_is(t) && t.i < g->tensor_count)
        return true;
    graph_fail(g, "%s: %s", what, tensor_is(t) ? "not a tensor of this graph" : "the tensor is missing (NO_TENSOR)");
    return false;
}

// Shapes come from files and flags: every dimension at least 1, and the bytes fit 63 bits.
static bool shape_valid(graph *g, tensor_shape shape, const char *what) {
    char text[64];
    bool fits = shape.rank <= TENSOR_MAX_RANK;
    if (fits) {
        uint64_t elements = shape_elements(shape);
        fits = elements > 0 && elements <= INT64_MAX / 8;
    }
    if (!fits)
        graph_fail(g, "%s: shape %s: needs 0 to %d dimensions of at least 1 that fit memory", what,
                   shape.rank <= TENSOR_MAX_RANK ? shape_text(text, shape) : "of too many dimensions", TENSOR_MAX_RANK);
    return fits;
}

static tensor_id append_record(graph *g, tensor t, const char *what) {
    if (!shape_valid(g, t.shape, what))
        return NO_TENSOR;
    if (!ARRAY_RESERVE(g->tensors, g->tensor_capacity, g->tensor_count + 1))
        return graph_keep_failure(g, fail_memory("the graph's tensors", (g->tensor_count + 1) * sizeof *g->tensors));
    tensor_id id = {(uint32_t)g->tensor_count++};
    if (!tensor_is(t.root))
        t.root = id;
    *record_of(g, id) = (tensor_record){.tensor = t};
    return id;
}

tensor_id tensor_append(graph *g, storage_type type, tensor_shape shape) {
    return append_record(g, (tensor){.type = type, .role = ROLE_ACTIVATION, .shape = shape}, "an activation");
}

tensor_id graph_scratch(graph *g, storage_type type, tensor_shape shape) {
    return g->status == IGVK_OK ? tensor_append(g, type, shape) : NO_TENSOR;
}

static const char *role_name(tensor_role role) {
    static const char *const names[] = {"activation", "input", "parameter", "state", "output"};
    return names[role];
}

static const char *type_name(storage_type type) {
    static const char *const names[] = {"f32", "u32", "f16", "bf16"};
    return names[type];
}

// Two parts of a program that name one memory must mean the same thing by it.
static tensor_id same_external(graph *g, tensor_id found, tensor_role role, storage_type type, tensor_shape shape) {
    const tensor *old = tensor_of(g, found);
    if (old->role == role && old->type == type && shape_equal(old->shape, shape))
        return found;
    char before[64], now[64];
    return graph_fail(g, "tensor '%s' is declared as %s %s %s, but was declared as %s %s %s before", old->name,
                      role_name(role), type_name(type), shape_text(now, shape), role_name(old->role),
                      type_name(old->type), shape_text(before, old->shape));
}

tensor_id graph_external(graph *g, tensor_role role, const char *name, storage_type type, tensor_shape shape) {
    if (g->status != IGVK_OK)
        return NO_TENSOR;
    if (role == ROLE_ACTIVATION || !name || !*name)
        return graph_fail(g, "an external tensor needs a name and a role other than activation");
    for (uint32_t i = g->first_external; i; i = g->tensors[i].next)
        if (strcmp(g->tensors[i].tensor.name, name) == 0)
            return same_external(g, (tensor_id){i}, role, type, shape);
    char *copy = arena_copy_text(g->arena, name);
    if (!copy)
        return graph_keep_failure(g, fail_memory("a tensor's name", strlen(name) + 1));
    tensor_id t = append_record(g, (tensor){.name = copy, .type = type, .role = role, .shape = shape}, name);
    if (tensor_is(t)) {
        record_of(g, t)->next = g->first_external;
        g->first_external = t.i;
    }
    return t;
}

// The view of `parent` at this place in this shape, if it was made before.
static tensor_id same_view(graph *g, tensor_id parent, uint64_t offset, tensor_shape shape) {
    for (uint32_t i = record_of(g, parent)->first_view; i; i = g->tensors[i].next)
        if (g->tensors[i].tensor.offset == offset && shape_equal(g->tensors[i].tensor.shape, shape))
            return (tensor_id){i};
    return NO_TENSOR;
}

static tensor_id append_view(graph *g, tensor_id parent, tensor view) {
    tensor_id t = append_record(g, view, "a view");
    if (tensor_is(t)) {
        tensor_record *record = record_of(g, t), *above = record_of(g, parent);
        record->parent = parent;
        record->next = above->first_view;
        above->first_view = t.i;
    }
    return t;
}

static bool view_fits(graph *g, tensor_id parent, uint64_t first, tensor_shape shape) {
    uint64_t size = shape_elements(tensor_of(g, parent)->shape), elements = shape_elements(shape);
    if (elements <= size && first <= size - elements)
        return true;
    char text[64], parent_text[DESCRIPTION_SIZE];
    graph_fail(g, "a view of %s at element %llu reaches beyond %s", shape_text(text, shape), (unsigned long long)first,
               describe_tensor(parent_text, g, parent));
    return false;
}

tensor_id graph_view(graph *g, tensor_id parent, uint64_t first, tensor_shape shape, const char *name) {
    const char *what = name ? name : "a view";
    if (!graph_has(g, parent, what) || !shape_valid(g, shape, what) || !view_fits(g, parent, first, shape))
        return NO_TENSOR;
    tensor view = *tensor_of(g, parent);
    view.name = NULL;
    view.shape = shape;
    view.offset += first * storage_bytes(view.type);
    tensor_id t = same_view(g, parent, view.offset, shape);
    if (!tensor_is(t))
        t = append_view(g, parent, view);
    if (!tensor_is(t) || !name || tensor_of(g, t)->name)
        return t;
    char *copy = arena_copy_text(g->arena, name);
    if (!copy)
        return graph_keep_failure(g, fail_memory("a tensor's name", strlen(name) + 1));
    record_of(g, t)->tensor.name = copy;
    return t;
}

tensor_id tensor_whole(const graph *g, tensor_id t) {
    for (tensor_id parent; tensor_is(parent = g->tensors[t.i].parent); t = parent)
        if (tensor_bytes(g, parent) != tensor_bytes(g, t))
            break;
    return t;
}

bool tensor_overlaps(const graph *g, tensor_id t, tensor_id other) {
    const tensor *a = tensor_of(g, t), *b = tensor_of(g, other);
    return tensor_same(a->root, b->root) && tensor_same(a->assigns, b->assigns) &&
           a->offset < b->offset + tensor_bytes(g, other) && b->offset < a->offset + tensor_bytes(g, t);
}

void tensor_assign(graph *g, tensor_id t, tensor_id state) {
    const tensor target = *tensor_of(g, state);
    // Views come after their root, so one pass from it meets all of them.
    for (uint32_t i = t.i; i < g->tensor_count; i++) {
        tensor *it = &g->tensors[i].tensor;
        if (!tensor_same(it->root, t))
            continue;
        it->root = target.root;
        it->offset += target.offset;
        it->role = target.role;
        it->assigns = state;
    }
}

tensor_id graph_label(graph *g, tensor_id t, const char *format, ...) {
    if (g->status != IGVK_OK || !tensor_is(t) || t.i >= g->tensor_count)
        return t;
    const tensor *it = tensor_of(g, t);
    // Outside activations a name is the key of memory or the official one, and stays.
    if (it->role != ROLE_ACTIVATION && it->name)
        return t;
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = arena_copy_text(g->arena, text);
    if (!copy)
        return graph_keep_failure(g, fail_memory("a label", strlen(text) + 1));
    record_of(g, t)->tensor.name = copy;
    return t;
}

tensor_id graph_find(const graph *g, const char *name) {
    for (uint32_t i = 1; i < g->tensor_count; i++)
        if (g->tensors[i].tensor.name && strcmp(g->tensors[i].tensor.name, name) == 0)
            return (tensor_id){i};
    return NO_TENSOR;
}

char *describe_tensor(char out[DESCRIPTION_SIZE], const graph *g, tensor_id t) {
    const tensor *it = tensor_of(g, t);
    char shape[64];
    shape_text(shape, it->shape);
    if (it->name)
        snprintf(out, DESCRIPTION_SIZE, "'%.100s' (%s)", it->name, shape);
    else if (!tensor_same(it->root, t) && tensor_of(g, it->root)->name)
        snprintf(out, DESCRIPTION_SIZE, "part of '%.80s' (%s at byte %llu)", tensor_of(g, it->root)->name, shape,
                 (unsigned long long)it->offset);
    else if (it->producer)
        snprintf(out, DESCRIPTION_SIZE, "the %s of node %u (%.60s)", shape, it->producer - 1,
                 g->nodes[it->producer - 1].op->name);
    else
        snprintf(out, DESCRIPTION_SIZE, "tensor %u (%s)", t.i, shape);
    return out;
}
