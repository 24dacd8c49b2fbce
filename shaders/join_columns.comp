#version 450
// SPDX-License-Identifier: MIT
// Up to eight tensors [N, D] -> y [N, parts D]. Slots beyond `parts` are bound to the first and not read.
// scalars: N D, D
#include "tensor.glsl"

layout(constant_id = 2) const uint PARTS = 2;

TENSOR_READ(0, f32, x0)
TENSOR_READ(1, f32, x1)
TENSOR_READ(2, f32, x2)
TENSOR_READ(3, f32, x3)
TENSOR_READ(4, f32, x4)
TENSOR_READ(5, f32, x5)
TENSOR_READ(6, f32, x6)
TENSOR_READ(7, f32, x7)
TENSOR_WRITE(8, f32, y)

#define PART(k) if (PARTS > k) STORE(f32, y, at + k * width, LOAD(f32, x##k, i))

void element(uint i) {
    uint width = SCALAR(1);
    uint row = i / width;
    uint at = row * PARTS * width + (i - row * width);
    PART(0);
    PART(1);
    PART(2);
    PART(3);
    PART(4);
    PART(5);
    PART(6);
    PART(7);
}
#include "elements.glsl"
