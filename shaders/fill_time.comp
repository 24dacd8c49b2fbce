#version 450
// SPDX-License-Identifier: MIT
// y = the step block's time
// scalars: count
#include "tensor.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_WRITE(1, f32, y)

#include "steps.glsl"

void element(uint i) {
    STORE(f32, y, i, STEP_F32(STEP_TIME));
}
#include "elements.glsl"
