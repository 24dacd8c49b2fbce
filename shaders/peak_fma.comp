// SPDX-License-Identifier: MIT
// The device's multiply-add peak: independent chains in registers, no memory but one store at the end.
// 12 chains x 10 a round: on software drivers a loop costs blends per round, so few, long rounds; 12 chains cover
// the latency of a vector unit and stay within 16 registers.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "tensor.glsl"

TENSOR_WRITE(0, f32, result)

void main() {
    float chain[12];
    UNROLL for (int i = 0; i < 12; i++) chain[i] = float(gl_GlobalInvocationID.x + uint(i)) * 1e-6;
    float a = 0.999 + float(gl_LocalInvocationID.x) * 1e-9, b = 1e-3;
    uint round = 0;
    NO_UNROLL do {
        UNROLL for (int u = 0; u < 10; u++)
            UNROLL for (int i = 0; i < 12; i++) chain[i] = fma(chain[i], a, b);
        round++;
    } while (round < SCALAR(0));
    float sum = 0;
    UNROLL for (int i = 0; i < 12; i++) sum += chain[i];
    STORE(f32, result, linear_invocation(), sum);
}
