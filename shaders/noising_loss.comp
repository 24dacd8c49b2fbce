#version 450
// SPDX-License-Identifier: MIT
// Sums over a sample's elements of (e - n)^2 and of the variational term, as pairs (high, low), cut as in
// square_sums.comp.
// scalars: blocks in all, blocks of a row, E, turns (a multiple of four)
#include "tensor.glsl"
#include "math.glsl"
#include "noising.glsl"

TENSOR_READ(0, f32, prediction) // [N, 2 C, ...]: e, then v
TENSOR_READ(1, f32, x)
TENSOR_READ(2, f32, noise)
TENSOR_READ(3, f32, terms)
TENSOR_WRITE(4, f32, square_sums)
TENSOR_WRITE(5, f32, bit_sums)

vec2 add_to(vec2 sum, float value) {
    const vec2 s = two_sum(sum.x, value);
    precise float low = sum.y + s.y;
    return vec2(s.x, low);
}

void main() {
    const uint group = linear_group();
    if (group >= SCALAR(0))
        return;
    const uint blocks = SCALAR(1), elements = SCALAR(2);
    uint turns = SCALAR(3);
    const uint row = group / blocks, block = group - row * blocks;
    const noising_terms t =
        noising_terms(LOAD(f32, terms, row * TERMS + TERM_LEAST), LOAD(f32, terms, row * TERMS + TERM_SPREAD),
                      LOAD(f32, terms, row * TERMS + TERM_MEAN), LOAD(f32, terms, row * TERMS + TERM_FIRST) != 0.0);
    uint j = block * gl_WorkGroupSize.x * turns + gl_LocalInvocationIndex;
    vec2 squares = vec2(0.0), bits = vec2(0.0);
    do { // as often in every invocation (square_sums.comp)
        const uint i = min(j, elements - 1);
        const uint at = 2 * row * elements + i;
        const float error = LOAD(f32, prediction, at) - LOAD(f32, noise, row * elements + i);
        const float term =
            variational_term(t, LOAD(f32, x, row * elements + i), error, LOAD(f32, prediction, at + elements));
        squares = add_to(squares, j < elements ? error * error : 0.0);
        bits = add_to(bits, j < elements ? term : 0.0);
        j += gl_WorkGroupSize.x;
        turns--;
    } while (turns > 0);
    const uint at = 2 * linear_invocation();
    STORE(f32, square_sums, at, squares.x);
    STORE(f32, square_sums, at + 1, squares.y);
    STORE(f32, bit_sums, at, bits.x);
    STORE(f32, bit_sums, at + 1, bits.y);
}
