#version 450
// SPDX-License-Identifier: MIT
// Training times [N]: uniform, or the log-normal rule: sigma = e^z, t = sigma / (1 + sigma) on the linear path,
// (2 / pi) atan(sigma) on the cosine path; z drawn for the sample's place in the effective batch, or given. Or one of the
// steps 0 .. 999 of a noising process.
// variants: sample_times=-DDRAWN=1; times_of_normals=-DDRAWN=0
// scalars: N, stream
#include "tensor.glsl"
#include "philox.glsl"

layout(constant_id = 1) const uint WEIGHTING = 1; // 0 uniform, 1 log-normal, 2 discrete
layout(constant_id = 2) const uint COSINE = 0;

#if DRAWN
TENSOR_READ(0, u32, steps)
#include "steps.glsl"
#else
TENSOR_READ(0, f32, normals)
#endif
TENSOR_WRITE(1, f32, t)

float time_of_normal(float z) {
    if (COSINE != 0) {
        precise float angle = igvk_atan(igvk_exp(z)) * 0.63661975;
        return angle;
    }
    return igvk_sigmoid(z);
}

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
#if DRAWN
    uvec4 counter = uvec4(0, STEP_U32(STEP_ITEM) + i, STEP_U32(STEP_INDEX), SCALAR(1));
    uvec4 x = philox4x32(counter, uvec2(STEP_U32(STEP_SEED_LOW), STEP_U32(STEP_SEED_HIGH)));
    float time = WEIGHTING == 1 ? time_of_normal(normals_of(x.x, x.y).x) : uniform_of(x.x);
    if (WEIGHTING == 2)
        time = float((x.x >> 12) * 1000u >> 20);
#else
    float time = time_of_normal(LOAD(f32, normals, i));
#endif
    STORE(f32, t, i, time);
}
