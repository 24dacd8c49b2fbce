#version 450
// SPDX-License-Identifier: MIT
// Pairs [P, 2] of sums of squares -> [4]: norm, clip coefficient, 1 where the step may be taken, 0. One workgroup.
// `stop` is set by a norm that is not finite and stays set.
// scalars: P
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, partials)
TENSOR_WRITE(2, f32, y)
TENSOR_WRITE(3, u32, stop)
TENSOR_WRITE(4, f32, metrics)

#include "steps.glsl"

shared vec2 sums[gl_WorkGroupSize.x];

void main() {
    uint lane = gl_LocalInvocationIndex;
    vec2 sum = vec2(0.0);
    uint j = lane;
    if (j < SCALAR(0)) {
        do {
            sum = pair_add(sum, vec2(LOAD(f32, partials, 2 * j), LOAD(f32, partials, 2 * j + 1)));
            j += gl_WorkGroupSize.x;
        } while (j < SCALAR(0));
    }
    sums[lane] = sum;
    barrier();
    if (lane != 0)
        return;
    j = 1;
    do {
        sum = pair_add(sum, sums[j]);
        j++;
    } while (j < gl_WorkGroupSize.x);

    // By the exponent's bits: a compiler may think that x - x is 0. The low part of an infinite sum is a NaN.
    bool finite = (floatBitsToUint(sum.x) & 0x7F800000u) != 0x7F800000u;
    float norm = igvk_sqrt(sum.x);
    float bound = norm + 1e-6;
    float largest = STEP_F32(STEP_MAX_NORM);
    float coefficient = bound <= largest ? 1.0 : igvk_divide(largest, bound);
    bool stopped = LOAD_OWN(u32, stop, 0) != 0 || !finite;
    STORE(f32, y, 0, norm);
    STORE(f32, y, 1, coefficient);
    STORE(f32, y, 2, stopped ? 0.0 : 1.0);
    STORE(f32, y, 3, 0.0);
    STORE(u32, stop, 0, stopped ? 1 : 0);
    uint at = step_run() * METRIC_WORDS;
    STORE(f32, metrics, at + METRIC_GRADIENT_NORM, norm);
    STORE(f32, metrics, at + METRIC_FINITE, finite ? 1.0 : 0.0);
}
