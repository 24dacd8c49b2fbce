// SPDX-License-Identifier: MIT
// convert: a tensor in another storage type, rounded to nearest even. Gradients are f32 whatever the types, so the
// gradient passes as it is (that of the rounding is taken as one).
#include "ops/common.h"
#include "ops/ops.h"

extern const operator convert_operator;

static igvk_status convert_shapes(const graph *g, const node *n, output_shapes *out) {
    const storage_type type = *(const storage_type *)n->attributes;
    storage_type from;
    igvk_status status = IGVK_OK;
    TRY(check_float(g, n, 0, "x", &from));
    if (from == type || type == STORAGE_U32)
        THROW(IGVK_ERROR_INVALID, "convert: from %s to %s, must be two of f32, f16 and bf16", storage_name(from),
              storage_name(type));
    add_output(out, type, input_shape(g, n, 0));
done:
    return status;
}

static void convert_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)g, (void)node_index;
    if (want[0])
        dx[0] = dy[0];
}

static igvk_status convert_lower(lowering *l, const node *n) {
    static const char *const shaders[][4] = {
        [STORAGE_F32] = {[STORAGE_F16] = "convert_f32_f16", [STORAGE_BF16] = "convert_f32_bf16"},
        [STORAGE_F16] = {[STORAGE_F32] = "convert_f16_f32", [STORAGE_BF16] = "convert_f16_bf16"},
        [STORAGE_BF16] = {[STORAGE_F32] = "convert_bf16_f32", [STORAGE_F16] = "convert_bf16_f16"},
    };
    const storage_type from = tensor_of(l->graph, n->inputs[0])->type;
    dispatch d = dispatch_elements(l, shaders[from][*(const storage_type *)n->attributes],
                                   shape_elements(input_shape(l->graph, n, 0)));
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

// Where x is made again; one that is kept would be kept twice.
static tensor_id convert_again(graph *g, uint32_t node_index) {
    const node n = *node_of(g, node_index); // a copy: what follows appends
    const tensor_id x = graph_again(g, n.inputs[0]);
    return tensor_same(x, n.inputs[0]) ? NO_TENSOR : op_convert(g, x, *(const storage_type *)n.attributes);
}

const operator convert_operator = {
    .name = "convert",
    .attributes_size = sizeof(storage_type),
    .shapes = convert_shapes,
    .gradient = convert_gradient,
    .lower = convert_lower,
    .cost = copy_cost,
    .again = convert_again,
};

tensor_id op_convert(graph *g, tensor_id x, storage_type type) {
    if (tensor_is(x) && tensor_of(g, x)->type == type)
        return x;
    return graph_node(g, &convert_operator, &type, &x, 1);
}

void op_convert_into(graph *g, tensor_id x, tensor_id state) {
    const storage_type type = tensor_of(g, state)->type;
    graph_node_assign(g, &convert_operator, &type, &x, 1, &state, 1);
}
