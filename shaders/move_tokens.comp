#version 450
// SPDX-License-Identifier: MIT
// Tokens x [N, A, D] -> [N, B, D] by index u32 [N, ...]: y[i] = x[index[i]] where that is kept, else 0. To take the kept
// ones out, the index is the order and i < kept counts; to put them back, it is the inverse and index[i] < kept counts.
// scalars: count, D, A, B, entries of the index an image
#include "tensor.glsl"

layout(constant_id = 2) const uint BACK = 0;

TENSOR_READ(0, f32, x)
TENSOR_READ(1, u32, index)
TENSOR_READ(2, u32, kept)
TENSOR_WRITE(3, f32, y)

void element(uint i) {
    const uint token = i / SCALAR(1), column = i - token * SCALAR(1);
    const uint image = token / SCALAR(3), place = token - image * SCALAR(3);
    const uint from = LOAD(u32, index, image * SCALAR(4) + place);
    const bool counts = (BACK != 0 ? from : place) < LOAD(u32, kept, 0) && from < SCALAR(2);
    const float value = LOAD(f32, x, (image * SCALAR(2) + (counts ? from : 0)) * SCALAR(1) + column);
    STORE(f32, y, i, counts ? value : 0.0);
}
#include "elements.glsl"
