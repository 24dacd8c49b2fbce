// SPDX-License-Identifier: MIT
// LayerNorm with weight and bias, or RMSNorm with a weight, over the dimension of each head of q and of k; v is passed on. Lanes run along
// tokens, a workgroup has one head of q, k or v. A row is read three times: it is small and in the cache by then.
// In place: every element is read by the invocation that writes it, before it does.
#version 450
#include "include/tensor.glsl"
#include "include/math.glsl"
layout(constant_id = 1) const uint HEADS = 12;
layout(constant_id = 2) const uint DIMENSION = 64;
layout(constant_id = 3) const uint RMS = 0; // 1: no mean, no biases
TENSOR_READ(0, f32, qkv) // [N, T, 3 D]
TENSOR_READ(1, f32, q_weight) // [D / heads], like the next three
TENSOR_READ(2, f32, k_weight)
TENSOR_READ(3, f32, q_bias)
TENSOR_READ(4, f32, k_bias)
TENSOR_WRITE(5, f32, y)  // [N, T, 3 D]
#define TOKENS SCALAR(0) // of all images
#define RECIPROCAL_DIMENSION SCALAR_F32(1)
#define EPSILON SCALAR_F32(2)

void main() {
    const uint token = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    const uint part = gl_WorkGroupID.y / HEADS; // q, k, v
    const uint first = min(token, TOKENS - 1) * 3 * HEADS * DIMENSION + gl_WorkGroupID.y * DIMENSION;
    POINT_READ(f32, own, qkv, first);
    float held[DIMENSION];
    float sum = 0.0;
    UNROLL for (uint d = 0; d < DIMENSION; d++) {
        held[d] = AT(f32, own, qkv, d);
        sum += held[d];
    }
    const float mean = RMS != 0 ? 0.0 : sum * RECIPROCAL_DIMENSION;
    sum = 0.0;
    UNROLL for (uint d = 0; d < DIMENSION; d++)
        sum = fma(held[d] - mean, held[d] - mean, sum);
    const float rstd = igvk_rsqrt(sum * RECIPROCAL_DIMENSION + EPSILON);
    if (token < TOKENS) {
        POINT_WRITE(f32, result, y, first);
        UNROLL for (uint d = 0; d < DIMENSION; d++) {
            const float weight = part == 0 ? LOAD(f32, q_weight, d) : LOAD(f32, k_weight, d);
            const float bias = RMS != 0 ? 0.0 : part == 0 ? LOAD(f32, q_bias, d) : LOAD(f32, k_bias, d);
            STORE_AT(f32, result, y, d, part == 2 ? held[d] : fma((held[d] - mean) * rstd, weight, bias));
        }
    }
}
