#version 450
// SPDX-License-Identifier: MIT
// dtable [R, D] += rows of dy [N, D], each to its label's row, in order of n: one invocation a column.
// scalars: D, N, R
#include "tensor.glsl"

TENSOR_READ(0, u32, labels)
TENSOR_READ(1, f32, dy)
TENSOR_WRITE(2, f32, dtable)

void main() {
    uint column = linear_invocation();
    uint width = SCALAR(0);
    if (column >= width)
        return;
    uint n = 0;
    do {
        uint row = min(LOAD(u32, labels, n), SCALAR(2) - 1);
        uint at = row * width + column;
        STORE(f32, dtable, at, LOAD_OWN(f32, dtable, at) + LOAD(f32, dy, n * width + column));
        n++;
    } while (n < SCALAR(1));
}
