#version 450
// SPDX-License-Identifier: MIT
// dy [1] -> dterm [N] = weight STEP_LOSS_SCALE dy / N.
// scalars: N, weight, 1 / N
#include "tensor.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, dy)
TENSOR_WRITE(2, f32, dterm)

#include "steps.glsl"

float each;

void prepare() {
    each = STEP_F32(STEP_LOSS_SCALE) * LOAD(f32, dy, 0) * SCALAR_F32(2);
}

void element(uint i) {
    STORE(f32, dterm, i, SCALAR_F32(1) * each);
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
