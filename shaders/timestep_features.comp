#version 450
// SPDX-License-Identifier: MIT
// t [N] -> [N, size]: cos(t f_k), then sin(t f_k), f_k = exp(-ln(10000) k / (size/2)), rounded as PyTorch's f32.
// scalars: N size/2, size/2
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, f32, t)
TENSOR_WRITE(1, f32, y)

void element(uint i) {
    uint half_size = SCALAR(1);
    uint n = i / half_size;
    uint k = i - n * half_size;
    precise float exponent = -9.210340371976184 * float(k);
    exponent = igvk_divide(exponent, float(half_size));
    precise float angle = LOAD(f32, t, n) * igvk_exp(exponent);
    float sine, cosine;
    igvk_sincos(angle, sine, cosine);
    uint at = n * 2 * half_size + k;
    STORE(f32, y, at, cosine);
    STORE(f32, y, at + half_size, sine);
}
#include "elements.glsl"
