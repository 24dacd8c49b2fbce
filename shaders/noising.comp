#version 450
// SPDX-License-Identifier: MIT
// x_t = sqrt(abar) x + sqrt(1 - abar) noise, with each sample's own abar.
// scalars: count, elements of an image
#include "tensor.glsl"
#include "math.glsl"
#include "noising.glsl"

TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, noise)
TENSOR_READ(2, f32, terms)
TENSOR_WRITE(3, f32, y)

void element(uint i) {
    const uint row = i / SCALAR(1) * TERMS;
    const float image = LOAD(f32, terms, row + TERM_IMAGE) * LOAD(f32, x, i);
    STORE(f32, y, i, fma(LOAD(f32, terms, row + TERM_NOISE), LOAD(f32, noise, i), image));
}
#include "elements.glsl"
