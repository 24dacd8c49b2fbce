#version 450
// SPDX-License-Identifier: MIT
// labels u32 [N], table [R, D] -> rows [N, D]; a label out of range reads row R - 1.
// scalars: N D, D, R
#include "tensor.glsl"

TENSOR_READ(0, u32, labels)
TENSOR_READ(1, f32, table)
TENSOR_WRITE(2, f32, y)

void element(uint i) {
    uint width = SCALAR(1);
    uint n = i / width;
    uint row = min(LOAD(u32, labels, n), SCALAR(2) - 1);
    STORE(f32, y, i, LOAD(f32, table, row * width + (i - n * width)));
}
#include "elements.glsl"
