#version 450
// SPDX-License-Identifier: MIT
// out[first + i] = in[first + i] + add for i < count, by a stride over all invocations: the copy peak, and tests.
#include "tensor.glsl"

// scalars: count, add
layout(constant_id = 1) const uint FIRST = 0;

TENSOR_READ(0, u32, source)
TENSOR_WRITE(1, u32, target)

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    STORE(u32, target, FIRST + i, LOAD(u32, source, FIRST + i) + SCALAR(1));
}
