#version 450
// SPDX-License-Identifier: MIT
// One step back along a noising process: x0 = c0 x + c1 e, x' = c2 x0 + c3 x, + exp(l / 2) noise, where l lies between
// the step block's two log-variances as v says. State and coefficients are pairs (high, low): at high noise x0 is a
// small difference of large numbers.
// scalars: count, elements of an image
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint HAS_NOISE = 1; // else `noise` is bound to the prediction

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, prediction) // [N, 2 C, ...]: e, then v
TENSOR_READ(2, f32, noise)
TENSOR_WRITE(3, f32, state_high)
TENSOR_WRITE(4, f32, state_low)
TENSOR_WRITE(5, f32, model_input)

#include "steps.glsl"

vec2 c0, c1, c2, c3;
float least, most;
bool clip, noisy;

vec2 coefficient(uint k) {
    return vec2(STEP_F32(STEP_COEFFICIENTS + 2 * k), STEP_F32(STEP_COEFFICIENTS + 2 * k + 1));
}

void prepare() {
    c0 = coefficient(0);
    c1 = coefficient(1);
    c2 = coefficient(2);
    c3 = coefficient(3);
    least = STEP_F32(STEP_LOG_VARIANCE);
    most = STEP_F32(STEP_LOG_VARIANCE + 1);
    clip = STEP_U32(STEP_CLIP) != 0;
    noisy = STEP_U32(STEP_NOISY) != 0;
}

void element(uint i) {
    const uint at = i + i / SCALAR(1) * SCALAR(1);
    const vec2 x = vec2(LOAD_OWN(f32, state_high, i), LOAD_OWN(f32, state_low, i));
    vec2 x0 = pair_add(pair_multiply(c0, x), pair_multiply(c1, LOAD(f32, prediction, at)));
    if (clip)
        x0 = abs(x0.x) >= 1.0 ? vec2(sign(x0.x), 0.0) : x0;
    vec2 y = pair_add(pair_multiply(c2, x0), pair_multiply(c3, x));
    if (HAS_NOISE != 0 && noisy) {
        const float part = 0.5 + 0.5 * LOAD(f32, prediction, at + SCALAR(1));
        const float deviation = igvk_exp(0.5 * (least + part * (most - least)));
        y = pair_add(y, deviation * LOAD(f32, noise, i));
    }
    STORE(f32, model_input, i, y.x);
    STORE(f32, state_high, i, y.x);
    STORE(f32, state_low, i, y.y);
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
