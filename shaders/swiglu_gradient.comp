#version 450
// SPDX-License-Identifier: MIT
// da = dy b SiLU'(a), db = dy SiLU(a) of rows [a | b]. In place: a and b are read by the invocation that writes there.
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint HALF = 3072; // H

TENSOR_READ(0, f32, x)   // [..., 2 H]
TENSOR_READ(1, f32, dy)  // [..., H]
TENSOR_WRITE(2, f32, dx) // [..., 2 H]

void element(uint i) {
    const uint first = i / HALF * 2 * HALF + i % HALF;
    const float a = LOAD(f32, x, first), b = LOAD(f32, x, first + HALF), slope = LOAD(f32, dy, i);
    STORE(f32, dx, first, slope * b * igvk_silu_gradient(a));
    STORE(f32, dx, first + HALF, slope * igvk_silu(a));
}
#include "elements.glsl"
