// SPDX-License-Identifier: MIT
// From the sums over tokens S of dy xhat: dscale = weight S, and dweight = the sum over images, in order, of
// (1 + scale) S. An invocation has a column.
#version 450
#include "include/tensor.glsl"
layout(constant_id = 1) const uint COLUMNS = 768;
TENSOR_READ(0, f32, sums)     // [N, D]
TENSOR_READ(1, f32, scale)    // [N, D]
TENSOR_READ(2, f32, weight)   // [D]
TENSOR_WRITE(3, f32, dscale)  // [N, D]
TENSOR_WRITE(4, f32, dweight) // [D]
#define IMAGES SCALAR(0)

void main() {
    const uint column = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    if (column >= COLUMNS)
        return;
    const float own_weight = LOAD(f32, weight, column);
    float total = 0.0;
    for (uint image = 0; image < IMAGES; image++) {
        const float sum = LOAD(f32, sums, image * COLUMNS + column);
        total = fma(1.0 + LOAD(f32, scale, image * COLUMNS + column), sum, total);
        STORE(f32, dscale, image * COLUMNS + column, own_weight * sum);
    }
    STORE(f32, dweight, column, total);
}
