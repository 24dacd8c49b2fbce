#version 450
// SPDX-License-Identifier: MIT
// The gradient of mean (e - n)^2 + mean of the variational term, for e and v: the second sees e as given.
// scalars: count (of images' elements), elements of an image, 1 / that
#include "tensor.glsl"
#include "math.glsl"
#include "noising.glsl"

TENSOR_READ(0, f32, prediction) // [N, 2 C, ...]: e, then v
TENSOR_READ(1, f32, x)
TENSOR_READ(2, f32, noise)
TENSOR_READ(3, f32, terms)
TENSOR_READ(4, f32, dy)          // [N]
TENSOR_WRITE(5, f32, dprediction)

void element(uint i) {
    const uint elements = SCALAR(1), row = i / elements, at = i + row * elements;
    const noising_terms t =
        noising_terms(LOAD(f32, terms, row * TERMS + TERM_LEAST), LOAD(f32, terms, row * TERMS + TERM_SPREAD),
                      LOAD(f32, terms, row * TERMS + TERM_MEAN), LOAD(f32, terms, row * TERMS + TERM_FIRST) != 0.0);
    const float scale = LOAD(f32, dy, row) * SCALAR_F32(2);
    const float error = LOAD(f32, prediction, at) - LOAD(f32, noise, i);
    STORE(f32, dprediction, at, 2.0 * error * scale);
    STORE(f32, dprediction, at + elements,
          scale * variational_slope(t, LOAD(f32, x, i), error, LOAD(f32, prediction, at + elements)));
}
#include "elements.glsl"
