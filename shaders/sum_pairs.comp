#version 450
// SPDX-License-Identifier: MIT
// Rows of P pairs -> rows of Q pairs, the j-th the sum of pairs j, j + Q, j + 2 Q, ...; added to `previous` where
// there is one, or with Q = 1 the mean as one number.
// scalars: rows Q, Q, P, scale (high, low)
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 1) const uint MEAN = 0;
layout(constant_id = 2) const uint HAS_PREVIOUS = 0;

TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, previous) // bound to x where there is none
TENSOR_WRITE(2, f32, y)

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    uint row = i / SCALAR(1);
    uint j = i - row * SCALAR(1);
    vec2 sum = vec2(0.0);
    if (HAS_PREVIOUS != 0)
        sum = vec2(LOAD(f32, previous, 2 * i), LOAD(f32, previous, 2 * i + 1));
    do {
        uint at = 2 * (row * SCALAR(2) + j);
        sum = pair_add(sum, vec2(LOAD(f32, x, at), LOAD(f32, x, at + 1)));
        j += SCALAR(1);
    } while (j < SCALAR(2));
    if (MEAN != 0) {
        STORE(f32, y, i, pair_multiply(sum, vec2(SCALAR_F32(3), SCALAR_F32(4))).x);
    } else {
        STORE(f32, y, 2 * i, sum.x);
        STORE(f32, y, 2 * i + 1, sum.y);
    }
}
