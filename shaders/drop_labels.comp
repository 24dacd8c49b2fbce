#version 450
// SPDX-License-Identifier: MIT
// labels [N] -> the null class where the sample's number is below the threshold. The number is compared as an
// integer (word >> 8), so that it falls as on the host.
// scalars: N, stream, threshold, null class
#include "tensor.glsl"
#include "philox.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, u32, labels)
TENSOR_WRITE(2, u32, y)

#include "steps.glsl"

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    uvec4 counter = uvec4(0, STEP_U32(STEP_ITEM) + i, STEP_U32(STEP_INDEX), SCALAR(1));
    uvec4 x = philox4x32(counter, uvec2(STEP_U32(STEP_SEED_LOW), STEP_U32(STEP_SEED_HIGH)));
    STORE(u32, y, i, (x.x >> 8) < SCALAR(2) ? SCALAR(3) : LOAD(u32, labels, i));
}
