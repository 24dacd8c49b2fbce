// SPDX-License-Identifier: MIT
// One matrix product as one dispatch: the only place where a kernel and its tile are chosen. Forward, input gradient
// and weight gradient differ in strides alone; shaders/include/linear_epilogue.glsl has their table.
#ifndef IGVK_OPS_LINEAR_PRODUCT_H
#define IGVK_OPS_LINEAR_PRODUCT_H

#include "ops/ops.h"

// y [rows, columns] = residual + gate activation(z), z = bias + sum over `depth` steps of a b.
typedef struct linear_product {
    uint64_t rows, columns, depth;
    tensor_id a, b, y;
    uint64_t a_row, a_step, b_column, b_step; // strides in elements
    tensor_id bias;                           // each of these may be NO_TENSOR
    tensor_id gate, residual;                 // fewer rows: as ops.h says for linear
    tensor_id z;                              // written too
    activation_kind activation;
} linear_product;

igvk_status linear_product_lower(lowering *l, const linear_product *p);
// Every tensor of the node once, and a multiply-add for each step of each element.
node_cost linear_product_cost(const graph *g, const node *n, uint64_t rows, uint64_t columns, uint64_t depth);

// A matrix of a tensor's leading dimensions together by its last.
static inline uint64_t matrix_columns(tensor_shape s) { return s.rank ? s.dim[s.rank - 1] : 1; }
static inline uint64_t matrix_rows(tensor_shape s) { return shape_elements(s) / matrix_columns(s); }

#endif
