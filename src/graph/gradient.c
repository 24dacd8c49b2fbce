// SPDX-License-Identifier: MIT
// Gradients, graph to graph: a walk over the nodes from the last to the first that appends what each
// operator's rule asks for, and sums where a tensor has several consumers.
//
// Gradients are kept by tensor_whole: a view that shows its whole parent (a reshape) is the same value, so what
// reaches the view reaches the parent. A view of a part would need a scatter; nothing here has one, so it is refused.
#include "graph/internal.h"

#include <stdlib.h>

typedef struct walk {
    graph *graph;
    uint32_t node_count; // nodes to differentiate; those from here on are the gradient's own
    const tensor_id *wrt;
    size_t wrt_count;
    bool *wanted;           // by tensor: on a path to a wrt
    tensor_id *gradient;    // by tensor: the sum of the contributions met so far
    uint32_t *copy_of;      // by node: 1 + the index of its copy, where it is computed again
    uint32_t first_segment; // met, which is not computed again: nothing came since
} walk;

// ---- sums in epilogues -------------------------------------------------------------------------------

static tensor_id in_shape(graph *g, tensor_id t, tensor_shape shape) {
    return shape_equal(shape_of(g, t), shape) ? t : graph_view(g, t, 0, shape, NULL);
}

// Lets the producer of `value` add `addend` in its epilogue where it can and nothing reads `value` yet. Returns
// the root that then holds the sum; NO_TENSOR, and nothing changed, where it cannot.
static tensor_id fuse_add(graph *g, tensor_id value, tensor_id addend) {
    tensor_id root = tensor_whole(g, value);
    const tensor *t = tensor_of(g, root), *a = tensor_of(g, addend);
    if (t->role != ROLE_ACTIVATION || !tensor_same(t->root, root) || !t->producer || record_of(g, root)->reads > 0)
        return NO_TENSOR;
    uint32_t producer = t->producer - 1;
    const node *n = node_of(g, producer);
    if (!n->op->fuse_add || !tensor_same(n->outputs[0], root) || a->producer > producer || a->type != t->type)
        return NO_TENSOR;
    addend = in_shape(g, addend, t->shape);
    return g->status == IGVK_OK && n->op->fuse_add(g, producer, addend) ? root : NO_TENSOR;
}

// Whether a node at or after `producer` reads old bytes of the state: then the producer must not overwrite them.
static bool read_from(const graph *g, uint32_t producer, tensor_id state) {
    for (uint32_t i = producer; i < g->node_count; i++)
        for (uint32_t k = 0; k < g->nodes[i].input_count; k++)
            if (tensor_is(g->nodes[i].inputs[k]) && tensor_overlaps(g, g->nodes[i].inputs[k], state))
                return true;
    return false;
}

void graph_accumulate(graph *g, tensor_id value, tensor_id state) {
    if (!graph_has(g, value, "graph_accumulate"))
        return;
    const tensor *t = tensor_of(g, value);
    char text[DESCRIPTION_SIZE];
    if (tensor_is(t->assigns)) {
        graph_fail(g, "graph_accumulate: %s is the new value of a state already", describe_tensor(text, g, value));
        return;
    }
    if (!state_assignable(g, "graph_accumulate", state, t->type, t->shape))
        return;
    bool early = t->producer && !read_from(g, t->producer - 1, state);
    tensor_id root = early ? fuse_add(g, value, state) : NO_TENSOR;
    if (tensor_is(root))
        tensor_assign(g, root, in_shape(g, state, shape_of(g, root)));
    else
        graph_node_assign(g, g->add, NULL, (tensor_id[]){state, value}, 2, &state, 1);
}

bool graph_overwrite(graph *g, tensor_id value, tensor_id state) {
    if (!graph_has(g, value, "graph_overwrite"))
        return false;
    const tensor_id root = tensor_whole(g, value);
    const tensor it = *tensor_of(g, root), given = *tensor_of(g, value);
    const bool own = it.role == ROLE_ACTIVATION && tensor_same(it.root, root) && it.producer;
    if (!own || tensor_is(it.assigns) || read_from(g, it.producer - 1, state) ||
        !state_assignable(g, "graph_overwrite", state, given.type, given.shape))
        return false;
    tensor_assign(g, root, in_shape(g, state, it.shape));
    return true;
}

tensor_id graph_again(graph *g, tensor_id t) {
    if (!graph_has(g, t, "graph_again"))
        return NO_TENSOR;
    const tensor_id root = tensor_whole(g, t);
    const tensor it = *tensor_of(g, root);
    if (it.role != ROLE_ACTIVATION || !it.producer)
        return t;
    const node *n = node_of(g, it.producer - 1);
    const bool can = n->op->again && tensor_same(n->outputs[0], root);
    const tensor_id made = can ? n->op->again(g, it.producer - 1) : NO_TENSOR;
    return tensor_is(made) ? in_shape(g, made, shape_of(g, t)) : t;
}

// ---- what is wanted ----------------------------------------------------------------------------------

typedef enum reach { REACH_NONE, REACH_WHOLE, REACH_PART } reach;

// How the gradient of an input would reach a wrt: not at all, or whole, or only through a part of something.
static reach reach_of(const walk *w, tensor_id t) {
    const graph *g = w->graph;
    if (!tensor_is(t))
        return REACH_NONE;
    tensor_id whole = tensor_whole(g, t);
    if (w->wanted[whole.i])
        return REACH_WHOLE;
    for (tensor_id above = g->tensors[whole.i].parent; tensor_is(above); above = g->tensors[above.i].parent)
        if (w->wanted[above.i])
            return REACH_PART;
    if (tensor_of(g, t)->role == ROLE_ACTIVATION)
        return REACH_NONE;
    for (size_t k = 0; k < w->wrt_count; k++)
        if (tensor_overlaps(g, whole, w->wrt[k]))
            return REACH_PART;
    return REACH_NONE;
}

static void mark_wanted(walk *w) {
    for (size_t k = 0; k < w->wrt_count; k++)
        w->wanted[tensor_whole(w->graph, w->wrt[k]).i] = true;
    for (uint32_t i = 0; i < w->node_count; i++) {
        const node *n = node_of(w->graph, i);
        bool depends = false;
        for (uint32_t k = 0; k < n->input_count && n->op->gradient; k++)
            depends = depends || reach_of(w, n->inputs[k]) != REACH_NONE;
        for (uint32_t k = 0; k < n->output_count && depends; k++)
            w->wanted[n->outputs[k].i] = true;
    }
}

// ---- the walk ----------------------------------------------------------------------------------------

// A tensor that is some gradient counts as read, so that no sum is fused into what two gradients share.
static void claim(graph *g, tensor_id t) {
    record_of(g, tensor_of(g, t)->root)->reads++;
}
static void release(graph *g, tensor_id t) {
    record_of(g, tensor_of(g, t)->root)->reads--;
}

static bool is_own(const walk *w, tensor_id t) {
    const uint32_t producer = tensor_of(w->graph, t)->producer;
    return producer > w->node_count && node_of(w->graph, producer - 1)->segment == 0;
}

// Adds `t` (claimed) to the gradient of `of`.
static void contribute(walk *w, tensor_id of, tensor_id t) {
    graph *g = w->graph;
    tensor_id key = tensor_whole(g, of), sum = w->gradient[key.i];
    if (tensor_is(sum)) {
        release(g, t);
        bool own = is_own(w, t); // a forward node's output must stay what it is, and its copy's
        tensor_id total = own ? fuse_add(g, t, sum) : NO_TENSOR;
        if (!tensor_is(total))
            total = graph_node(g, g->add, NULL, (tensor_id[]){sum, in_shape(g, t, shape_of(g, sum))}, 2);
        if (!tensor_is(total))
            return;
        release(g, sum);
        claim(g, total);
        t = total;
    }
    w->gradient[key.i] = in_shape(g, t, shape_of(g, key));
}

static bool refuse_part(graph *g, uint32_t index, tensor_id t) {
    char node_name[DESCRIPTION_SIZE], text[DESCRIPTION_SIZE];
    graph_fail(g,
               "no gradient through %s: its input %s is a view of a part of a tensor that the gradient must reach; use "
               "an operator that splits instead",
               describe_node(node_name, g, index), describe_tensor(text, g, t));
    return false;
}

// Which inputs of a node are wanted; false where none is, or where one is refused.
static bool node_wants(walk *w, uint32_t index, bool *want) {
    const node *n = node_of(w->graph, index);
    bool any = false;
    for (uint32_t k = 0; k < n->input_count; k++) {
        reach how = reach_of(w, n->inputs[k]);
        if (how == REACH_PART)
            return refuse_part(w->graph, index, n->inputs[k]);
        want[k] = how == REACH_WHOLE;
        any = any || want[k];
    }
    return any;
}

static bool gradient_fits(graph *g, uint32_t index, tensor_id input, tensor_id dx) {
    if (tensor_is(dx) && dx.i < g->tensor_count && shape_equal(shape_of(g, input), shape_of(g, dx)))
        return true;
    char node_name[DESCRIPTION_SIZE], text[DESCRIPTION_SIZE];
    graph_keep_failure(g, fail(IGVK_ERROR_INTERNAL, "the gradient of %s for its input %s is of another shape",
                               describe_node(node_name, g, index), describe_tensor(text, g, input)));
    return false;
}

// The node whose values the gradient of node `index` reads: itself, or, of a segment that is computed again, its copy,
// made with the segment's other nodes when the first of them is met.
static uint32_t node_to_read(walk *w, uint32_t index) {
    const uint32_t segment = node_of(w->graph, index)->segment;
    if (!w->graph->recomputes || !segment)
        return index;
    if (!w->first_segment)
        w->first_segment = segment;
    if (segment == w->first_segment)
        return index;
    if (!w->copy_of[index] && !segment_copy(w->graph, index, w->copy_of, w->node_count))
        return index;
    return w->copy_of[index] - 1;
}

static void walk_node(walk *w, uint32_t index) {
    graph *g = w->graph;
    const node n = *node_of(g, index); // a copy: the rule appends
    tensor_id dy[NODE_MAX_OUTPUTS] = {{0}}, dx[NODE_MAX_INPUTS] = {{0}};
    bool want[NODE_MAX_INPUTS] = {false}, reached = false;
    for (uint32_t k = 0; k < n.output_count; k++) {
        dy[k] = w->gradient[n.outputs[k].i];
        reached = reached || tensor_is(dy[k]);
    }
    if (!reached || !n.op->gradient || !node_wants(w, index, want))
        return;
    const uint32_t read = node_to_read(w, index);
    if (g->status == IGVK_OK)
        n.op->gradient(g, read, dy, want, dx);
    for (uint32_t k = 0; k < n.input_count && g->status == IGVK_OK; k++) {
        want[k] = want[k] && tensor_is(dx[k]);
        if (want[k] && gradient_fits(g, index, n.inputs[k], dx[k]))
            claim(g, dx[k]);
    }
    for (uint32_t k = 0; k < n.input_count && g->status == IGVK_OK; k++)
        if (want[k])
            contribute(w, n.inputs[k], dx[k]);
}

// Arguments of graph_gradient: tensors of the graph, seeds of the outputs' shapes, nothing that is a part.
static bool arguments_valid(walk *w, const tensor_id *outputs, const tensor_id *seeds, size_t output_count) {
    graph *g = w->graph;
    char text[DESCRIPTION_SIZE], seed[DESCRIPTION_SIZE];
    for (size_t k = 0; k < output_count; k++) {
        if (!graph_has(g, outputs[k], "graph_gradient, output") || !graph_has(g, seeds[k], "graph_gradient, seed"))
            return false;
        describe_tensor(text, g, outputs[k]);
        if (!shape_equal(shape_of(g, outputs[k]), shape_of(g, seeds[k])))
            graph_fail(g, "graph_gradient: output %s has a seed of another shape, %s", text,
                       describe_tensor(seed, g, seeds[k]));
        else if (tensor_is(record_of(g, tensor_whole(g, outputs[k]))->parent) && tensor_of(g, outputs[k])->producer)
            graph_fail(g, "graph_gradient: output %s is a view of a part", text);
    }
    for (size_t k = 0; k < w->wrt_count; k++) {
        if (!graph_has(g, w->wrt[k], "graph_gradient, wrt"))
            return false;
        if (tensor_is(record_of(g, tensor_whole(g, w->wrt[k]))->parent) && tensor_of(g, w->wrt[k])->producer)
            graph_fail(g, "graph_gradient: wrt %s is a view of a part of a computed tensor",
                       describe_tensor(text, g, w->wrt[k]));
    }
    return g->status == IGVK_OK;
}

// Claims end with the walk, but where two gradients are one tensor they stay: graph_accumulate must not make the
// first one's state of it.
static void release_gradients(walk *w, size_t tensor_count) {
    for (size_t i = 0; i < tensor_count; i++)
        if (tensor_is(w->gradient[i]) && record_of(w->graph, tensor_of(w->graph, w->gradient[i])->root)->reads == 1)
            release(w->graph, w->gradient[i]);
}

static void run_walk(walk *w, const tensor_id *outputs, const tensor_id *seeds, size_t output_count) {
    graph *g = w->graph;
    mark_wanted(w);
    for (size_t k = 0; k < output_count; k++)
        claim(g, seeds[k]);
    for (size_t k = 0; k < output_count && g->status == IGVK_OK; k++)
        contribute(w, outputs[k], seeds[k]);
    for (uint32_t i = w->node_count; i-- > 0 && g->status == IGVK_OK;)
        walk_node(w, i);
}

igvk_status graph_gradient(graph *g, const tensor_id *outputs, const tensor_id *seeds, size_t output_count,
                           const tensor_id *wrt, size_t wrt_count, tensor_id *gradients) {
    for (size_t k = 0; k < wrt_count; k++)
        gradients[k] = NO_TENSOR;
    walk w = {.graph = g, .node_count = graph_node_count(g), .wrt = wrt, .wrt_count = wrt_count};
    size_t tensor_count = g->tensor_count;
    if (g->status != IGVK_OK || !arguments_valid(&w, outputs, seeds, output_count))
        return graph_check(g);
    w.wanted = calloc(tensor_count, sizeof *w.wanted);
    w.gradient = calloc(tensor_count, sizeof *w.gradient);
    w.copy_of = calloc((size_t)w.node_count + 1, sizeof *w.copy_of);
    if (!w.wanted || !w.gradient || !w.copy_of)
        graph_keep_failure(g, fail_memory("the gradient's walk", tensor_count * sizeof *w.gradient));
    else
        run_walk(&w, outputs, seeds, output_count);
    for (size_t k = 0; k < wrt_count && g->status == IGVK_OK; k++) {
        tensor_id found = w.gradient[tensor_whole(g, wrt[k]).i];
        if (tensor_is(found))
            gradients[k] = in_shape(g, found, shape_of(g, wrt[k]));
    }
    if (g->status == IGVK_OK)
        release_gradients(&w, tensor_count);
    free(w.wanted);
    free(w.gradient);
    free(w.copy_of);
    return g->status == IGVK_OK ? IGVK_OK : graph_check(g);
}
