#version 450
// SPDX-License-Identifier: MIT
// Normals [N, E] of the streams of core/philox.h; one invocation makes four. An image's own seed, or the run's
// seed and the image's place in the effective batch. A tensor that is absent is bound to the other.
// scalars: N ceil(E / 4), ceil(E / 4), E, stream
#include "tensor.glsl"
#include "philox.glsl"

layout(constant_id = 1) const uint HAS_STEPS = 1; // else step 0
layout(constant_id = 2) const uint HAS_SEEDS = 1; // else the step block's seed and item

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, u32, seeds)
TENSOR_WRITE(2, f32, y)

#include "steps.glsl"

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    uint n = i / SCALAR(1);
    uint quad = i - n * SCALAR(1);
    uvec2 key;
    uint item = 0, step = 0;
    if (HAS_STEPS != 0)
        step = STEP_U32(STEP_INDEX);
    if (HAS_SEEDS != 0) {
        key = uvec2(LOAD(u32, seeds, 2 * n), LOAD(u32, seeds, 2 * n + 1));
    } else {
        key = uvec2(STEP_U32(STEP_SEED_LOW), STEP_U32(STEP_SEED_HIGH));
#ifndef IGVK_BREAK_RANDOM_COUNTER
        item = STEP_U32(STEP_ITEM) + n;
#endif
    }
#ifdef IGVK_BREAK_RANDOM_COUNTER // every image of a batch draws the same
    item = 0;
#endif
    uvec4 x = philox4x32(uvec4(quad, item, step, SCALAR(3)), key);
    vec2 first = normals_of(x.x, x.y);
    vec2 second = normals_of(x.z, x.w);
    uint elements = SCALAR(2);
    uint element = 4 * quad;
    uint at = n * elements + element;
    STORE(f32, y, at, first.x);
    if (element + 1 < elements)
        STORE(f32, y, at + 1, first.y);
    if (element + 2 < elements)
        STORE(f32, y, at + 2, second.x);
    if (element + 3 < elements)
        STORE(f32, y, at + 3, second.y);
}
