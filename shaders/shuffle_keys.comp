#version 450
// SPDX-License-Identifier: MIT
// Keys [N, T] of random orders: the words of STREAM_MASK behind uniform numbers. By an image's own seed (step 0, item 0),
// or the run's seed and the image's place in the effective batch.
// scalars: N T, T, stream
#include "tensor.glsl"
#include "philox.glsl"

layout(constant_id = 1) const uint HAS_SEEDS = 1; // else the step block's seed, step and item

TENSOR_READ(0, u32, steps) // bound to the seeds where there are some
TENSOR_READ(1, u32, seeds)
TENSOR_WRITE(2, u32, keys)

#include "steps.glsl"

void main() {
    const uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    const uint n = i / SCALAR(1), element = i - n * SCALAR(1);
    uvec4 counter = uvec4(element / 4, 0, 0, SCALAR(2));
    uvec2 key;
    if (HAS_SEEDS != 0) {
        key = uvec2(LOAD(u32, seeds, 2 * n), LOAD(u32, seeds, 2 * n + 1));
    } else {
        key = uvec2(STEP_U32(STEP_SEED_LOW), STEP_U32(STEP_SEED_HIGH));
        counter.y = STEP_U32(STEP_ITEM) + n;
        counter.z = STEP_U32(STEP_INDEX);
    }
    const uvec4 x = philox4x32(counter, key);
    const uint word = element % 4;
    STORE(u32, keys, i, (word == 0 ? x.x : word == 1 ? x.y : word == 2 ? x.z : x.w) >> 8);
}
