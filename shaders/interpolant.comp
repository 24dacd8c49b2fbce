#version 450
// SPDX-License-Identifier: MIT
// x, noise [N, E], t [N] -> x_t = a x + s noise, target = a' x + s' noise. Linear path: a = 1 - t, s = t; cosine:
// a = cos(pi t / 2), s = sin(pi t / 2).
// scalars: N E, E
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint COSINE = 0;

TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, noise)
TENSOR_READ(2, f32, t)
TENSOR_WRITE(3, f32, x_t)
TENSOR_WRITE(4, f32, target)

void element(uint i) {
    float time = LOAD(f32, t, i / SCALAR(1));
    float data = LOAD(f32, x, i);
    float n = LOAD(f32, noise, i);
    if (COSINE != 0) {
        float sine, cosine;
        igvk_sincos_turns(0.25 * time, sine, cosine);
        STORE(f32, x_t, i, cosine * data + sine * n);
        STORE(f32, target, i, 1.5707964 * (cosine * n - sine * data));
    } else {
        STORE(f32, x_t, i, (1.0 - time) * data + time * n);
        STORE(f32, target, i, n - data);
    }
}
#include "elements.glsl"
