// SPDX-License-Identifier: MIT
// variants: layer_norm=; layer_norm_keep=-DKEEP_STATISTICS
// y = (x - mean) rstd (1 + scale) + shift per row. The variance is that of the deviations from the mean, in a second
// pass over registers: no cancellation. One workgroup a row; in place: a lane has read its columns before it writes.
#version 450
#include "include/tensor.glsl"
#include "include/row_of_lanes.glsl"
#include "include/math.glsl"
TENSOR_READ(0, f32, x)     // [N, T, D]
TENSOR_READ(1, f32, shift) // [N, D]
TENSOR_READ(2, f32, scale) // [N, D]
TENSOR_WRITE(3, f32, y)    // [N, T, D]
#ifdef KEEP_STATISTICS
TENSOR_WRITE(4, f32, mean_of) // [N, T]
TENSOR_WRITE(5, f32, rstd_of) // [N, T]
#endif
#define ROWS SCALAR(0)
#define ROWS_PER_IMAGE SCALAR(1)
#define RECIPROCAL_COLUMNS SCALAR_F32(2)
#define EPSILON SCALAR_F32(3)

void main() {
    const uint row = min(linear_group(), ROWS - 1);
    const bool live = linear_group() < ROWS; // workgroups beyond the last row store nothing
    POINT_READ(f32, own, x, row * COLUMNS);
    POINT_READ(f32, added, shift, row / ROWS_PER_IMAGE * COLUMNS);
    POINT_READ(f32, times, scale, row / ROWS_PER_IMAGE * COLUMNS);
    POINT_WRITE(f32, result, y, row * COLUMNS);
    float held[HELD];
    float sum = 0.0;
    UNROLL for (uint i = 0; i < HELD; i++) {
        held[i] = AT(f32, own, x, held_clamped(i));
        sum += held_is(i) ? held[i] : 0.0;
    }
    const float mean = sum_of_lanes(0, sum) * RECIPROCAL_COLUMNS;
    sum = 0.0;
    UNROLL for (uint i = 0; i < HELD; i++) {
        held[i] = held_is(i) ? held[i] - mean : 0.0;
        sum = fma(held[i], held[i], sum);
    }
    const float rstd = igvk_rsqrt(sum_of_lanes(1, sum) * RECIPROCAL_COLUMNS + EPSILON);
    UNROLL for (uint i = 0; i < HELD; i++)
        if (live && held_is(i))
            STORE_AT(f32, result, y, held_column(i),
                     fma(held[i] * rstd, 1.0 + AT(f32, times, scale, held_clamped(i)),
                         AT(f32, added, shift, held_clamped(i))));
#ifdef KEEP_STATISTICS
    if (live && gl_LocalInvocationIndex == 0) {
        STORE(f32, mean_of, row, mean);
        STORE(f32, rstd_of, row, rstd);
    }
#endif
}
