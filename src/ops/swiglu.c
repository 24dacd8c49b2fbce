// SPDX-License-Identifier: MIT
// y = SiLU(a) * b of x [..., 2 H], whose rows are [a | b] (method, chapter 4: LightningDiT's MLP); its gradient.
#include "ops/common.h"
#include "ops/ops.h"

extern const operator swiglu_operator, swiglu_gradient_operator;

static tensor_shape half_width(tensor_shape s) {
    s.dim[s.rank - 1] /= 2;
    return s;
}

// x; the gradient's dy too.
static igvk_status swiglu_shapes(const graph *g, const node *n, output_shapes *out) {
    const bool backward = n->op == &swiglu_gradient_operator;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, 0);
    char text[64];
    if (x.rank == 0 || x.dim[x.rank - 1] % 2)
        THROW(IGVK_ERROR_INVALID, "%s: input 'x' is %s, its last dimension must be even", n->op->name,
              shape_text(text, x));
    if (backward)
        TRY(check_shape(g, n, 1, "dy", STORAGE_F32, half_width(x)));
    TRY(check_count(n->op->name, shape_elements(x)));
    add_output(out, STORAGE_F32, backward ? x : half_width(x));
done:
    return status;
}

static igvk_status swiglu_lower(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, 0);
    const bool backward = n->op == &swiglu_gradient_operator;
    dispatch d = dispatch_elements(l, n->op->name, shape_elements(x) / 2);
    dispatch_constant(&d, (uint32_t)(x.dim[x.rank - 1] / 2));
    for (uint32_t i = 0; i < n->input_count; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    if (backward)
        dispatch_bind_in_place(&d, n->outputs[0], 0);
    else
        dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void swiglu_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    if (!want[0] || !tensor_is(dy[0]))
        return;
    const tensor_id inputs[] = {node_of(g, node_index)->inputs[0], dy[0]};
    dx[0] = graph_node(g, &swiglu_gradient_operator, NULL, inputs, 2);
}

static node_cost swiglu_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 30);
}

static tensor_id swiglu_again(graph *g, uint32_t node_index) {
    return op_swiglu(g, node_of(g, node_index)->inputs[0]);
}

const operator swiglu_operator = {
    .name = "swiglu",
    .shapes = swiglu_shapes,
    .gradient = swiglu_gradient,
    .lower = swiglu_lower,
    .cost = swiglu_cost,
    .again = swiglu_again,
};

const operator swiglu_gradient_operator = {
    .name = "swiglu_gradient",
    .shapes = swiglu_shapes,
    .lower = swiglu_lower,
    .cost = swiglu_cost,
};

tensor_id op_swiglu(graph *g, tensor_id x) {
    return graph_node(g, &swiglu_operator, NULL, &x, 1);
}
