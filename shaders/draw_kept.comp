#version 450
// SPDX-License-Identifier: MIT
// How many of T tokens a step keeps: T (1 - ratio - spread u), rounded down, from 1 to `most`; u is the step's own
// number, or 1/2 without a step block.
// scalars: T, stream, ratio, spread, most
#include "tensor.glsl"
#include "philox.glsl"

layout(constant_id = 1) const uint HAS_STEPS = 1;

TENSOR_READ(0, u32, steps)
TENSOR_WRITE(1, u32, kept)

#include "steps.glsl"

void main() {
    if (linear_invocation() != 0)
        return;
    float u = 0.5;
    if (HAS_STEPS != 0)
        u = uniform_of(philox4x32(uvec4(0, 0xFFFFFFFFu, STEP_U32(STEP_INDEX), SCALAR(1)),
                                  uvec2(STEP_U32(STEP_SEED_LOW), STEP_U32(STEP_SEED_HIGH))).x);
    precise float share = 1.0 - (SCALAR_F32(2) + SCALAR_F32(3) * u);
    STORE(u32, kept, 0, clamp(uint(max(float(SCALAR(0)) * share, 0.0)), 1u, SCALAR(4)));
}
