// SPDX-License-Identifier: MIT
// linear: y = residual + gate activation(x weight^T + bias), and the three products of its gradient.
//
// Inputs: x [..., K], weight [O, ...] of K elements a row, bias [O], gate [G, O], residual; absent ones are
// NO_TENSOR. Output 1, kept for the gradient where there is an activation or a gate: z = x weight^T + bias.
#include "ops/linear_product.h"

enum { X, WEIGHT, BIAS, GATE, RESIDUAL, INPUTS };

extern const operator linear_operator, linear_input_gradient_operator, linear_weight_gradient_operator, column_sum_operator;

static uint64_t last_dim(tensor_shape s) { return s.dim[s.rank - 1]; }
static uint64_t row_count(tensor_shape s) { return shape_elements(s) / last_dim(s); }
static uint64_t row_elements(tensor_shape weight) { return shape_elements(weight) / weight.dim[0]; }

static tensor_shape with_last(tensor_shape s, uint64_t last) {
    s.dim[s.rank - 1] = last;
    return s;
}

static node_cost product_cost(const graph *g, const node *n, double rows, double columns, double depth) {
    node_cost cost = copy_cost(g, n);
    cost.flops = 2 * rows * columns * depth;
    return cost;
}

// ---- forward ---------------------------------------------------------------------------------------

static igvk_status check_epilogue(const graph *g, const node *n, tensor_shape y) {
    igvk_status status = IGVK_OK;
    uint64_t rows = row_count(y), columns = last_dim(y);
    if (tensor_is(n->inputs[BIAS]))
        TRY(check_shape(g, n, BIAS, "bias", STORAGE_F32, SHAPE(columns)));
    if (tensor_is(n->inputs[GATE])) {
        tensor_shape gate = input_shape(g, n, GATE);
        TRY(check_input(g, n, GATE, "gate", STORAGE_F32));
        if (gate.rank != 2 || gate.dim[1] != columns || rows % gate.dim[0])
            THROW(IGVK_ERROR_INVALID, "linear: a gate of %llu x %llu does not fit %llu rows of %llu", (unsigned long long)gate.dim[0],
                  (unsigned long long)gate.dim[1], (unsigned long long)rows, (unsigned long long)columns);
    }
    if (tensor_is(n->inputs[RESIDUAL])) {
        uint64_t elements = shape_elements(input_shape(g, n, RESIDUAL));
        TRY(check_input(g, n, RESIDUAL, "residual", STORAGE_F32));
        if (elements == 0 || elements % columns || rows % (elements / columns))
            THROW(IGVK_ERROR_INVALID, "linear: a residual of %llu elements does not fit %llu rows of %llu", (unsigned long long)elements,
                  (unsigned long long)rows, (unsigned long long)columns);
    }
done:
    return status;
}

static igvk_status linear_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    const activation_kind *activation = n->attributes;
    TRY(check_input(g, n, X, "x", STORAGE_F32));
    TRY(check_input(g, n, WEIGHT, "weight", STORAGE_F32));
    tensor_shape x = input_shape(g, n, X), weight = input_shape(g, n, WEIGHT);
    if (weight.rank < 2 || x.rank < 1 || last_dim(x) != row_elements(weight) || last_dim(x) == 0)
        THROW(IGVK_ERROR_INVALID, "linear: x has %llu features, a row of the weight %llu", (unsigned long long)last_dim(x),
              (unsigned long long)row_elements(weight));
    tensor_shape y = with_last(x, weight.dim[0]);
    TRY(check_epilogue(g, n, y));
    add_output(out, STORAGE_F32, y);
    if (graph_keeps_for_gradient(g) && (*activation != ACTIVATION_NONE || tensor_is(n->inputs[GATE])))
        add_output(out, STORAGE_F32, y);
done:
    return status;
}

static igvk_status linear_lower(lowering *l, const node *n) {
    const activation_kind *activation = n->attributes;
    tensor_shape y = shape_of(l->graph, n->outputs[0]);
    uint64_t depth = last_dim(input_shape(l->graph, n, X));
    linear_product p = {.a = n->inputs[X], .b = n->inputs[WEIGHT], .y = n->outputs[0], .bias = n->inputs[BIAS], .gate = n->inputs[GATE],
                        .residual = n->inputs[RESIDUAL], .z = n->output_count > 1 ? n->outputs[1] : NO_TENSOR, .activation = *activation,
                        .rows = row_count(y), .columns = last_dim(y), .depth = depth, .a_row = depth, .a_step = 1, .b_column = depth,
                        .b_step = 1};
    return linear_product_lower(l, &p);
}

// z is the value before the activation; with a gate on top of an activation the gated value is made again.
static tensor_id gradient_of_gate(graph *g, const node *n, activation_kind activation, tensor_id dy, const bool *want, tensor_id *dx) {
    tensor_id before_gate = activation == ACTIVATION_NONE ? n->outputs[1] : op_activation(g, n->outputs[1], activation);
    tensor_id d = op_gate_gradient(g, dy, n->inputs[GATE], before_gate);
    if (want[GATE])
        dx[GATE] = graph_output(g, d, 1);
    return d;
}

static void linear_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node n = *node_of(g, node_index); // a copy: appending may move nodes
    activation_kind activation = *(const activation_kind *)n.attributes;
    tensor_id d = dy[0];
    if (!tensor_is(d) || (n.output_count > 1 && tensor_is(dy[1]))) {
        graph_fail(g, "linear: the value kept for the gradient has no gradient of its own");
        return;
    }
    if (want[RESIDUAL]) {
        if (!shape_equal(shape_of(g, n.inputs[RESIDUAL]), shape_of(g, d)))
            graph_fail(g, "linear: a repeated residual has no gradient");
        dx[RESIDUAL] = d;
    }
    if (tensor_is(n.inputs[GATE]))
        d = gradient_of_gate(g, &n, activation, d, want, dx);
    if (activation != ACTIVATION_NONE)
        d = op_activation_gradient(g, n.outputs[1], d, activation);
    if (want[X])
        dx[X] = op_linear_input_gradient(g, d, n.inputs[WEIGHT]);
    if (want[WEIGHT]) {
        tensor_id dw = op_linear_weight_gradient(g, d, n.inputs[X]);
        tensor_shape weight = shape_of(g, n.inputs[WEIGHT]);
        dx[WEIGHT] = weight.rank == 2 ? dw : graph_view(g, dw, 0, weight, NULL);
    }
    if (want[BIAS])
        dx[BIAS] = op_column_sum(g, d);
}

static node_cost linear_cost(const graph *g, const node *n) {
    tensor_shape x = input_shape(g, n, X);
    return product_cost(g, n, (double)row_count(x), (double)input_shape(g, n, WEIGHT).dim[0], (double)last_dim(x));
}

static bool linear_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (tensor_is(node_of(g, node_index)->inputs[RESIDUAL]))
        return false;
    graph_set_input(g, node_index, RESIDUAL, addend);
    return true;
}

const operator linear_operator = {.name = "linear", .attributes_size = sizeof(activation_kind), .shapes = linear_shapes,
                                  .gradient = linear_gradient, .lower = linear_lower, .cost = linear_cost, .fuse_add = linear_fuse_add};

tensor_id op_linear(graph *g, tensor_id x, tensor_id weight, const linear_options *o) {
    const tensor_id inputs[INPUTS] = {x, weight, o->bias, o->gate, o->residual};
    return graph_node(g, &linear_operator, &o->activation, inputs, INPUTS);
}

// ---- the gradient's products: two operands and, fused, what is added ---------------------------------

enum { LEFT, RIGHT, ADDEND, PRODUCT_INPUTS };

static bool product_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (tensor_is(node_of(g, node_index)->inputs[ADDEND]))
        return false;
    graph_set_input(g, node_index, ADDEND, addend);
    return true;
}

static igvk_status refuse_operands(const node *n, tensor_shape a, tensor_shape b) {
    char left[64], right[64];
    return fail(IGVK_ERROR_INVALID, "%s: %s and %s do not fit", n->op->name, shape_text(left, a), shape_text(right, b));
}

static igvk_status input_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, LEFT, "dy", STORAGE_F32));
    TRY(check_input(g, n, RIGHT, "weight", STORAGE_F32));
    tensor_shape dy = input_shape(g, n, LEFT), weight = input_shape(g, n, RIGHT);
    if (weight.rank < 2 || last_dim(dy) != weight.dim[0])
        return refuse_operands(n, dy, weight);
    add_output(out, STORAGE_F32, with_last(dy, row_elements(weight)));
done:
    return status;
}

static igvk_status input_gradient_lower(lowering *l, const node *n) {
    tensor_shape dy = input_shape(l->graph, n, LEFT);
    uint64_t columns = last_dim(shape_of(l->graph, n->outputs[0])), depth = last_dim(dy);
    linear_product p = {.a = n->inputs[LEFT], .b = n->inputs[RIGHT], .y = n->outputs[0], .residual = n->inputs[ADDEND],
                        .rows = row_count(dy), .columns = columns, .depth = depth, .a_row = depth, .a_step = 1, .b_column = 1,
                        .b_step = columns};
    return linear_product_lower(l, &p);
}

static node_cost input_gradient_cost(const graph *g, const node *n) {
    tensor_shape dy = input_shape(g, n, LEFT);
    return product_cost(g, n, (double)row_count(dy), (double)row_elements(input_shape(g, n, RIGHT)), (double)last_dim(dy));
}

const operator linear_input_gradient_operator = {.name = "linear_input_gradient", .shapes = input_gradient_shapes,
                                                 .lower = input_gradient_lower, .cost = input_gradient_cost, .fuse_add = product_fuse_add};

tensor_id op_linear_input_gradient(graph *g, tensor_id dy, tensor_id weight) {
    const tensor_id inputs[PRODUCT_INPUTS] = {dy, weight, NO_TENSOR};
    return graph_node(g, &linear_input_gradient_operator, NULL, inputs, PRODUCT_INPUTS);
}

static igvk_status weight_gradient_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, LEFT, "dy", STORAGE_F32));
    TRY(check_input(g, n, RIGHT, "x", STORAGE_F32));
    tensor_shape dy = input_shape(g, n, LEFT), x = input_shape(g, n, RIGHT);
    if (row_count(dy) != row_count(x))
        return refuse_operands(n, dy, x);
    add_output(out, STORAGE_F32, SHAPE(last_dim(dy), last_dim(x)));
done:
    return status;
}

static igvk_status weight_gradient_lower(lowering *l, const node *n) {
    tensor_shape dy = input_shape(l->graph, n, LEFT), x = input_shape(l->graph, n, RIGHT);
    uint64_t rows = last_dim(dy), columns = last_dim(x);
    linear_product p = {.a = n->inputs[LEFT], .b = n->inputs[RIGHT], .y = n->outputs[0], .residual = n->inputs[ADDEND], .rows = rows,
                        .columns = columns, .depth = row_count(dy), .a_row = 1, .a_step = rows, .b_column = 1, .b_step = columns};
    return linear_product_lower(l, &p);
}

static node_cost weight_gradient_cost(const graph *g, const node *n) {
    tensor_shape dy = input_shape(g, n, LEFT);
    return product_cost(g, n, (double)last_dim(dy), (double)last_dim(input_shape(g, n, RIGHT)), (double)row_count(dy));
}

const operator linear_weight_gradient_operator = {.name = "linear_weight_gradient", .shapes = weight_gradient_shapes,
                                                  .lower = weight_gradient_lower, .cost = weight_gradient_cost, .fuse_add = product_fuse_add};

tensor_id op_linear_weight_gradient(graph *g, tensor_id dy, tensor_id x) {
    const tensor_id inputs[PRODUCT_INPUTS] = {dy, x, NO_TENSOR};
    return graph_node(g, &linear_weight_gradient_operator, NULL, inputs, PRODUCT_INPUTS);
}
