// SPDX-License-Identifier: MIT
// column_sum: dy [..., O] -> [O], a bias' gradient. Two dispatches in a fixed order: sums of blocks of rows, then
// the sum of those. May add a tensor of its output's shape, in the second.
#include "ops/common.h"
#include "ops/linear_product.h"

#define BLOCK_ROWS 64

enum { IN_DY, IN_ADDEND, IN_COUNT };

extern const operator column_sum_operator;

static igvk_status column_sum_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, IN_DY, "dy", STORAGE_F32));
    const tensor_shape sum = SHAPE(matrix_columns(input_shape(g, n, IN_DY)));
    if (tensor_is(n->inputs[IN_ADDEND]))
        TRY(check_shape(g, n, IN_ADDEND, "addend", STORAGE_F32, sum));
    add_output(out, STORAGE_F32, sum);
done:
    return status;
}

// x [rows, columns] -> y [ceil(rows / block_rows), columns]. With one block the addend may be there.
static igvk_status sum_blocks(lowering *l, tensor_id x, tensor_id addend, tensor_id y, uint64_t rows,
                              uint64_t block_rows) {
    const uint64_t sums = shape_elements(shape_of(l->graph, y)), columns = matrix_columns(shape_of(l->graph, y));
    dispatch d = dispatch_invocations(l, "column_sum", sums);
    dispatch_constant(&d, tensor_is(addend));
    dispatch_bind(&d, x, ACCESS_READ);
    dispatch_bind(&d, tensor_is(addend) ? addend : x, ACCESS_READ);
    if (tensor_is(addend))
        dispatch_bind_in_place(&d, y, 1);
    else
        dispatch_bind(&d, y, ACCESS_WRITE);
    dispatch_scalar(&d, (uint32_t)rows);
    dispatch_scalar(&d, (uint32_t)columns);
    dispatch_scalar(&d, (uint32_t)block_rows);
    dispatch_scalar(&d, (uint32_t)sums);
    d.flops = (double)rows * (double)columns;
    d.bytes = 4.0 * ((double)rows * (double)columns + (double)sums);
    return lowering_emit(l, &d);
}

static igvk_status column_sum_lower(lowering *l, const node *n) {
    const tensor_shape dy = input_shape(l->graph, n, IN_DY);
    const uint64_t rows = matrix_rows(dy), blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    igvk_status status = IGVK_OK;
    if (blocks == 1)
        return sum_blocks(l, n->inputs[IN_DY], n->inputs[IN_ADDEND], n->outputs[0], rows, rows);
    const tensor_id sums = graph_scratch(l->graph, STORAGE_F32, SHAPE(blocks, matrix_columns(dy)));
    TRY(sum_blocks(l, n->inputs[IN_DY], NO_TENSOR, sums, rows, BLOCK_ROWS));
    TRY(sum_blocks(l, sums, n->inputs[IN_ADDEND], n->outputs[0], blocks, blocks));
done:
    return status;
}

static bool column_sum_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (tensor_is(node_of(g, node_index)->inputs[IN_ADDEND]))
        return false;
    graph_set_input(g, node_index, IN_ADDEND, addend);
    return true;
}

static node_cost column_sum_cost(const graph *g, const node *n) {
    node_cost cost = copy_cost(g, n);
    cost.flops = (double)shape_elements(input_shape(g, n, IN_DY));
    return cost;
}

const operator column_sum_operator = {
    .name = "column_sum",
    .shapes = column_sum_shapes,
    .lower = column_sum_lower,
    .cost = column_sum_cost,
    .fuse_add = column_sum_fuse_add,
};

tensor_id op_column_sum(graph *g, tensor_id dy) {
    const tensor_id inputs[IN_COUNT] = {dy, NO_TENSOR};
    return graph_node(g, &column_sum_operator, NULL, inputs, IN_COUNT);
}
