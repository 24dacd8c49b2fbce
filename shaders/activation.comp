#version 450
// SPDX-License-Identifier: MIT
// y = silu(x) or gelu(x)
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint KIND = 1; // activation_kind: 1 SiLU, 2 GELU (tanh form)

TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, y)

void element(uint i) {
    float v = LOAD(f32, x, i);
    STORE(f32, y, i, KIND == 1 ? igvk_silu(v) : igvk_gelu_tanh(v));
}
#include "elements.glsl"
