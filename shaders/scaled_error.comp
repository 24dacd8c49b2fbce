#version 450
// SPDX-License-Identifier: MIT
// y = (c0 x + sum of weights times slopes) / (absolute + relative max(|x|, |input|)): what an adaptive solver's
// norms are of.
// scalars: count
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, state_high)
TENSOR_READ(2, f32, model_input)
TENSOR_READ(3, f32, slopes)
TENSOR_WRITE(4, f32, y)

#include "steps.glsl"

float own, weights[RUNGE_KUTTA_SLOPES], absolute, relative;

void prepare() {
    UNROLL for (uint j = 0; j < RUNGE_KUTTA_SLOPES; j++)
        weights[j] = STEP_F32(STEP_SLOPES + 2 * j);
    own = STEP_F32(STEP_COEFFICIENTS);
    absolute = STEP_F32(STEP_ABSOLUTE);
    relative = STEP_F32(STEP_RELATIVE);
}

void element(uint i) {
    float x = LOAD(f32, state_high, i);
    float sum = own * x;
    UNROLL for (uint j = 0; j < RUNGE_KUTTA_SLOPES; j++)
        if (weights[j] != 0.0)
            sum += weights[j] * LOAD(f32, slopes, j * SCALAR(0) + i);
    STORE(f32, y, i, igvk_divide(sum, absolute + relative * max(abs(x), abs(LOAD(f32, model_input, i)))));
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
