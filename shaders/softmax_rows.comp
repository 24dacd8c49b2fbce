#version 450
// SPDX-License-Identifier: MIT
// Rows of scores, in place: x := exp(scale (x - largest)) / their sum. One workgroup a row; a lane has columns of its
// own. Rows may be long, so they are read again rather than held.
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 1) const uint COLUMNS = 1;
const uint TURNS = (COLUMNS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;

TENSOR_WRITE(0, f32, scores) // [rows, COLUMNS]
#define ROWS SCALAR(0)
#define SCALE SCALAR_F32(1)

shared float lane_values[2][gl_WorkGroupSize.x];

void main() {
    const uint lane = gl_LocalInvocationIndex;
    const bool live = linear_group() < ROWS; // workgroups beyond the last row store nothing
    POINT_WRITE(f32, row, scores, min(linear_group(), ROWS - 1) * COLUMNS);
    float largest = AT(f32, row, scores, min(lane, COLUMNS - 1));
    uint turn = 0;
    NO_UNROLL do {
        largest = max(largest, AT(f32, row, scores, min(turn * gl_WorkGroupSize.x + lane, COLUMNS - 1)));
        turn++;
    } while (turn < TURNS);
    lane_values[0][lane] = largest;
    barrier();
    UNROLL for (uint k = 0; k < gl_WorkGroupSize.x; k++)
        largest = max(largest, lane_values[0][k]);
    float sum = 0.0;
    turn = 0;
    NO_UNROLL do {
        const uint column = turn * gl_WorkGroupSize.x + lane;
        const float value = igvk_exp(SCALE * (AT(f32, row, scores, min(column, COLUMNS - 1)) - largest));
        sum += column < COLUMNS ? value : 0.0;
        turn++;
    } while (turn < TURNS);
    lane_values[1][lane] = sum;
    barrier();
    sum = 0.0;
    UNROLL for (uint k = 0; k < gl_WorkGroupSize.x; k++)
        sum += lane_values[1][k];
    const float times = igvk_reciprocal(sum);
    turn = 0;
    NO_UNROLL do {
        const uint column = turn * gl_WorkGroupSize.x + lane;
        const float value = igvk_exp(SCALE * (AT(f32, row, scores, min(column, COLUMNS - 1)) - largest)) * times;
        if (live && column < COLUMNS)
            STORE_AT(f32, row, scores, column, value);
        turn++;
    } while (turn < TURNS);
}
