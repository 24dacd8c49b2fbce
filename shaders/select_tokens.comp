#version 450
// SPDX-License-Identifier: MIT
// Tokens [N, T, D]: of `visible` where they are kept, else of `masked`; what is absent is 0.
// scalars: count, D
#include "tensor.glsl"

layout(constant_id = 2) const uint HAS_VISIBLE = 1; // else bound to the other
layout(constant_id = 3) const uint HAS_MASKED = 1;
layout(constant_id = 4) const uint ONE_MASKED = 0; // masked is one token [D]

TENSOR_READ(0, f32, visible)
TENSOR_READ(1, f32, masked)
TENSOR_READ(2, u32, restore) // [N, T]
TENSOR_READ(3, u32, kept)
TENSOR_WRITE(4, f32, y)

void element(uint i) {
    const uint token = i / SCALAR(1);
    float value = 0.0;
    if (LOAD(u32, restore, token) < LOAD(u32, kept, 0)) {
        if (HAS_VISIBLE != 0)
            value = LOAD(f32, visible, i);
    } else if (HAS_MASKED != 0)
        value = LOAD(f32, masked, ONE_MASKED != 0 ? i - token * SCALAR(1) : i);
    STORE(f32, y, i, value);
}
#include "elements.glsl"
