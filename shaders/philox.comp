#version 450
// SPDX-License-Identifier: MIT
// counters u32 [N, 4], keys u32 [N, 2] -> words u32 [N, 4]
// scalars: N
#include "tensor.glsl"
#include "philox.glsl"

TENSOR_READ(0, u32, counters)
TENSOR_READ(1, u32, keys)
TENSOR_WRITE(2, u32, words)

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    uvec4 counter = uvec4(LOAD(u32, counters, 4 * i), LOAD(u32, counters, 4 * i + 1), LOAD(u32, counters, 4 * i + 2),
                          LOAD(u32, counters, 4 * i + 3));
    uvec4 x = philox4x32(counter, uvec2(LOAD(u32, keys, 2 * i), LOAD(u32, keys, 2 * i + 1)));
    STORE(u32, words, 4 * i, x.x);
    STORE(u32, words, 4 * i + 1, x.y);
    STORE(u32, words, 4 * i + 2, x.z);
    STORE(u32, words, 4 * i + 3, x.w);
}
