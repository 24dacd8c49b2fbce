#version 450
// SPDX-License-Identifier: MIT
// target + (weight - 1) (final - intermediate) where low <= t <= high, else target.
// scalars: N E, E, weight - 1, low, high
#include "tensor.glsl"

TENSOR_READ(0, f32, target)
TENSOR_READ(1, f32, final_output)
TENSOR_READ(2, f32, intermediate)
TENSOR_READ(3, f32, t)
TENSOR_WRITE(4, f32, y)

void element(uint i) {
    float time = LOAD(f32, t, i / SCALAR(1));
    float v = LOAD(f32, target, i);
    float guided = v + SCALAR_F32(2) * (LOAD(f32, final_output, i) - LOAD(f32, intermediate, i));
    STORE(f32, y, i, time >= SCALAR_F32(3) && time <= SCALAR_F32(4) ? guided : v);
}
#include "elements.glsl"
