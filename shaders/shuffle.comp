#version 450
// SPDX-License-Identifier: MIT
// Keys [N, T] -> the order that sorts them (of equal ones the first comes first), and each token's place in it.
// scalars: N T, T
#include "tensor.glsl"

TENSOR_READ(0, u32, keys)
TENSOR_WRITE(1, u32, order)
TENSOR_WRITE(2, u32, restore)

void main() {
    const uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    const uint tokens = SCALAR(1), first = i / tokens * tokens, own = LOAD(u32, keys, i);
    uint place = 0, j = 0;
    do {
        const uint key = LOAD(u32, keys, first + j);
        place += key < own || (key == own && first + j < i) ? 1 : 0;
        j++;
    } while (j < tokens);
    STORE(u32, restore, i, place);
    STORE(u32, order, first + place, i - first);
}
