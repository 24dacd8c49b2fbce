#version 450
// SPDX-License-Identifier: MIT
// ring [R, ...] -> its block run % R, word by word.
// scalars: count of a block, R
#include "tensor.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, u32, ring)
TENSOR_WRITE(2, u32, y)

uint block;

void prepare() {
    block = (LOAD(u32, steps, 0) % SCALAR(1)) * SCALAR(0);
}

void element(uint i) {
    STORE(u32, y, i, LOAD(u32, ring, block + i));
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
