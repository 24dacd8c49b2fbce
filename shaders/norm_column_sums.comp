// SPDX-License-Identifier: MIT
// The sums over rows that the gradients of shift and scale are: of dy, and of dy xhat with xhat = (x - mean) rstd.
// First pass: rows are cut into chunks, invocation (column, chunk, group) walks down its chunk. norm_chunk_sums adds
// the chunks in order. For layer norm a group is an image; for qk-norm it is q or k, and its rows are heads of tokens.
#version 450
#include "include/tensor.glsl"
layout(constant_id = 1) const uint COLUMNS = 768;
layout(constant_id = 2) const uint ROWS = 256;         // of a group
layout(constant_id = 3) const uint CHUNK_ROWS = 64;
layout(constant_id = 4) const uint HEADS = 1;          // rows side by side in one token
layout(constant_id = 5) const uint TOKEN_STRIDE = 768; // elements from a token to the next
layout(constant_id = 6) const uint GROUP_STRIDE = 196608;
layout(constant_id = 7) const uint RMS = 0;            // 1: the mean is 0, mean_of is not read
TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, mean_of) // [groups, ROWS]
TENSOR_READ(2, f32, rstd_of) // [groups, ROWS]
TENSOR_READ(3, f32, dy)      // laid out like x
TENSOR_WRITE(4, f32, sums)   // [groups, chunks, 2, COLUMNS]

void main() {
    const uint chunk = gl_WorkGroupID.y, group = gl_WorkGroupID.z;
    const uint column = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    const uint clamped = min(column, COLUMNS - 1);
    const uint end = min((chunk + 1) * CHUNK_ROWS, ROWS);
    float sum = 0.0, product_sum = 0.0;
    uint row = chunk * CHUNK_ROWS;
    NO_UNROLL do {
        const uint first = group * GROUP_STRIDE + row / HEADS * TOKEN_STRIDE + row % HEADS * COLUMNS;
        POINT_READ(f32, own, x, first);
        POINT_READ(f32, slope, dy, first);
        const float g = AT(f32, slope, dy, clamped);
        const float mean = RMS != 0 ? 0.0 : LOAD(f32, mean_of, group * ROWS + row);
        const float rstd = LOAD(f32, rstd_of, group * ROWS + row);
        sum += g;
        product_sum = fma(g, (AT(f32, own, x, clamped) - mean) * rstd, product_sum);
        row++;
    } while (row < end);
    if (column < COLUMNS) {
        POINT_WRITE(f32, result, sums, (group * gl_NumWorkGroups.y + chunk) * 2 * COLUMNS);
        STORE_AT(f32, result, sums, column, sum);
        STORE_AT(f32, result, sums, COLUMNS + column, product_sum);
    }
}
