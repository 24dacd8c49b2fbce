// SPDX-License-Identifier: MIT
// Nodes of a graph, its sticky failure, and the order rule of states. Tensors are in tensor.c.
#include "graph/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

graph *graph_create(const struct operator *add) {
    graph *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->add = add;
    g->arena = arena_create();
    if (!g->arena || !ARRAY_RESERVE(g->tensors, g->tensor_capacity, 1)) {
        graph_destroy(&g);
        return NULL;
    }
    // Builders compute with shape_of before graph_check tells them of a failure: dims of 1 divide.
    g->tensors[g->tensor_count++].tensor.shape = (tensor_shape){0, {1, 1, 1, 1, 1}};
    return g;
}

void graph_destroy(graph **g) {
    if (!g || !*g)
        return;
    arena_destroy(&(*g)->arena);
    free((*g)->nodes);
    free((*g)->tensors);
    free(*g);
    *g = NULL;
}

// ---- the sticky failure ------------------------------------------------------------------------------

tensor_id graph_keep_failure(graph *g, igvk_status status) {
    if (g->status == IGVK_OK && status != IGVK_OK) {
        g->status = status;
        snprintf(g->text, sizeof g->text, "%s", igvk_error_text());
    }
    return NO_TENSOR;
}

tensor_id graph_fail(graph *g, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    igvk_status status = fail_v(IGVK_ERROR_INVALID, format, arguments);
    va_end(arguments);
    return graph_keep_failure(g, status);
}

// ---- nodes -------------------------------------------------------------------------------------------

uint32_t graph_node_count(const graph *g) { return (uint32_t)g->node_count; }
const node *node_of(const graph *g, uint32_t index) { return &g->nodes[index]; }
arena *graph_arena(graph *g) { return g->arena; }
void graph_keep_for_gradient(graph *g, bool keep) { g->keeps_for_gradient = keep; }
bool graph_keeps_for_gradient(const graph *g) { return g->keeps_for_gradient; }

char *describe_node(char out[DESCRIPTION_SIZE], const graph *g, uint32_t index) {
    const node *n = node_of(g, index);
    const char *label = NULL;
    for (uint32_t k = 0; k < n->output_count && !label; k++)
        label = tensor_of(g, n->outputs[k])->name;
    snprintf(out, DESCRIPTION_SIZE, label ? "node %u (%.60s '%.90s')" : "node %u (%.60s)", index, n->op->name, label);
    return out;
}

// The state an output is to overwrite must be external, declared as written, still old, and of the same form.
bool state_assignable(graph *g, const char *who, tensor_id state, storage_type type, tensor_shape shape) {
    char what[DESCRIPTION_SIZE], text[64];
    if (!graph_has(g, state, who))
        return false;
    const tensor *s = tensor_of(g, state);
    describe_tensor(what, g, state);
    if (s->role != ROLE_STATE && s->role != ROLE_OUTPUT)
        graph_fail(g, "%s: cannot assign %s: only states and outputs are assigned", who, what);
    else if (tensor_is(s->assigns))
        graph_fail(g, "%s: cannot assign %s: it is the new value of a state that is assigned already", who, what);
    else if (s->type != type || !shape_equal(s->shape, shape))
        graph_fail(g, "%s: cannot assign %s: the value is %s", who, what,
                   s->type != type ? "of another type" : shape_text(text, shape));
    return g->status == IGVK_OK;
}

// Copies inputs and attributes and asks the shape rule, into a node that is not yet part of the graph.
static bool prepare_node(graph *g, node *n, const void *attributes, output_shapes *shapes) {
    const struct operator *op = n->op;
    for (uint32_t k = 0; k < n->input_count; k++)
        if (tensor_is(n->inputs[k]) && !graph_has(g, n->inputs[k], op->name))
            return false;
    if (op->attributes_size) {
        void *copy = arena_alloc(g->arena, op->attributes_size);
        if (!copy) {
            graph_keep_failure(g, fail_memory("a node's attributes", op->attributes_size));
            return false;
        }
        if (attributes)
            memcpy(copy, attributes, op->attributes_size);
        n->attributes = copy;
    }
    igvk_status status = op->shapes(g, n, shapes);
    if (status == IGVK_OK && shapes->count > NODE_MAX_OUTPUTS)
        status = fail(IGVK_ERROR_INTERNAL, "%s: %u outputs, at most %d", op->name, shapes->count, NODE_MAX_OUTPUTS);
    if (status == IGVK_OK && !ARRAY_RESERVE(g->nodes, g->node_capacity, g->node_count + 1))
        status = fail_memory("the graph's nodes", (g->node_count + 1) * sizeof *g->nodes);
    graph_keep_failure(g, status);
    return g->status == IGVK_OK;
}

static void append_node(graph *g, const node *prepared) {
    g->nodes[g->node_count++] = *prepared;
    for (uint32_t k = 0; k < prepared->input_count; k++)
        if (tensor_is(prepared->inputs[k]))
            record_of(g, tensor_of(g, prepared->inputs[k])->root)->reads++;
    for (uint32_t k = 0; k < prepared->output_count; k++)
        record_of(g, prepared->outputs[k])->tensor.producer = (uint32_t)g->node_count;
}

tensor_id graph_node_assign(graph *g, const struct operator *op, const void *attributes, const tensor_id *inputs,
                            size_t input_count, const tensor_id *assigns, size_t assign_count) {
    if (g->status != IGVK_OK)
        return NO_TENSOR;
    if (input_count > NODE_MAX_INPUTS)
        return graph_fail(g, "%s: %zu inputs, at most %d", op->name, input_count, NODE_MAX_INPUTS);
    node n = {.op = op, .segment = g->segment, .input_count = (uint32_t)input_count};
    if (input_count)
        memcpy(n.inputs, inputs, input_count * sizeof *inputs);
    output_shapes shapes = {0};
    if (!prepare_node(g, &n, attributes, &shapes))
        return NO_TENSOR;
    if (!assigns)
        assign_count = 0;
    if (assign_count > shapes.count)
        return graph_fail(g, "%s: %zu states to assign, but %u outputs", op->name, assign_count, shapes.count);
    for (size_t k = 0; k < assign_count; k++)
        if (tensor_is(assigns[k]) && !state_assignable(g, op->name, assigns[k], shapes.type[k], shapes.shape[k]))
            return NO_TENSOR;
    for (uint32_t k = 0; k < shapes.count; k++) {
        tensor_id t = tensor_append(g, shapes.type[k], shapes.shape[k]);
        if (!tensor_is(t))
            return NO_TENSOR;
        if (k < assign_count && tensor_is(assigns[k]))
            tensor_assign(g, t, assigns[k]);
        n.outputs[n.output_count++] = t;
    }
    append_node(g, &n);
    return n.outputs[0];
}

tensor_id graph_node(graph *g, const struct operator *op, const void *attributes, const tensor_id *inputs,
                     size_t input_count) {
    return graph_node_assign(g, op, attributes, inputs, input_count, NULL, 0);
}

tensor_id graph_output(const graph *g, tensor_id first_output, uint32_t k) {
    uint32_t producer = tensor_of(g, first_output)->producer;
    return producer && k < g->nodes[producer - 1].output_count ? g->nodes[producer - 1].outputs[k] : NO_TENSOR;
}

void graph_set_input(graph *g, uint32_t node_index, uint32_t slot, tensor_id t) {
    if (!graph_has(g, t, "graph_set_input"))
        return;
    if (node_index >= g->node_count || slot >= NODE_MAX_INPUTS || tensor_of(g, t)->producer > node_index) {
        char what[DESCRIPTION_SIZE];
        graph_fail(g, "graph_set_input: node %u, slot %u cannot read %s: no such place, or made after it", node_index,
                   slot, describe_tensor(what, g, t));
        return;
    }
    node *n = &g->nodes[node_index];
    if (slot >= n->input_count)
        n->input_count = slot + 1; // what lies between was never set: NO_TENSOR
    if (tensor_is(n->inputs[slot]))
        record_of(g, tensor_of(g, n->inputs[slot])->root)->reads--;
    n->inputs[slot] = t;
    record_of(g, tensor_of(g, t)->root)->reads++;
}

// ---- the order rule of states ------------------------------------------------------------------------

typedef struct assignment {
    uint32_t root, node;
    uint64_t begin, end; // bytes of the root
    tensor_id state;
} assignment;

static int by_place(const void *left, const void *right) {
    const assignment *a = left, *b = right;
    if (a->root != b->root)
        return a->root < b->root ? -1 : 1;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

static igvk_status collect_assignments(const graph *g, assignment **out, size_t *count) {
    size_t capacity = 0;
    for (uint32_t i = 0; i < g->node_count; i++)
        for (uint32_t k = 0; k < g->nodes[i].output_count; k++) {
            const tensor *t = tensor_of(g, g->nodes[i].outputs[k]);
            if (!tensor_is(t->assigns))
                continue;
            if (!ARRAY_RESERVE(*out, capacity, *count + 1))
                return fail_memory("the list of assignments", (*count + 1) * sizeof **out);
            uint64_t end = t->offset + tensor_bytes(g, g->nodes[i].outputs[k]);
            (*out)[(*count)++] = (assignment){t->root.i, i, t->offset, end, t->assigns};
        }
    if (*count)
        qsort(*out, *count, sizeof **out, by_place);
    return IGVK_OK;
}

static igvk_status refuse_twice(const graph *g, const assignment *a, const assignment *b) {
    char state[DESCRIPTION_SIZE], one[DESCRIPTION_SIZE], two[DESCRIPTION_SIZE];
    return fail(IGVK_ERROR_INVALID, "state %s is assigned twice, by %s and by %s: a program assigns a state once",
                describe_tensor(state, g, b->state), describe_node(one, g, a->node), describe_node(two, g, b->node));
}

// The first assignment that ends after `begin`; they are disjoint and sorted.
static const assignment *find_assignment(const assignment *items, size_t count, uint32_t root, uint64_t begin) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const assignment *a = &items[middle];
        if (a->root < root || (a->root == root && a->end <= begin))
            low = middle + 1;
        else
            high = middle;
    }
    return items + low;
}

// Node i reads `t`: every assignment of these bytes must come at i or later, unless t is the new value itself.
static igvk_status check_read(const graph *g, const assignment *items, size_t count, uint32_t i, tensor_id t) {
    const tensor *it = tensor_of(g, t);
    if (it->role == ROLE_ACTIVATION || tensor_is(it->assigns))
        return IGVK_OK;
    uint64_t end = it->offset + tensor_bytes(g, t);
    const assignment *a = find_assignment(items, count, it->root.i, it->offset);
    for (; a < items + count && a->root == it->root.i && a->begin < end; a++) {
        if (a->node >= i)
            continue;
        char state[DESCRIPTION_SIZE], reader[DESCRIPTION_SIZE], writer[DESCRIPTION_SIZE];
        return fail(IGVK_ERROR_INVALID,
                    "%s reads state %s after %s assigned it: read the old value before, or the assigning node's output",
                    describe_node(reader, g, i), describe_tensor(state, g, t), describe_node(writer, g, a->node));
    }
    return IGVK_OK;
}

static igvk_status check_states(const graph *g) {
    igvk_status status = IGVK_OK;
    assignment *items = NULL;
    size_t count = 0;
    TRY(collect_assignments(g, &items, &count));
    for (size_t k = 1; k < count; k++)
        if (items[k].root == items[k - 1].root && items[k].begin < items[k - 1].end)
            TRY(refuse_twice(g, &items[k - 1], &items[k]));
    for (uint32_t i = 0; i < g->node_count && count; i++)
        for (uint32_t k = 0; k < g->nodes[i].input_count; k++)
            if (tensor_is(g->nodes[i].inputs[k]))
                TRY(check_read(g, items, count, i, g->nodes[i].inputs[k]));
done:
    free(items);
    return status;
}

igvk_status graph_check(graph *g) {
    if (g->status == IGVK_OK)
        graph_keep_failure(g, check_states(g));
    return g->status == IGVK_OK ? IGVK_OK : fail(g->status, "%s", g->text);
}
