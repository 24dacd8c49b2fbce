#version 450
// SPDX-License-Identifier: MIT
// y [COLUMNS, ROWS] = x [ROWS, COLUMNS] transposed.
#include "tensor.glsl"

layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const uint COLUMNS = 1;

TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, y)

void element(uint i) { STORE(f32, y, i, LOAD(f32, x, i % ROWS * COLUMNS + i / ROWS)); }
#include "elements.glsl"
