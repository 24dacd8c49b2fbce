#version 450
// SPDX-License-Identifier: MIT
// y = value
// scalars: count, value
#include "tensor.glsl"

TENSOR_WRITE(0, f32, y)

void element(uint i) {
    STORE(f32, y, i, SCALAR_F32(1));
}
#include "elements.glsl"
