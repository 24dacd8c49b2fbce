#version 450
// SPDX-License-Identifier: MIT
// The gradient of mean (e - n)^2 for e, and of the mean variational term for v alone: that takes e as given.
// scalars: count (of images' elements), elements of an image, 1 / that
#include "tensor.glsl"
#include "math.glsl"
#include "noising.glsl"

layout(constant_id = 2) const uint HAS_SQUARES = 1;
layout(constant_id = 3) const uint HAS_BITS = 1;

TENSOR_READ(0, f32, prediction) // [N, 2 C, ...]: e, then v
TENSOR_READ(1, f32, x)
TENSOR_READ(2, f32, noise)
TENSOR_READ(3, f32, terms)
TENSOR_READ(4, f32, dsquares) // [N]; bound to the terms where nothing depends on it
TENSOR_READ(5, f32, dbits)    // likewise
TENSOR_WRITE(6, f32, dprediction)

void element(uint i) {
    const uint elements = SCALAR(1), row = i / elements, at = i + row * elements;
    const noising_terms t =
        noising_terms(LOAD(f32, terms, row * TERMS + TERM_LEAST), LOAD(f32, terms, row * TERMS + TERM_SPREAD),
                      LOAD(f32, terms, row * TERMS + TERM_MEAN), LOAD(f32, terms, row * TERMS + TERM_FIRST) != 0.0);
    const float squares = HAS_SQUARES != 0 ? LOAD(f32, dsquares, row) * SCALAR_F32(2) : 0.0;
    const float bits = HAS_BITS != 0 ? LOAD(f32, dbits, row) * SCALAR_F32(2) : 0.0;
    const float error = LOAD(f32, prediction, at) - LOAD(f32, noise, i);
    STORE(f32, dprediction, at, 2.0 * error * squares);
    STORE(f32, dprediction, at + elements,
          bits * variational_slope(t, LOAD(f32, x, i), error, LOAD(f32, prediction, at + elements)));
}
#include "elements.glsl"
