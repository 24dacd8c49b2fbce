#version 450
// SPDX-License-Identifier: MIT
// y = x / (sqrt(sum) + 1e-7) of a sum of squares (high, low); with BF16 each result is rounded.
// scalars: count
#include "tensor.glsl"
#include "half.glsl"
#include "math.glsl"

TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, sum)
TENSOR_WRITE(2, f32, y)

layout(constant_id = 2) const uint BF16 = 0;

float rounded(float value) { return BF16 != 0 ? f32_of_bf16(bf16_of_f32(value)) : value; }

float divisor;

void prepare() {
    divisor = rounded(rounded(igvk_sqrt(LOAD(f32, sum, 0) + LOAD(f32, sum, 1))) + 1e-7);
}

void element(uint i) {
    STORE(f32, y, i, rounded(igvk_divide(LOAD(f32, x, i), divisor)));
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
