// SPDX-License-Identifier: MIT
// variants: norm=; norm_keep=-DKEEP_RSTD -DKEEP_MEAN; norm_keep_rstd=-DKEEP_RSTD
// y = (x - mean) rstd weight (1 + scale) + shift per row; RMSNorm's mean is taken as 0. The variance is that of the
// deviations from the mean, in a second pass over registers: no cancellation. One workgroup a row; in place: a lane has
// read its columns before it writes.
#version 450
#include "include/tensor.glsl"
#include "include/row_of_lanes.glsl"
#include "include/math.glsl"
layout(constant_id = 2) const uint RMS = 0;
layout(constant_id = 3) const uint HAS_SHIFT = 1;
layout(constant_id = 4) const uint HAS_WEIGHT = 0;
TENSOR_READ(0, f32, x)      // [N, T, D]
TENSOR_READ(1, f32, scale)  // [N, D]
TENSOR_READ(2, f32, shift)  // [N, D]; not read without HAS_SHIFT
TENSOR_READ(3, f32, weight) // [D]; not read without HAS_WEIGHT
TENSOR_WRITE(4, f32, y)     // [N, T, D]
#ifdef KEEP_RSTD
TENSOR_WRITE(5, f32, rstd_of) // [N, T]
#endif
#ifdef KEEP_MEAN
TENSOR_WRITE(6, f32, mean_of) // [N, T]
#endif
#define ROWS SCALAR(0)
#define ROWS_PER_IMAGE SCALAR(1)
#define RECIPROCAL_COLUMNS SCALAR_F32(2)
#define EPSILON SCALAR_F32(3)

void main() {
    const uint row = min(linear_group(), ROWS - 1);
    const bool live = linear_group() < ROWS; // workgroups beyond the last row store nothing
    POINT_READ(f32, own, x, row * COLUMNS);
    POINT_READ(f32, times, scale, row / ROWS_PER_IMAGE * COLUMNS);
    POINT_READ(f32, added, shift, row / ROWS_PER_IMAGE * COLUMNS);
    POINT_READ(f32, weights, weight, 0);
    POINT_WRITE(f32, result, y, row * COLUMNS);
    float held[HELD];
    float sum = 0.0;
    UNROLL for (uint i = 0; i < HELD; i++) {
        held[i] = AT(f32, own, x, held_clamped(i));
        sum += held_is(i) ? held[i] : 0.0;
    }
    float mean = 0.0;
    if (RMS == 0)
        mean = sum_of_lanes(0, sum) * RECIPROCAL_COLUMNS;
    sum = 0.0;
    UNROLL for (uint i = 0; i < HELD; i++) {
        held[i] = held_is(i) ? held[i] - mean : 0.0;
        sum = fma(held[i], held[i], sum);
    }
    const float rstd = igvk_rsqrt(sum_of_lanes(1, sum) * RECIPROCAL_COLUMNS + EPSILON);
    UNROLL for (uint i = 0; i < HELD; i++) {
        float normal = held[i] * rstd;
        if (HAS_WEIGHT != 0)
            normal *= AT(f32, weights, weight, held_clamped(i));
        const float add = HAS_SHIFT != 0 ? AT(f32, added, shift, held_clamped(i)) : 0.0;
        if (live && held_is(i))
            STORE_AT(f32, result, y, held_column(i), fma(normal, 1.0 + AT(f32, times, scale, held_clamped(i)), add));
    }
    if (live && gl_LocalInvocationIndex == 0) {
#ifdef KEEP_RSTD
        STORE(f32, rstd_of, row, rstd);
#endif
#ifdef KEEP_MEAN
        STORE(f32, mean_of, row, mean);
#endif
    }
}
