// SPDX-License-Identifier: MIT
// Rotary position embedding (method, chapter 4; official code: LightningDiT's VisionRotaryEmbeddingFast). The gradient
// is the same turn the other way, as the cosines and sines of a pair are equal.
#include "ops/common.h"
#include "ops/ops.h"

extern const operator rotary_operator;

typedef struct rotary_attributes {
    uint32_t heads;
    bool backwards; // turns by minus the angles
} rotary_attributes;

static igvk_status rotary_shapes(const graph *g, const node *n, output_shapes *out) {
    const rotary_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "qkv", STORAGE_F32));
    const tensor_shape s = input_shape(g, n, 0);
    char text[64];
    if (s.rank != 3 || a->heads == 0 || s.dim[2] % (6 * (uint64_t)a->heads) != 0)
        THROW(IGVK_ERROR_INVALID,
              "%s: input 'qkv' is %s, must be images x tokens x 3 width, width a multiple of twice %u heads",
              n->op->name, shape_text(text, s), a->heads);
    const tensor_shape table = SHAPE(s.dim[1], s.dim[2] / 3 / a->heads);
    TRY(check_shape(g, n, 1, "cosines", STORAGE_F32, table));
    TRY(check_shape(g, n, 2, "sines", STORAGE_F32, table));
    TRY(check_count(n->op->name, shape_elements(s)));
    add_output(out, STORAGE_F32, s);
done:
    return status;
}

static igvk_status rotary_lower(lowering *l, const node *n) {
    const rotary_attributes *a = n->attributes;
    const tensor_shape s = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "rotary", shape_elements(s) / 2);
    dispatch_constant(&d, (uint32_t)s.dim[1]);
    dispatch_constant(&d, (uint32_t)(s.dim[2] / 3));
    dispatch_constant(&d, (uint32_t)(s.dim[2] / 3 / a->heads));
    dispatch_constant(&d, a->backwards);
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    return lowering_emit(l, &d);
}

static void rotary_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    rotary_attributes a = *(const rotary_attributes *)n->attributes;
    if (!want[0] || !tensor_is(dy[0]))
        return;
    a.backwards = !a.backwards;
    const tensor_id inputs[] = {dy[0], n->inputs[1], n->inputs[2]};
    dx[0] = graph_node(g, &rotary_operator, &a, inputs, 3);
}

static node_cost rotary_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 2);
}

const operator rotary_operator = {
    .name = "rotary",
    .attributes_size = sizeof(rotary_attributes),
    .shapes = rotary_shapes,
    .gradient = rotary_gradient,
    .lower = rotary_lower,
    .cost = rotary_cost,
};

tensor_id op_rotary(graph *g, tensor_id qkv, tensor_id cosines, tensor_id sines, uint32_t heads) {
    const rotary_attributes a = {.heads = heads};
    const tensor_id inputs[] = {qkv, cosines, sines};
    return graph_node(g, &rotary_operator, &a, inputs, 3);
}
