// SPDX-License-Identifier: MIT
// Second pass of norm_column_sums: adds the chunks of each group in order. Groups first, first + 1, ... of the sums
// go to the outputs' groups 0, 1, ...
#version 450
#include "include/tensor.glsl"
layout(constant_id = 1) const uint COLUMNS = 768;
layout(constant_id = 2) const uint CHUNKS = 4;
layout(constant_id = 3) const uint FIRST_GROUP = 0;
TENSOR_READ(0, f32, sums)           // [groups, CHUNKS, 2, COLUMNS]
TENSOR_WRITE(1, f32, dshift)        // [groups, COLUMNS]: sums of dy
TENSOR_WRITE(2, f32, dscale)        // [groups, COLUMNS]: sums of dy xhat

void main() {
    const uint group = gl_WorkGroupID.y;
    const uint column = gl_WorkGroupID.x * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    const uint clamped = min(column, COLUMNS - 1);
    float sum = 0.0, product_sum = 0.0;
    uint chunk = 0;
    NO_UNROLL do {
        POINT_READ(f32, p, sums, ((FIRST_GROUP + group) * CHUNKS + chunk) * 2 * COLUMNS);
        sum += AT(f32, p, sums, clamped);
        product_sum += AT(f32, p, sums, COLUMNS + clamped);
        chunk++;
    } while (chunk < CHUNKS);
    if (column < COLUMNS) {
        STORE(f32, dshift, group * COLUMNS + column, sum);
        STORE(f32, dscale, group * COLUMNS + column, product_sum);
    }
}
