#version 450
// SPDX-License-Identifier: MIT
// Pairs [P, 2] of sums of squares of a gradient, which is of the loss times the guard's scale -> the norm's words
// (step_block.h). One workgroup. A norm that is not finite sets GUARD_STOP for good; with a scale (SCALED) that can
// still fall, it is halved and the step skipped instead (method, chapter 2).
// scalars: P
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, partials)
TENSOR_WRITE(2, f32, y)
TENSOR_WRITE(3, u32, guard)
TENSOR_WRITE(4, f32, metrics)

#include "steps.glsl"

layout(constant_id = 1) const uint SCALED = 0;

shared vec2 sums[gl_WorkGroupSize.x];

void give_biases(uint skipped) {
    uint fewer = min(skipped - STEP_U32(STEP_SKIPPED), STEP_FEWER);
    uint at = fewer == 0 ? STEP_BIAS1 : STEP_BIAS_FEWER + 2 * (fewer - 1);
    STORE(f32, y, NORM_BIAS1, STEP_F32(at));
    STORE(f32, y, NORM_BIAS2, STEP_F32(at + 1));
}

void change_scale(float scale, bool skips, uint skipped) {
    uint good = skips ? 0 : LOAD_OWN(u32, guard, GUARD_GOOD) + 1;
    float next = skips ? 0.5 * scale : scale;
    if (good == LOSS_SCALE_INTERVAL) {
        next = 2.0 * scale;
        good = 0;
    }
    STORE(u32, guard, GUARD_SCALE, floatBitsToUint(next));
    STORE(u32, guard, GUARD_GOOD, good);
    STORE(u32, guard, GUARD_SKIPPED, skipped);
}

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

    float scale = SCALED != 0 ? uintBitsToFloat(LOAD_OWN(u32, guard, GUARD_SCALE)) : 1.0;
    uint skipped = LOAD_OWN(u32, guard, GUARD_SKIPPED);
    // By the exponent's bits: a compiler may think that x - x is 0. The low part of an infinite sum is a NaN.
    bool finite = (floatBitsToUint(sum.x) & 0x7F800000u) != 0x7F800000u;
    bool skips = !finite && SCALED != 0 && scale > LOSS_SCALE_LEAST;
    bool stopped = LOAD_OWN(u32, guard, GUARD_STOP) != 0 || (!finite && !skips);
    float inverse = igvk_divide(1.0, scale); // exact, and so are products with it
    float norm = igvk_sqrt(sum.x) * inverse;
    float bound = norm + 1e-6;
    float largest = STEP_F32(STEP_MAX_NORM);
    float coefficient = (bound <= largest ? 1.0 : igvk_divide(largest, bound)) * inverse;
    STORE(f32, y, NORM_VALUE, norm);
    STORE(f32, y, NORM_COEFFICIENT, coefficient);
    STORE(f32, y, NORM_TAKEN, stopped || skips ? 0.0 : 1.0);
    STORE(f32, y, NORM_AVERAGED, stopped ? 0.0 : 1.0);
    give_biases(skipped);
    STORE(u32, guard, GUARD_STOP, stopped ? 1 : 0);
    if (SCALED != 0 && !stopped)
        change_scale(scale, skips, skipped + (skips ? 1 : 0));
    uint at = step_run() * METRIC_WORDS;
    STORE(f32, metrics, at + METRIC_GRADIENT_NORM, norm);
    STORE(f32, metrics, at + METRIC_FINITE, finite || skips ? 1.0 : 0.0);
    STORE(f32, metrics, at + METRIC_SCALE, scale);
    STORE(f32, metrics, at + METRIC_SKIPPED, float(skipped + (skips ? 1 : 0)));
}
