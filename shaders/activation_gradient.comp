#version 450
// SPDX-License-Identifier: MIT
// dx = dy activation'(x)
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint KIND = 1; // activation_kind: 1 SiLU, 2 GELU (tanh form)

TENSOR_READ(0, f32, x)
TENSOR_READ(1, f32, dy)
TENSOR_WRITE(2, f32, dx)

void element(uint i) {
    float v = LOAD(f32, x, i);
#ifdef IGVK_BREAK_GRADIENT // the derivative at half the place
    v *= 0.5;
#endif
    STORE(f32, dx, i, LOAD(f32, dy, i) * (KIND == 1 ? igvk_silu_gradient(v) : igvk_gelu_tanh_gradient(v)));
}
#include "elements.glsl"
