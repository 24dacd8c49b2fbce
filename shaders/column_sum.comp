#version 450
// SPDX-License-Identifier: MIT
// Sums of a matrix' columns over blocks of rows: x [M, C] -> y [ceil(M / R), C], y = addend + sum of block's rows, in
// order of rows. Run twice, the second time over the blocks.
// One invocation a block's column. scalars: M, C, R, invocations
#include "tensor.glsl"

TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, addend)
TENSOR_WRITE(2, f32, y)
layout(constant_id = 1) const bool HAS_ADDEND = false;
const uint UNROLLED = 8; // loads in flight

void main() {
    uint rows = SCALAR(0), columns = SCALAR(1), block_rows = SCALAR(2);
    uint i = linear_invocation();
    if (i >= SCALAR(3))
        return;
    uint block = i / columns;
    uint column = i - block * columns;
    uint row = block * block_rows;
    uint end = min(row + block_rows, rows);
    const uint span = min(block_rows, rows);
    uint turn_end = 0;
    float sum = 0.0;
    NO_UNROLL do { // as often in every invocation, in a short last block too (square_sums.comp)
        UNROLL for (uint u = 0; u < UNROLLED; u++) {
            float value = LOAD(f32, x, min(row + u, rows - 1) * columns + column);
            sum += row + u < end ? value : 0.0;
        }
        row += UNROLLED;
        turn_end += UNROLLED;
    } while (turn_end < span);
    if (HAS_ADDEND)
        sum += LOAD(f32, addend, i);
    STORE(f32, y, i, sum);
}
