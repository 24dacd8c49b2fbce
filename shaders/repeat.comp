#version 450
// SPDX-License-Identifier: MIT
// x of count elements -> y, `times` copies one after the other, word by word.
// scalars: count, times
#include "tensor.glsl"

TENSOR_READ(0, u32, x)
TENSOR_WRITE(1, u32, y)

void element(uint i) {
    uint word = LOAD(u32, x, i);
    uint copies = SCALAR(1);
    uint k = 0;
    do {
        STORE(u32, y, k * SCALAR(0) + i, word);
        k++;
    } while (k < copies);
}
#include "elements.glsl"
