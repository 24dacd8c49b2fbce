// SPDX-License-Identifier: MIT
// dx = rstd (g - mean(g) - xhat mean(g xhat)) over the dimension of each head of q and of k, with g = dy weight; the
// statistics are computed again, and kept for the sums over rows (norm_column_sums). v's gradient is passed on.
// Lanes as in qk_norm.comp.
#version 450
#include "include/tensor.glsl"
#include "include/math.glsl"
layout(constant_id = 1) const uint HEADS = 12;
layout(constant_id = 2) const uint DIMENSION = 64;
layout(constant_id = 3) const uint RMS = 0; // 1: the mean is 0, and so is the term mean(g)
TENSOR_READ(0, f32, qkv)      // [N, T, 3 D]
TENSOR_READ(1, f32, q_weight) // [D / heads]
TENSOR_READ(2, f32, k_weight) // [D / heads]
TENSOR_READ(3, f32, dy)       // [N, T, 3 D]
TENSOR_WRITE(4, f32, dqkv)    // [N, T, 3 D]
TENSOR_WRITE(5, f32, mean_of) // [q and k, N T heads]
TENSOR_WRITE(6, f32, rstd_of) // [q and k, N T heads]
#define TOKENS SCALAR(0) // of all images
#define RECIPROCAL_DIMENSION SCALAR_F32(1)
#define EPSILON SCALAR_F32(2)

float held[DIMENSION], g[DIMENSION];

void load_statistics(out float mean, out float rstd) {
    float sum = 0.0;
    UNROLL for (uint d = 0; d < DIMENSION; d++)
        sum += held[d];
    mean = RMS != 0 ? 0.0 : sum * RECIPROCAL_DIMENSION;
    sum = 0.0;
    UNROLL for (uint d = 0; d < DIMENSION; d++) {
        held[d] -= mean;
        sum = fma(held[d], held[d], sum);
    }
    rstd = igvk_rsqrt(sum * RECIPROCAL_DIMENSION + EPSILON);
}

void main() {
    const uint token = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    const uint part = gl_WorkGroupID.y / HEADS, head = gl_WorkGroupID.y % HEADS; // part: q, k, v
    const uint first = min(token, TOKENS - 1) * 3 * HEADS * DIMENSION + gl_WorkGroupID.y * DIMENSION;
    POINT_READ(f32, own, qkv, first);
    POINT_READ(f32, slope, dy, first);
    UNROLL for (uint d = 0; d < DIMENSION; d++) {
        held[d] = AT(f32, own, qkv, d);
        g[d] = AT(f32, slope, dy, d);
    }
    float mean, rstd, sum = 0.0, product_sum = 0.0;
    load_statistics(mean, rstd);
    UNROLL for (uint d = 0; d < DIMENSION; d++) {
        held[d] *= rstd;
        g[d] *= part == 2 ? 1.0 : part == 0 ? LOAD(f32, q_weight, d) : LOAD(f32, k_weight, d);
        sum += g[d];
        product_sum = fma(g[d], held[d], product_sum);
    }
    const float mean_g = RMS != 0 ? 0.0 : sum * RECIPROCAL_DIMENSION, mean_product = product_sum * RECIPROCAL_DIMENSION;
    if (token < TOKENS) {
        POINT_WRITE(f32, result, dqkv, first);
        UNROLL for (uint d = 0; d < DIMENSION; d++)
            STORE_AT(f32, result, dqkv, d, part == 2 ? g[d] : rstd * (g[d] - mean_g - held[d] * mean_product));
        if (part < 2) {
            STORE(f32, mean_of, (part * TOKENS + token) * HEADS + head, mean);
            STORE(f32, rstd_of, (part * TOKENS + token) * HEADS + head, rstd);
        }
    }
}
