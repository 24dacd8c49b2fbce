// SPDX-License-Identifier: MIT
// Sums down the rows that a normalisation saw: what the gradients of its shift and scale, or bias and weight, are.
#ifndef IGVK_OPS_NORM_SUMS_H
#define IGVK_OPS_NORM_SUMS_H

#include "graph/operator.h"

// Rows of `columns` numbers in `groups` groups. Row r of group k starts at element
// k * group_stride + r / heads * token_stride + r % heads * columns of x and of dy, and has its statistics at
// k * rows + r. Without `mean` it is 0 (RMSNorm).
typedef struct norm_rows {
    tensor_id x, dy, mean, rstd;
    uint64_t columns, groups, rows;
    uint64_t heads, token_stride, group_stride;
} norm_rows;

// The first pass: sums over chunks of rows, scratch for the second. The chunks follow from `rows` alone.
igvk_status lower_chunk_sums(lowering *l, const norm_rows *r, tensor_id *sums);
// The second: groups first .. first + count - 1 to dshift (sums of dy) and dscale (sums of dy xhat), both
// [count, columns]. The outputs must be two tensors.
igvk_status lower_column_sums(lowering *l, const norm_rows *r, tensor_id sums, uint32_t first, uint32_t count,
                              tensor_id dshift, tensor_id dscale);

#endif
