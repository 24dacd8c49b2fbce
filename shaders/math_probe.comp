#version 450
// SPDX-License-Identifier: MIT
// y = one function of math.glsl, for tests/ops/test_math.c and timing.
// variants: math_probe=; math_probe_same_bits=-DIGVK_SAME_BITS
// scalars: count
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint FUNCTION = 0;

TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, y)

float evaluate(float v) {
    float sine, cosine;
    switch (FUNCTION) {
    case 0: return igvk_exp(v);
    case 1: return igvk_exp2(v);
    case 2: return igvk_log(v);
    case 3: return igvk_sin(v);
    case 4: return igvk_cos(v);
    case 5: igvk_sincos_turns(v, sine, cosine); return sine;
    case 6: igvk_sincos_turns(v, sine, cosine); return cosine;
    case 7: return igvk_tanh(v);
    case 8: return igvk_atan(v);
    case 9: return igvk_reciprocal(v);
    case 10: return igvk_divide(3.7, v);
    case 11: return igvk_sqrt(v);
    case 12: return igvk_rsqrt(v);
    case 13: return igvk_sigmoid(v);
    case 14: return igvk_silu(v);
    case 15: return igvk_silu_gradient(v);
    case 16: return igvk_gelu_tanh(v);
    case 17: return igvk_gelu_tanh_gradient(v);
    }
    return v;
}

void element(uint i) {
    STORE(f32, y, i, evaluate(LOAD(f32, x, i)));
}
#include "elements.glsl"
