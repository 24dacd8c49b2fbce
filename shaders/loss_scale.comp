#version 450
// SPDX-License-Identifier: MIT
// The guard's loss scale as a float [1].
// scalars: 1
#include "tensor.glsl"
#include "step_block.h"

TENSOR_READ(0, u32, guard)
TENSOR_WRITE(1, f32, y)

void main() {
    if (linear_invocation() == 0)
        STORE(f32, y, 0, uintBitsToFloat(LOAD(u32, guard, GUARD_SCALE)));
}
