#version 450
// SPDX-License-Identifier: MIT
// Increments the run counter.
#include "tensor.glsl"

TENSOR_WRITE(0, u32, steps)

void main() {
    if (linear_invocation() == 0)
        STORE(u32, steps, 0, LOAD_OWN(u32, steps, 0) + 1);
}
