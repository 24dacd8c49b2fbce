#version 450
// SPDX-License-Identifier: MIT
// One optimizer step over a chunk of the arena, in PyTorch's order: clip, decoupled decay, moments, parameter;
// then the EMA; the gradient is left zero. A word of `segments` for every 64 elements tells in bit 0 whether they
// are trained: the others only enter the EMA. Held back (norm[2] = 0), nothing changes but the gradient.
// scalars: count
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, norm)
TENSOR_READ(2, u32, segments)
TENSOR_WRITE(3, f32, parameter)
TENSOR_WRITE(4, f32, gradient)
TENSOR_WRITE(5, f32, moment1)
TENSOR_WRITE(6, f32, moment2)
TENSOR_WRITE(7, f32, ema)

#include "steps.glsl"

void element(uint i) {
    float p = LOAD_OWN(f32, parameter, i);
    if (LOAD(f32, norm, 2) != 0.0) {
        if ((LOAD(u32, segments, i / 64) & 1) != 0) {
            float g = LOAD_OWN(f32, gradient, i) * LOAD(f32, norm, 1);
            float m = STEP_F32(STEP_BETA1) * LOAD_OWN(f32, moment1, i) + STEP_F32(STEP_RATE1) * g;
            float v = STEP_F32(STEP_BETA2) * LOAD_OWN(f32, moment2, i) + STEP_F32(STEP_RATE2) * (g * g);
            float denominator = igvk_sqrt(v) * STEP_F32(STEP_BIAS2) + STEP_F32(STEP_EPSILON);
            p = p * (1.0 - STEP_F32(STEP_LEARNING_RATE) * STEP_F32(STEP_WEIGHT_DECAY));
            p = p - STEP_F32(STEP_BIAS1) * igvk_divide(m, denominator);
            STORE(f32, moment1, i, m);
            STORE(f32, moment2, i, v);
            STORE(f32, parameter, i, p);
        }
        STORE(f32, ema, i, STEP_F32(STEP_EMA_DECAY) * LOAD_OWN(f32, ema, i) + STEP_F32(STEP_EMA_RATE) * p);
    }
    STORE(f32, gradient, i, 0.0);
}
#include "elements.glsl"
