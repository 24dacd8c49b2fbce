#version 450
// SPDX-License-Identifier: MIT
// The score of a velocity at x and t, (r v - x) / var with r = a / a', var = s^2 - r s' s. On the linear path
// r = t - 1 and var = t; on the cosine path r = -(2 / pi) cos / sin (of pi t / 2) and var = 1.
// scalars: N E, E
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint COSINE = 0;

TENSOR_READ(0, f32, velocity)
TENSOR_READ(1, f32, x)
TENSOR_READ(2, f32, t)
TENSOR_WRITE(3, f32, y)

void element(uint i) {
    float time = LOAD(f32, t, i / SCALAR(1));
    float v = LOAD(f32, velocity, i);
    float state = LOAD(f32, x, i);
    float score;
    if (COSINE != 0) {
        float sine, cosine;
        igvk_sincos_turns(0.25 * time, sine, cosine);
        score = -0.63661977 * igvk_divide(cosine, sine) * v - state;
    } else {
        score = igvk_divide((time - 1.0) * v - state, time);
    }
    STORE(f32, y, i, score);
}
#include "elements.glsl"
