#version 450
// SPDX-License-Identifier: MIT
// y = first p + second q, or first p alone; with BF16 q, each product and the sum are rounded.
// scalars: count, first, second
#include "tensor.glsl"
#include "half.glsl"

TENSOR_READ(0, f32, p)
TENSOR_READ(1, f32, q) // bound to p where there is none
TENSOR_WRITE(2, f32, y)

layout(constant_id = 2) const uint BF16 = 0;
layout(constant_id = 3) const uint BOTH = 0;

float rounded(float value) { return BF16 != 0 ? f32_of_bf16(bf16_of_f32(value)) : value; }

void element(uint i) {
    float sum = rounded(SCALAR_F32(1) * LOAD(f32, p, i));
    if (BOTH != 0)
        sum = rounded(sum + rounded(SCALAR_F32(2) * rounded(LOAD(f32, q, i))));
    STORE(f32, y, i, sum);
}
#include "elements.glsl"
