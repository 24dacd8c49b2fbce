// SPDX-License-Identifier: MIT
// linear: y = residual + gate activation(x weight^T + bias). Its gradient is made of the products of
// linear_gradient.c. Where gradients are kept and there is an activation or a gate, output 1 is
// z = x weight^T + bias; the gate's gradient then makes activation(z) again rather than keep it as well.
#include "core/text.h"
#include "ops/common.h"
#include "ops/linear_product.h"

enum { IN_X, IN_WEIGHT, IN_BIAS, IN_GATE, IN_RESIDUAL, IN_COUNT };

extern const operator linear_operator;

// ---- shapes --------------------------------------------------------------------------------------------

// An input of `columns` columns whose rows divide the output's.
static igvk_status check_repeated(const graph *g, const node *n, uint32_t i, const char *name, tensor_shape y) {
    char have[64], out[64];
    igvk_status status = IGVK_OK;
    if (!tensor_is(n->inputs[i]))
        return IGVK_OK;
    TRY(check_input(g, n, i, name, STORAGE_F32));
    const tensor_shape s = input_shape(g, n, i);
    if (matrix_columns(s) != matrix_columns(y) || matrix_rows(y) % matrix_rows(s) != 0)
        THROW(IGVK_ERROR_INVALID, "linear: input '%s' is %s, must have the columns of the output %s, and rows that "
              "divide its rows", name, shape_text(have, s), shape_text(out, y));
done:
    return status;
}

static igvk_status linear_shapes(const graph *g, const node *n, output_shapes *out) {
    char have[64], weight_text[64];
    const activation_kind activation = *(const activation_kind *)n->attributes;
    igvk_status status = IGVK_OK;
    storage_type x_type, weight_type;
    TRY(check_float(g, n, IN_X, "x", &x_type));
    TRY(check_float(g, n, IN_WEIGHT, "weight", &weight_type));
    if (x_type != STORAGE_F32 && x_type != weight_type)
        THROW(IGVK_ERROR_INVALID, "linear: input 'x' is of type %s, the weight of %s: x must be f32 or of the same type",
              storage_name(x_type), storage_name(weight_type));
    tensor_shape y = input_shape(g, n, IN_X);
    const tensor_shape weight = input_shape(g, n, IN_WEIGHT);
    if (weight.rank != 2 || y.rank == 0 || matrix_columns(y) != weight.dim[1])
        THROW(IGVK_ERROR_INVALID, "linear: input 'x' is %s, the weight %s: must be [..., K] and [O, K]",
              shape_text(have, y), shape_text(weight_text, weight));
    if (activation > ACTIVATION_GELU_TANH)
        THROW(IGVK_ERROR_INVALID, "linear: activation %d is none of ops.h", (int)activation);
    y.dim[y.rank - 1] = weight.dim[0];
    TRY(check_count("linear", shape_elements(y)));
    if (tensor_is(n->inputs[IN_BIAS]))
        TRY(check_shape(g, n, IN_BIAS, "bias", STORAGE_F32, SHAPE(weight.dim[0])));
    TRY(check_repeated(g, n, IN_GATE, "gate", y));
    TRY(check_repeated(g, n, IN_RESIDUAL, "residual", y));
    add_output(out, STORAGE_F32, y);
    if (graph_keeps_for_gradient(g) && (activation != ACTIVATION_NONE || tensor_is(n->inputs[IN_GATE])))
        add_output(out, STORAGE_F32, y);
done:
    return status;
}

// ---- lowering ------------------------------------------------------------------------------------------

static igvk_status linear_lower(lowering *l, const node *n) {
    const tensor_shape y = shape_of(l->graph, n->outputs[0]);
    const uint64_t depth = matrix_columns(input_shape(l->graph, n, IN_X));
    const linear_product p = {
        .rows = matrix_rows(y),
        .columns = matrix_columns(y),
        .depth = depth,
        .a = n->inputs[IN_X],
        .a_row = depth,
        .a_step = 1,
        .b = n->inputs[IN_WEIGHT],
        .b_column = depth,
        .b_step = 1,
        .y = n->outputs[0],
        .bias = n->inputs[IN_BIAS],
        .gate = n->inputs[IN_GATE],
        .residual = n->inputs[IN_RESIDUAL],
        .z = n->output_count > 1 ? n->outputs[1] : NO_TENSOR,
        .activation = *(const activation_kind *)n->attributes,
    };
    return linear_product_lower(l, &p);
}

static node_cost linear_cost(const graph *g, const node *n) {
    const tensor_shape y = shape_of(g, n->outputs[0]);
    return linear_product_cost(g, n, matrix_rows(y), matrix_columns(y), matrix_columns(input_shape(g, n, IN_X)));
}

// ---- gradient ------------------------------------------------------------------------------------------

// dy as it is; of a residual that is used for several rows it would be a sum no model needs.
static tensor_id residual_gradient(graph *g, tensor_id residual, tensor_id dy) {
    const tensor_shape s = shape_of(g, residual), y = shape_of(g, dy);
    if (shape_elements(s) != shape_elements(y))
        return graph_fail(g, "linear: a residual of fewer rows than the output has no gradient: use op_repeat and a "
                             "residual of the output's shape");
    return shape_equal(s, y) ? dy : graph_view(g, dy, 0, s, NULL);
}

// dy -> the gradient of z, through the gate and the activation.
static tensor_id z_gradient(graph *g, const node *n, tensor_id dy, const bool *want, tensor_id *dx) {
    const activation_kind activation = *(const activation_kind *)n->attributes;
    tensor_id dz = dy;
    if (tensor_is(n->inputs[IN_GATE])) {
        const tensor_id gated =
            activation == ACTIVATION_NONE ? n->outputs[1] : op_activation(g, n->outputs[1], activation);
        dz = op_gate_gradient(g, dy, n->inputs[IN_GATE], gated);
        if (want[IN_GATE])
            dx[IN_GATE] = graph_output(g, dz, 1);
    }
    return activation == ACTIVATION_NONE ? dz : op_activation_gradient(g, n->outputs[1], dz, activation);
}

static void linear_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node n = *node_of(g, node_index); // a copy: the rule appends
    const bool needs_z = *(const activation_kind *)n.attributes != ACTIVATION_NONE || tensor_is(n.inputs[IN_GATE]);
    if (!tensor_is(dy[0]) || (n.output_count > 1 && tensor_is(dy[1]))) {
        graph_fail(g, "linear: what it keeps for its gradient has no gradient itself");
        return;
    }
    if (want[IN_RESIDUAL])
        dx[IN_RESIDUAL] = residual_gradient(g, n.inputs[IN_RESIDUAL], dy[0]);
    if (!want[IN_X] && !want[IN_WEIGHT] && !want[IN_BIAS] && !want[IN_GATE])
        return;
    if (needs_z && n.output_count < 2) {
        graph_fail(g, "linear: the value before its activation was not kept: call graph_keep_for_gradient before "
                      "building the graph");
        return;
    }
    const tensor_id dz = z_gradient(g, &n, dy[0], want, dx);
    // x is of the weight's type or f32: then dz is as it is.
    const storage_type x_type = tensor_of(g, n.inputs[IN_X])->type;
    const tensor_id operand = want[IN_X] || want[IN_WEIGHT] ? op_convert(g, dz, x_type) : dz;
    if (want[IN_X])
        dx[IN_X] = op_linear_input_gradient(g, operand, n.inputs[IN_WEIGHT]);
    if (want[IN_WEIGHT])
        dx[IN_WEIGHT] = op_linear_weight_gradient(g, operand, graph_again(g, n.inputs[IN_X]));
    if (want[IN_BIAS])
        dx[IN_BIAS] = op_column_sum(g, dz);
}

static bool linear_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (tensor_is(node_of(g, node_index)->inputs[IN_RESIDUAL]))
        return false;
    graph_set_input(g, node_index, IN_RESIDUAL, addend);
    return true;
}

// The activation of what is kept for its gradient.
static tensor_id linear_again(graph *g, uint32_t node_index) {
    const node *n = node_of(g, node_index);
    const activation_kind activation = *(const activation_kind *)n->attributes;
    const bool more = tensor_is(n->inputs[IN_GATE]) || tensor_is(n->inputs[IN_RESIDUAL]);
    if (n->output_count < 2 || activation == ACTIVATION_NONE || more)
        return NO_TENSOR;
    return op_activation(g, n->outputs[1], activation);
}

const operator linear_operator = {
    .name = "linear",
    .attributes_size = sizeof(activation_kind),
    .shapes = linear_shapes,
    .gradient = linear_gradient,
    .lower = linear_lower,
    .cost = linear_cost,
    .fuse_add = linear_fuse_add,
    .again = linear_again,
};

tensor_id op_linear(graph *g, tensor_id x, tensor_id weight, const linear_options *o) {
    const tensor_id inputs[IN_COUNT] = {x, weight, o->bias, o->gate, o->residual};
    return graph_node(g, &linear_operator, &o->activation, inputs, IN_COUNT);
}
