#version 450
// SPDX-License-Identifier: MIT
// dprediction = dy[n] (2 / E) (prediction - target)
// scalars: N E, E, 2 / E
#include "tensor.glsl"

TENSOR_READ(0, f32, prediction)
TENSOR_READ(1, f32, target)
TENSOR_READ(2, f32, dy)
TENSOR_WRITE(3, f32, dx)

void element(uint i) {
    float scale = LOAD(f32, dy, i / SCALAR(1)) * SCALAR_F32(2);
#ifdef IGVK_BREAK_GRADIENT
    scale *= 0.5;
#endif
    STORE(f32, dx, i, scale * (LOAD(f32, prediction, i) - LOAD(f32, target, i)));
}
#include "elements.glsl"
