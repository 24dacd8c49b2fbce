#version 450
// SPDX-License-Identifier: MIT
// x [N, parts D] -> up to eight tensors [N, D]. Slots beyond `parts` are bound to the first and left alone.
// scalars: N D, D
#include "tensor.glsl"

layout(constant_id = 2) const uint PARTS = 2;

TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, y0)
TENSOR_WRITE(2, f32, y1)
TENSOR_WRITE(3, f32, y2)
TENSOR_WRITE(4, f32, y3)
TENSOR_WRITE(5, f32, y4)
TENSOR_WRITE(6, f32, y5)
TENSOR_WRITE(7, f32, y6)
TENSOR_WRITE(8, f32, y7)

#define PART(k) if (PARTS > k) STORE(f32, y##k, i, LOAD(f32, x, at + k * width))

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
