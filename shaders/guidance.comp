#version 450
// SPDX-License-Identifier: MIT
// Internal Guidance, u = f + (w - 1) (f - i), on either half of the labels, then classifier-free guidance,
// u_null + c (u - u_null). Scales from the step block; a scale of 1 gives f or u exactly. What is absent is bound
// to the final output.
// scalars: count; elements of a sample, of those that IG acts on, of those that CFG acts on
#include "tensor.glsl"

layout(constant_id = 2) const uint HAS_INTERMEDIATE = 1;
layout(constant_id = 3) const uint HAS_NULL = 1;
layout(constant_id = 4) const uint HAS_BOUNDS = 0; // either acts on a part of the sample alone

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, final_output)
TENSOR_READ(2, f32, intermediate)
TENSOR_READ(3, f32, null_final)
TENSOR_READ(4, f32, null_intermediate)
TENSOR_WRITE(5, f32, y)

#include "steps.glsl"

float w, c;

void prepare() {
    w = STEP_F32(STEP_IG_SCALE);
    c = STEP_F32(STEP_CFG_SCALE);
}

float internal_guidance(float f, float i) {
    return w == 1.0 ? f : f + (w - 1.0) * (f - i);
}

void element(uint i) {
    const float f = LOAD(f32, final_output, i);
    const uint within = HAS_BOUNDS != 0 ? i % SCALAR(1) : 0;
    const bool internal = HAS_BOUNDS == 0 || within < SCALAR(2);
    float u = f;
    if (HAS_INTERMEDIATE != 0 && internal)
        u = internal_guidance(u, LOAD(f32, intermediate, i));
    if (HAS_NULL != 0) {
        float u_null = LOAD(f32, null_final, i);
        if (HAS_INTERMEDIATE != 0 && internal)
            u_null = internal_guidance(u_null, LOAD(f32, null_intermediate, i));
        u = c == 1.0 || (HAS_BOUNDS != 0 && within >= SCALAR(3)) ? u : u_null + c * (u - u_null);
    }
    STORE(f32, y, i, u);
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
