// SPDX-License-Identifier: MIT
// The products of linear's gradient: dx = dy weight, dw = dy^T x. Each may add a tensor of its output's shape.
#include "core/text.h"
#include "ops/common.h"
#include "ops/linear_product.h"

enum { IN_DY, IN_OTHER, IN_ADDEND, IN_COUNT }; // other: the weight, or x

extern const operator linear_input_gradient_operator, linear_weight_gradient_operator;

static igvk_status check_operands(const graph *g, const node *n, const char *other) {
    igvk_status status = IGVK_OK;
    storage_type dy_type, type;
    TRY(check_float(g, n, IN_DY, "dy", &dy_type));
    TRY(check_float(g, n, IN_OTHER, other, &type));
    if (dy_type != STORAGE_F32 && dy_type != type)
        THROW(IGVK_ERROR_INVALID, "%s: input 'dy' is of type %s, '%s' of %s: dy must be f32 or of the same type",
              n->op->name, storage_name(dy_type), other, storage_name(type));
done:
    return status;
}

static igvk_status refuse(const graph *g, const node *n, const char *other, const char *rule) {
    char dy[64], text[64];
    return fail(IGVK_ERROR_INVALID, "%s: input 'dy' is %s, '%s' %s: %s", n->op->name,
                shape_text(dy, input_shape(g, n, IN_DY)), other, shape_text(text, input_shape(g, n, IN_OTHER)), rule);
}

static igvk_status finish_shapes(const graph *g, const node *n, tensor_shape y, output_shapes *out) {
    igvk_status status = check_count(n->op->name, shape_elements(y));
    if (status == IGVK_OK && tensor_is(n->inputs[IN_ADDEND]))
        status = check_shape(g, n, IN_ADDEND, "addend", STORAGE_F32, y);
    if (status == IGVK_OK)
        add_output(out, STORAGE_F32, y);
    return status;
}

static bool product_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (tensor_is(node_of(g, node_index)->inputs[IN_ADDEND]))
        return false;
    graph_set_input(g, node_index, IN_ADDEND, addend);
    return true;
}

// ---- dx [..., K] = dy [..., O] weight [O, K] -------------------------------------------------------------

static igvk_status input_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_operands(g, n, "weight");
    if (status != IGVK_OK)
        return status;
    tensor_shape dx = input_shape(g, n, IN_DY);
    const tensor_shape weight = input_shape(g, n, IN_OTHER);
    if (dx.rank == 0 || weight.rank != 2 || matrix_columns(dx) != weight.dim[0])
        return refuse(g, n, "weight", "must be [..., O] and [O, K]");
    dx.dim[dx.rank - 1] = weight.dim[1];
    return finish_shapes(g, n, dx, out);
}

static igvk_status input_gradient_lower(lowering *l, const node *n) {
    const tensor_shape dy = input_shape(l->graph, n, IN_DY), weight = input_shape(l->graph, n, IN_OTHER);
    const linear_product p = {
        .rows = matrix_rows(dy),
        .columns = weight.dim[1],
        .depth = weight.dim[0],
        .a = n->inputs[IN_DY],
        .a_row = weight.dim[0],
        .a_step = 1,
        .b = n->inputs[IN_OTHER],
        .b_column = 1,
        .b_step = weight.dim[1],
        .y = n->outputs[0],
        .residual = n->inputs[IN_ADDEND],
    };
    return linear_product_lower(l, &p);
}

static node_cost input_gradient_cost(const graph *g, const node *n) {
    const tensor_shape weight = input_shape(g, n, IN_OTHER);
    return linear_product_cost(g, n, matrix_rows(input_shape(g, n, IN_DY)), weight.dim[1], weight.dim[0]);
}

const operator linear_input_gradient_operator = {
    .name = "linear_input_gradient",
    .shapes = input_gradient_shapes,
    .lower = input_gradient_lower,
    .cost = input_gradient_cost,
    .fuse_add = product_fuse_add,
};

tensor_id op_linear_input_gradient(graph *g, tensor_id dy, tensor_id weight) {
    const tensor_id inputs[IN_COUNT] = {dy, weight, NO_TENSOR};
    return graph_node(g, &linear_input_gradient_operator, NULL, inputs, IN_COUNT);
}

// ---- dw [O, K] = dy^T [O, M] x [M, K] ----------------------------------------------------------------------

static igvk_status weight_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_operands(g, n, "x");
    if (status != IGVK_OK)
        return status;
    const tensor_shape dy = input_shape(g, n, IN_DY), x = input_shape(g, n, IN_OTHER);
    if (matrix_rows(dy) != matrix_rows(x))
        return refuse(g, n, "x", "must have equally many rows");
    return finish_shapes(g, n, SHAPE(matrix_columns(dy), matrix_columns(x)), out);
}

static igvk_status weight_gradient_lower(lowering *l, const node *n) {
    const tensor_shape dy = input_shape(l->graph, n, IN_DY), x = input_shape(l->graph, n, IN_OTHER);
    const linear_product p = {
        .rows = matrix_columns(dy),
        .columns = matrix_columns(x),
        .depth = matrix_rows(x),
        .a = n->inputs[IN_DY],
        .a_row = 1,
        .a_step = matrix_columns(dy),
        .b = n->inputs[IN_OTHER],
        .b_column = 1,
        .b_step = matrix_columns(x),
        .y = n->outputs[0],
        .residual = n->inputs[IN_ADDEND],
    };
    return linear_product_lower(l, &p);
}

static node_cost weight_gradient_cost(const graph *g, const node *n) {
    const tensor_shape x = input_shape(g, n, IN_OTHER);
    return linear_product_cost(g, n, matrix_columns(input_shape(g, n, IN_DY)), matrix_columns(x), matrix_rows(x));
}

const operator linear_weight_gradient_operator = {
    .name = "linear_weight_gradient",
    .shapes = weight_gradient_shapes,
    .lower = weight_gradient_lower,
    .cost = weight_gradient_cost,
    .fuse_add = product_fuse_add,
};

tensor_id op_linear_weight_gradient(graph *g, tensor_id dy, tensor_id x) {
    const tensor_id inputs[IN_COUNT] = {dy, x, NO_TENSOR};
    return graph_node(g, &linear_weight_gradient_operator, NULL, inputs, IN_COUNT);
}
