// SPDX-License-Identifier: MIT
// One matrix product as a dispatch: the only place where a kernel and its tile are chosen. Forward, input gradient
// and weight gradient differ in strides alone (shaders/include/linear_epilogue.glsl has their table).
#ifndef IGVK_OPS_LINEAR_PRODUCT_H
#define IGVK_OPS_LINEAR_PRODUCT_H

#include "ops/common.h"
#include "ops/ops.h"

typedef struct linear_product {
    tensor_id a, b, y;                    // y [rows, columns] = sum over depth of a b
    tensor_id bias, gate, residual, z;    // NO_TENSOR: none; z is written
    activation_kind activation;
    uint64_t rows, columns, depth;
    uint64_t a_row, a_step, b_column, b_step; // strides in elements
} linear_product;

igvk_status linear_product_lower(lowering *l, const linear_product *p);

#endif
