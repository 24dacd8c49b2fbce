#version 450
// SPDX-License-Identifier: MIT
// Neighbouring pairs of each head of q and of k turn by the token's angles; v is passed on. An element is a pair; in
// place: each is read by the invocation that writes it.
#include "tensor.glsl"

layout(constant_id = 2) const uint TOKENS = 256; // of an image
layout(constant_id = 3) const uint WIDTH = 1152; // D
layout(constant_id = 4) const uint DIMENSION = 72; // of a head
layout(constant_id = 5) const uint BACKWARDS = 0;

TENSOR_READ(0, f32, qkv)     // [N, T, 3 D]
TENSOR_READ(1, f32, cosines) // [T, D / heads]
TENSOR_READ(2, f32, sines)   // [T, D / heads]
TENSOR_WRITE(3, f32, y)      // [N, T, 3 D]

void element(uint pair) {
    const uint i = 2 * pair, column = i % (3 * WIDTH);
    const float a = LOAD(f32, qkv, i), b = LOAD(f32, qkv, i + 1);
    const uint angle = i / (3 * WIDTH) % TOKENS * DIMENSION + column % WIDTH % DIMENSION;
    const bool turns = column < 2 * WIDTH;
    const float c = turns ? LOAD(f32, cosines, angle) : 1.0;
    float s = turns ? LOAD(f32, sines, angle) : 0.0;
    if (BACKWARDS != 0)
        s = -s;
    STORE(f32, y, i, fma(a, c, -(b * s)));
    STORE(f32, y, i + 1, fma(b, c, a * s));
}
#include "elements.glsl"
