#version 450
// SPDX-License-Identifier: MIT
// y = SiLU(a) * b of rows [a | b]
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint HALF = 3072; // H

TENSOR_READ(0, f32, x)  // [..., 2 H]
TENSOR_WRITE(1, f32, y) // [..., H]

void element(uint i) {
    const uint a = i / HALF * 2 * HALF + i % HALF;
    STORE(f32, y, i, igvk_silu(LOAD(f32, x, a)) * LOAD(f32, x, a + HALF));
}
#include "elements.glsl"
