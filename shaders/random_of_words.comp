#version 450
// SPDX-License-Identifier: MIT
// words u32 [N, 4] -> uniforms [N, 4], normals [N, 4]
// scalars: N
#include "tensor.glsl"
#include "philox.glsl"

TENSOR_READ(0, u32, words)
TENSOR_WRITE(1, f32, uniforms)
TENSOR_WRITE(2, f32, normals)

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    UNROLL for (uint pair = 0; pair < 4; pair += 2) {
        uint at = 4 * i + pair;
        uint word0 = LOAD(u32, words, at);
        uint word1 = LOAD(u32, words, at + 1);
        vec2 n = normals_of(word0, word1);
        STORE(f32, uniforms, at, uniform_of(word0));
        STORE(f32, uniforms, at + 1, uniform_of(word1));
        STORE(f32, normals, at, n.x);
        STORE(f32, normals, at + 1, n.y);
    }
}
