// SPDX-License-Identifier: MIT
// Orders of an image's tokens, of which a model sees the first `kept`: drawing them, taking the kept ones out and
// putting them back. What depends on the count has the shape of its upper bound; rows beyond it are zero.
#include "core/philox.h"
#include "ops/common.h"
#include "ops/ops.h"

extern const operator move_tokens_operator, select_tokens_operator;

// ---- shuffle: steps or none, seeds u32 [N, 2] or none -> order, restore u32 [N, T] ----------------------------

typedef struct shuffle_attributes {
    uint32_t images, tokens;
} shuffle_attributes;

static igvk_status shuffle_shapes(const graph *g, const node *n, output_shapes *out) {
    const shuffle_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    if (tensor_is(n->inputs[1]))
        TRY(check_shape(g, n, 1, "seeds", STORAGE_U32, SHAPE(a->images, 2)));
    else
        TRY(check_steps(g, n, 0));
    TRY(check_count("shuffle", (uint64_t)a->images * a->tokens));
    add_output(out, STORAGE_U32, SHAPE(a->images, a->tokens));
    add_output(out, STORAGE_U32, SHAPE(a->images, a->tokens));
done:
    return status;
}

static igvk_status shuffle_lower(lowering *l, const node *n) {
    const shuffle_attributes *a = n->attributes;
    const bool seeds = tensor_is(n->inputs[1]);
    const uint64_t count = (uint64_t)a->images * a->tokens;
    const tensor_id keys = graph_scratch(l->graph, STORAGE_U32, SHAPE(a->images, a->tokens));
    igvk_status status = IGVK_OK;
    dispatch d = dispatch_invocations(l, "shuffle_keys", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_scalar(&d, a->tokens);
    dispatch_scalar(&d, STREAM_MASK);
    dispatch_constant(&d, seeds);
    dispatch_bind(&d, n->inputs[seeds], ACCESS_READ);
    dispatch_bind(&d, n->inputs[seeds], ACCESS_READ);
    dispatch_bind(&d, keys, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
    d = dispatch_invocations(l, "shuffle", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_scalar(&d, a->tokens);
    dispatch_bind(&d, keys, ACCESS_READ);
    for (uint32_t k = 0; k < 2; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static node_cost shuffle_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, ((const shuffle_attributes *)n->attributes)->tokens);
}

const operator shuffle_operator = {
    .name = "shuffle",
    .attributes_size = sizeof(shuffle_attributes),
    .shapes = shuffle_shapes,
    .lower = shuffle_lower,
    .cost = shuffle_cost,
};

// ---- draw_kept: steps or none -> u32 [1] ----------------------------------------------------------------------

typedef struct kept_attributes {
    uint32_t tokens, most;
    float ratio, spread;
} kept_attributes;

static igvk_status draw_kept_shapes(const graph *g, const node *n, output_shapes *out) {
    const kept_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    if (tensor_is(n->inputs[0]))
        TRY(check_steps(g, n, 0));
    if (!(a->ratio >= 0 && a->ratio < 1) || !(a->spread >= 0 && a->spread <= 1) || a->tokens == 0)
        THROW(IGVK_ERROR_INVALID, "draw_kept: ratio %g and spread %g of %u tokens: must be from 0 to 1",
              (double)a->ratio, (double)a->spread, a->tokens);
    add_output(out, STORAGE_U32, SHAPE(1));
done:
    return status;
}

static igvk_status draw_kept_lower(lowering *l, const node *n) {
    const kept_attributes *a = n->attributes;
    const bool steps = tensor_is(n->inputs[0]);
    dispatch d = dispatch_invocations(l, "draw_kept", 1);
    dispatch_scalar(&d, a->tokens);
    dispatch_scalar(&d, STREAM_MASK);
    dispatch_scalar_f32(&d, a->ratio);
    dispatch_scalar_f32(&d, a->spread);
    dispatch_scalar(&d, a->most);
    dispatch_constant(&d, steps);
    // Nothing is read of the output where there is no step block.
    dispatch_bind(&d, steps ? n->inputs[0] : n->outputs[0], steps ? ACCESS_READ : ACCESS_WRITE);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator draw_kept_operator = {
    .name = "draw_kept",
    .attributes_size = sizeof(kept_attributes),
    .shapes = draw_kept_shapes,
    .lower = draw_kept_lower,
    .cost = copy_cost,
};

uint32_t tokens_kept_at_most(uint32_t tokens, double ratio) {
    const uint32_t most = (uint32_t)(tokens * (1 - ratio));
    return most ? most : 1;
}

token_order op_draw_order(graph *g, tensor_id steps, tensor_id seeds, uint32_t images, uint32_t tokens, double ratio,
                          double spread) {
    const shuffle_attributes shuffle = {images, tokens};
    const kept_attributes kept = {tokens, tokens_kept_at_most(tokens, ratio), (float)ratio, (float)spread};
    const tensor_id from[] = {tensor_is(seeds) ? NO_TENSOR : steps, seeds};
    const tensor_id order = graph_node(g, &shuffle_operator, &shuffle, from, 2);
    return (token_order){.order = order,
                         .restore = graph_output(g, order, 1),
                         .kept = graph_node(g, &draw_kept_operator, &kept, from, 1)};
}

// ---- move_tokens: x [N, A, D], order, restore, kept -> [N, B, D] -----------------------------------------------

enum { MOVE_X, MOVE_ORDER, MOVE_RESTORE, MOVE_KEPT, MOVE_INPUTS };

typedef struct move_attributes {
    bool back;
    uint32_t tokens; // B
} move_attributes;

static igvk_status move_tokens_shapes(const graph *g, const node *n, output_shapes *out) {
    const move_attributes *a = n->attributes;
    char text[64];
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, MOVE_X, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, MOVE_X), order = input_shape(g, n, MOVE_ORDER);
    if (x.rank != 3 || order.rank != 2 || (a->back ? a->tokens : x.dim[1]) != order.dim[1] ||
        (a->back ? x.dim[1] : a->tokens) > order.dim[1] || a->tokens == 0)
        THROW(IGVK_ERROR_INVALID, "move_tokens: input 'x' is %s, does not fit %u of %llu tokens", shape_text(text, x),
              a->tokens, (unsigned long long)order.dim[1]);
    TRY(check_shape(g, n, MOVE_ORDER, "order", STORAGE_U32, SHAPE(x.dim[0], order.dim[1])));
    TRY(check_shape(g, n, MOVE_RESTORE, "restore", STORAGE_U32, order));
    TRY(check_shape(g, n, MOVE_KEPT, "kept", STORAGE_U32, SHAPE(1)));
    add_output(out, STORAGE_F32, SHAPE(x.dim[0], a->tokens, x.dim[2]));
done:
    return status;
}

static igvk_status move_tokens_lower(lowering *l, const node *n) {
    const move_attributes *a = n->attributes;
    const tensor_shape x = input_shape(l->graph, n, MOVE_X);
    dispatch d = dispatch_elements(l, "move_tokens", shape_elements(shape_of(l->graph, n->outputs[0])));
    dispatch_scalar(&d, (uint32_t)x.dim[2]);
    dispatch_scalar(&d, (uint32_t)x.dim[1]);
    dispatch_scalar(&d, a->tokens);
    dispatch_scalar(&d, (uint32_t)input_shape(l->graph, n, MOVE_ORDER).dim[1]);
    dispatch_constant(&d, a->back);
    dispatch_bind(&d, n->inputs[MOVE_X], ACCESS_READ);
    dispatch_bind(&d, n->inputs[a->back ? MOVE_RESTORE : MOVE_ORDER], ACCESS_READ);
    dispatch_bind(&d, n->inputs[MOVE_KEPT], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static tensor_id move_tokens(graph *g, tensor_id x, const tensor_id *order, bool back, uint32_t tokens) {
    const tensor_id inputs[MOVE_INPUTS] = {x, order[0], order[1], order[2]};
    const move_attributes a = {back, tokens};
    return graph_node(g, &move_tokens_operator, &a, inputs, MOVE_INPUTS);
}

// Each way is the other's gradient.
static void move_tokens_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const move_attributes *a = n->attributes;
    if (want[MOVE_X])
        dx[MOVE_X] =
            move_tokens(g, dy[0], n->inputs + MOVE_ORDER, !a->back, (uint32_t)input_shape(g, n, MOVE_X).dim[1]);
}

const operator move_tokens_operator = {
    .name = "move_tokens",
    .attributes_size = sizeof(move_attributes),
    .shapes = move_tokens_shapes,
    .gradient = move_tokens_gradient,
    .lower = move_tokens_lower,
    .cost = copy_cost,
};

tensor_id op_take_tokens(graph *g, tensor_id x, const token_order *o, uint32_t most) {
    return move_tokens(g, x, (tensor_id[]){o->order, o->restore, o->kept}, false, most);
}

tensor_id op_put_tokens_back(graph *g, tensor_id x, const token_order *o) {
    return move_tokens(g, x, (tensor_id[]){o->order, o->restore, o->kept}, true,
                       (uint32_t)shape_of(g, o->order).dim[1]);
}

// ---- select_tokens: visible or none, masked or none, restore, kept -> [N, T, D] ----------------------------------

enum { SELECT_VISIBLE, SELECT_MASKED, SELECT_RESTORE, SELECT_KEPT, SELECT_INPUTS };

static igvk_status select_tokens_shapes(const graph *g, const node *n, output_shapes *out) {
    const bool *one = n->attributes;
    const uint32_t whole = tensor_is(n->inputs[SELECT_VISIBLE]) ? SELECT_VISIBLE : SELECT_MASKED;
    char text[64];
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, whole, whole == SELECT_VISIBLE ? "visible" : "masked", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, whole);
    if (x.rank != 3 || (*one && whole == SELECT_MASKED))
        THROW(IGVK_ERROR_INVALID, "select_tokens: its input is %s, must be images x tokens x width",
              shape_text(text, x));
    if (tensor_is(n->inputs[SELECT_MASKED]))
        TRY(check_shape(g, n, SELECT_MASKED, "masked", STORAGE_F32, *one ? SHAPE(x.dim[2]) : x));
    TRY(check_shape(g, n, SELECT_RESTORE, "restore", STORAGE_U32, SHAPE(x.dim[0], x.dim[1])));
    TRY(check_shape(g, n, SELECT_KEPT, "kept", STORAGE_U32, SHAPE(1)));
    add_output(out, STORAGE_F32, x);
done:
    return status;
}

static igvk_status select_tokens_lower(lowering *l, const node *n) {
    const bool visible = tensor_is(n->inputs[SELECT_VISIBLE]), masked = tensor_is(n->inputs[SELECT_MASKED]);
    const tensor_shape x = shape_of(l->graph, n->outputs[0]);
    dispatch d = dispatch_elements(l, "select_tokens", shape_elements(x));
    dispatch_scalar(&d, (uint32_t)x.dim[2]);
    dispatch_constant(&d, visible);
    dispatch_constant(&d, masked);
    dispatch_constant(&d, *(const bool *)n->attributes);
    dispatch_bind(&d, n->inputs[visible ? SELECT_VISIBLE : SELECT_MASKED], ACCESS_READ);
    dispatch_bind(&d, n->inputs[masked ? SELECT_MASKED : SELECT_VISIBLE], ACCESS_READ);
    dispatch_bind(&d, n->inputs[SELECT_RESTORE], ACCESS_READ);
    dispatch_bind(&d, n->inputs[SELECT_KEPT], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static tensor_id select_tokens(graph *g, tensor_id visible, tensor_id masked, tensor_id restore, tensor_id kept,
                               bool one) {
    const tensor_id inputs[SELECT_INPUTS] = {visible, masked, restore, kept};
    return graph_node(g, &select_tokens_operator, &one, inputs, SELECT_INPUTS);
}

static void select_tokens_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want,
                                   tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const tensor_id restore = n->inputs[SELECT_RESTORE], kept = n->inputs[SELECT_KEPT];
    const bool one = *(const bool *)n->attributes;
    const tensor_shape x = shape_of(g, n->outputs[0]);
    if (want[SELECT_VISIBLE])
        dx[SELECT_VISIBLE] = select_tokens(g, dy[0], NO_TENSOR, restore, kept, false);
    if (!want[SELECT_MASKED])
        return;
    const tensor_id masked = select_tokens(g, NO_TENSOR, dy[0], restore, kept, false);
    dx[SELECT_MASKED] =
        one ? op_column_sum(g, graph_view(g, masked, 0, SHAPE(x.dim[0] * x.dim[1], x.dim[2]), NULL)) : masked;
}

const operator select_tokens_operator = {
    .name = "select_tokens",
    .attributes_size = sizeof(bool),
    .shapes = select_tokens_shapes,
    .gradient = select_tokens_gradient,
    .lower = select_tokens_lower,
    .cost = copy_cost,
};

tensor_id op_select_tokens(graph *g, tensor_id visible, tensor_id masked, const token_order *o) {
    return select_tokens(g, visible, masked, o->restore, o->kept, shape_of(g, masked).rank == 1);
}
