#version 450
// SPDX-License-Identifier: MIT
// y = a + b
#include "tensor.glsl"

TENSOR_READ(0, f32, a)
TENSOR_READ(1, f32, b)
TENSOR_WRITE(2, f32, y)

void element(uint i) {
    STORE(f32, y, i, LOAD(f32, a, i) + LOAD(f32, b, i));
}
#include "elements.glsl"
