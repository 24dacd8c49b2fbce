// SPDX-License-Identifier: MIT
// column_sum: dy [M, O] -> [O], the gradient of a bias. Two stages in fixed order: sums of blocks of rows, then the
// sum of those; what is added comes in the second.
#include "ops/common.h"
#include "ops/ops.h"

#define BLOCK_ROWS 64

enum { DY, ADDEND, INPUTS };

extern const operator column_sum_operator;

static uint64_t columns_of(tensor_shape s) { return s.dim[s.rank - 1]; }

static igvk_status column_sum_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_input(g, n, DY, "dy", STORAGE_F32);
    if (status == IGVK_OK)
        add_output(out, STORAGE_F32, SHAPE(columns_of(input_shape(g, n, DY))));
    return status;
}

static igvk_status emit_stage(lowering *l, tensor_id from, tensor_id addend, tensor_id to, uint64_t rows, uint64_t columns, uint64_t block_rows) {
    uint64_t invocations = (rows + block_rows - 1) / block_rows * columns;
    dispatch d = dispatch_invocations(l, "column_sum", invocations);
    dispatch_constant(&d, tensor_is(addend));
    dispatch_bind(&d, from, ACCESS_READ);
    dispatch_bind(&d, tensor_is(addend) ? addend : from, ACCESS_READ);
    dispatch_bind(&d, to, ACCESS_WRITE);
    dispatch_scalar(&d, (uint32_t)rows);
    dispatch_scalar(&d, (uint32_t)columns);
    dispatch_scalar(&d, (uint32_t)block_rows);
    dispatch_scalar(&d, (uint32_t)invocations);
    d.flops = (double)rows * (double)columns;
    return lowering_emit(l, &d);
}

static igvk_status column_sum_lower(lowering *l, const node *n) {
    tensor_shape dy = input_shape(l->graph, n, DY);
    uint64_t columns = columns_of(dy), rows = shape_elements(dy) / columns, blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    igvk_status status = check_count("dy", rows * columns);
    if (status != IGVK_OK || blocks == 1)
        return status != IGVK_OK ? status : emit_stage(l, n->inputs[DY], n->inputs[ADDEND], n->outputs[0], rows, columns, rows);
    tensor_id sums = graph_scratch(l->graph, STORAGE_F32, SHAPE(blocks, columns));
    status = emit_stage(l, n->inputs[DY], NO_TENSOR, sums, rows, columns, BLOCK_ROWS);
    return status != IGVK_OK ? status : emit_stage(l, sums, n->inputs[ADDEND], n->outputs[0], blocks, columns, blocks);
}

static bool column_sum_fuse_add(graph *g, uint32_t node_index, tensor_id addend) {
    if (tensor_is(node_of(g, node_index)->inputs[ADDEND]))
        return false;
    graph_set_input(g, node_index, ADDEND, addend);
    return true;
}

static node_cost column_sum_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 1); }

const operator column_sum_operator = {.name = "column_sum", .shapes = column_sum_shapes, .lower = column_sum_lower,
                                      .cost = column_sum_cost, .fuse_add = column_sum_fuse_add};

tensor_id op_column_sum(graph *g, tensor_id dy) {
    const tensor_id inputs[INPUTS] = {dy, NO_TENSOR};
    return graph_node(g, &column_sum_operator, NULL, inputs, INPUTS);
}
