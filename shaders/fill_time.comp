#version 450
// SPDX-License-Identifier: MIT
// y = the step block's time
// scalars: count
#include "tensor.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_WRITE(1, f32, y)

#include "steps.glsl"

float time;

void prepare() {
    time = STEP_F32(STEP_TIME);
}

void element(uint i) {
    STORE(f32, y, i, time);
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
