// SPDX-License-Identifier: MIT
// dx = rstd (g - mean(g) - xhat mean(g xhat)) + addend per row, with g = dy weight (1 + scale), xhat = (x - mean) rstd;
// RMSNorm's mean is 0, and so is the term mean(g). One workgroup a row. Each element of the addend is read by the
// invocation that then writes dx there.
#version 450
#include "include/tensor.glsl"
#include "include/row_of_lanes.glsl"
layout(constant_id = 2) const uint ADD = 0; // 0: the addend is not read
layout(constant_id = 3) const uint RMS = 0; // 1: mean_of is not read
layout(constant_id = 4) const uint HAS_WEIGHT = 0;
TENSOR_READ(0, f32, x)       // [N, T, D]
TENSOR_READ(1, f32, scale)   // [N, D]
TENSOR_READ(2, f32, weight)  // [D]
TENSOR_READ(3, f32, rstd_of) // [N, T]
TENSOR_READ(4, f32, mean_of) // [N, T]
TENSOR_READ(5, f32, dy)      // [N, T, D]
TENSOR_READ(6, f32, addend)  // [N, T, D]
TENSOR_WRITE(7, f32, dx)     // [N, T, D]
#define ROWS SCALAR(0)
#define ROWS_PER_IMAGE SCALAR(1)
#define RECIPROCAL_COLUMNS SCALAR_F32(2)

void main() {
    const uint row = min(linear_group(), ROWS - 1);
    POINT_READ(f32, own, x, row * COLUMNS);
    POINT_READ(f32, times, scale, row / ROWS_PER_IMAGE * COLUMNS);
    POINT_READ(f32, weights, weight, 0);
    POINT_READ(f32, slope, dy, row * COLUMNS);
    POINT_READ(f32, more, addend, row * COLUMNS);
    POINT_WRITE(f32, result, dx, row * COLUMNS);
    const float mean = RMS != 0 ? 0.0 : LOAD(f32, mean_of, row);
    const float rstd = LOAD(f32, rstd_of, row);
    float normal[HELD], g[HELD];
    float sum = 0.0, product_sum = 0.0;
    UNROLL for (uint i = 0; i < HELD; i++) {
        const uint column = held_clamped(i);
        normal[i] = (AT(f32, own, x, column) - mean) * rstd;
        g[i] = AT(f32, slope, dy, column) * (1.0 + AT(f32, times, scale, column));
        if (HAS_WEIGHT != 0)
            g[i] *= AT(f32, weights, weight, column);
        g[i] = held_is(i) ? g[i] : 0.0;
        sum += g[i];
        product_sum = fma(g[i], normal[i], product_sum);
    }
    float mean_g = 0.0;
    if (RMS == 0)
        mean_g = sum_of_lanes(0, sum) * RECIPROCAL_COLUMNS;
    const float mean_product = sum_of_lanes(1, product_sum) * RECIPROCAL_COLUMNS;
    const bool live = linear_group() < ROWS;
    UNROLL for (uint i = 0; i < HELD; i++) {
        float value = rstd * (g[i] - mean_g - normal[i] * mean_product);
        if (ADD != 0)
            value += AT(f32, more, addend, held_clamped(i));
        if (live && held_is(i))
            STORE_AT(f32, result, dx, held_column(i), value);
    }
}
