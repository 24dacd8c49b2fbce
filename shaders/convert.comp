#version 450
// SPDX-License-Identifier: MIT
// y = x in another storage type.
//
// variants: convert_f32_f16=-DA_TYPE=f32 -DB_TYPE=f16; convert_f32_bf16=-DA_TYPE=f32 -DB_TYPE=bf16; convert_f16_f32=-DA_TYPE=f16 -DB_TYPE=f32; convert_bf16_f32=-DA_TYPE=bf16 -DB_TYPE=f32; convert_f16_bf16=-DA_TYPE=f16 -DB_TYPE=bf16; convert_bf16_f16=-DA_TYPE=bf16 -DB_TYPE=f16
// scalars: count
#define STORAGE_16BIT 1
#include "tensor.glsl"

TENSOR_READ(0, A_TYPE, x)
TENSOR_WRITE(1, B_TYPE, y)

void element(uint i) { STORE(B_TYPE, y, i, LOAD(A_TYPE, x, i)); }
#include "elements.glsl"
