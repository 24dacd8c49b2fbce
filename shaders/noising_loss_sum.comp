#version 450
// SPDX-License-Identifier: MIT
// Pairs [N, 2] -> their sums [N].
// scalars: N
#include "tensor.glsl"

TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, y)

void main() {
    const uint i = linear_invocation();
    if (i < SCALAR(0))
        STORE(f32, y, i, LOAD(f32, x, 2 * i) + LOAD(f32, x, 2 * i + 1));
}
