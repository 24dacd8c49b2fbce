#version 450
// SPDX-License-Identifier: MIT
// Sums of squares, of a tensor or of a difference, as pairs (high, low). A row of E elements is cut into blocks of
// one workgroup, `turns` elements an invocation, of which neighbours take neighbours; every invocation gives one sum.
// What is squared is rounded once; the sum is exact to about 2^-40.
// variants: squares=-DDIFFERENCE=0; squares_of_pairs=-DDIFFERENCE=0 -DPAIRS=1; squared_error=-DDIFFERENCE=1
// With PAIRS an element is a pair of the tensor's, one access.
// scalars: blocks in all, blocks of a row, E, turns (a multiple of four)
#include "tensor.glsl"
#include "math.glsl"

#if DIFFERENCE
TENSOR_READ(0, f32, prediction)
TENSOR_READ(1, f32, target)
TENSOR_WRITE(2, f32, sums)
#define VALUE(i) (LOAD(f32, prediction, i) - LOAD(f32, target, i))
#else
TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, sums)
#define VALUE(i) LOAD(f32, x, i)
#endif

#define UNROLLED 4

void add_square(inout vec2 sum, float v, bool counts) {
    precise float square = counts ? v * v : 0.0;
    vec2 s = two_sum(sum.x, square);
    precise float low = sum.y + s.y;
    sum = vec2(s.x, low);
}

void main() {
    uint group = linear_group();
    if (group >= SCALAR(0))
        return;
    uint blocks = SCALAR(1), elements = SCALAR(2), turns = SCALAR(3);
    uint row = group / blocks;
    uint first = row * elements;
    uint j = (group - row * blocks) * gl_WorkGroupSize.x * turns + gl_LocalInvocationIndex;
    vec2 sum[UNROLLED]; // of their own: each addition waits for the one before it
    UNROLL for (uint k = 0; k < UNROLLED; k++)
        sum[k] = vec2(0.0);
    do { // as often in every invocation: SwiftShader loses the last turn of those that leave a do-while early
        UNROLL for (uint k = 0; k < UNROLLED; k++) {
#if PAIRS
            vec2 v = LOAD_PAIR(x, first + min(j, elements - 1));
            add_square(sum[k], v.x, j < elements);
            add_square(sum[k], v.y, j < elements);
#else
            add_square(sum[k], VALUE(first + min(j, elements - 1)), j < elements);
#endif
            j += gl_WorkGroupSize.x;
        }
        turns -= UNROLLED;
    } while (turns > 0);
    uint i = linear_invocation();
    vec2 total = pair_add(pair_add(sum[0], sum[1]), pair_add(sum[2], sum[3]));
    STORE(f32, sums, 2 * i, total.x);
    STORE(f32, sums, 2 * i + 1, total.y);
}
