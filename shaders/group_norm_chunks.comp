#version 450
// SPDX-License-Identifier: MIT
// Mean and sum of squared deviations from it of each chunk of a group, one workgroup a chunk, in two passes over it.
#include "tensor.glsl"
#include "math.glsl"
#include "row_of_lanes.glsl" // its COLUMNS are the chunk's numbers

layout(constant_id = 2) const uint ELEMENTS = 1; // of a group
layout(constant_id = 3) const uint CHUNKS = 1;   // of a group; the last may be short

TENSOR_READ(0, f32, x)       // [groups, ELEMENTS]
TENSOR_WRITE(1, f32, chunks) // [groups, CHUNKS, 2]
#define ALL_CHUNKS SCALAR(0)

const uint UNROLLED = 4;

// The sum over this lane's numbers of (x - from), squared or not; beyond `count` nothing.
float lane_sum(uint start, uint count, float from, bool squared) {
    POINT_READ(f32, own, x, start);
    float sums[UNROLLED];
    UNROLL for (uint k = 0; k < UNROLLED; k++)
        sums[k] = 0.0;
    uint i = gl_LocalInvocationIndex;
    uint turn = 0;
    NO_UNROLL do {
        UNROLL for (uint k = 0; k < UNROLLED; k++) {
            float value = AT(f32, own, x, min(i, count - 1)) - from;
            sums[k] += i < count ? (squared ? value * value : value) : 0.0;
            i += gl_WorkGroupSize.x;
        }
        turn++;
    } while (turn * (UNROLLED * gl_WorkGroupSize.x) < count);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void main() {
    const uint chunk = min(linear_group(), ALL_CHUNKS - 1);
    const bool live = linear_group() < ALL_CHUNKS;
    const uint first = chunk % CHUNKS * COLUMNS;
    const uint count = min(COLUMNS, ELEMENTS - first);
    const uint start = chunk / CHUNKS * ELEMENTS + first;
    const float mean = igvk_divide(sum_of_lanes(0, lane_sum(start, count, 0.0, false)), float(count));
    const float squares = sum_of_lanes(1, lane_sum(start, count, mean, true));
    if (live && gl_LocalInvocationIndex == 0) {
        STORE(f32, chunks, 2 * chunk, mean);
        STORE(f32, chunks, 2 * chunk + 1, squares);
    }
}
