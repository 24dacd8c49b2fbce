#version 450
// SPDX-License-Identifier: MIT
// Mean and 1 / sqrt(variance + epsilon) of each group from those of its chunks, in order; one invocation a group.
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 1) const uint CHUNK = 1;
layout(constant_id = 2) const uint ELEMENTS = 1; // of a group
layout(constant_id = 3) const uint CHUNKS = 1;   // of a group; the last may be short

TENSOR_READ(0, f32, chunks)      // [groups, CHUNKS, 2]
TENSOR_WRITE(1, f32, statistics) // [groups, 2]
#define GROUPS SCALAR(0)
#define RECIPROCAL_ELEMENTS SCALAR_F32(1)
#define EPSILON SCALAR_F32(2)

float numbers(uint chunk) { return float(min(CHUNK, ELEMENTS - chunk * CHUNK)); }

void main() {
    const uint group = min(linear_invocation(), GROUPS - 1);
    POINT_READ(f32, own, chunks, group * CHUNKS * 2);
    float sum = 0.0;
    uint chunk = 0;
    NO_UNROLL do {
        sum = fma(numbers(chunk), AT(f32, own, chunks, 2 * chunk), sum);
        chunk++;
    } while (chunk < CHUNKS);
    const float mean = sum * RECIPROCAL_ELEMENTS;
    float squares = 0.0;
    chunk = 0;
    NO_UNROLL do {
        const float away = AT(f32, own, chunks, 2 * chunk) - mean;
        squares += fma(numbers(chunk) * away, away, AT(f32, own, chunks, 2 * chunk + 1));
        chunk++;
    } while (chunk < CHUNKS);
    if (linear_invocation() < GROUPS) {
        STORE(f32, statistics, 2 * group, mean);
        STORE(f32, statistics, 2 * group + 1, igvk_rsqrt(squares * RECIPROCAL_ELEMENTS + EPSILON));
    }
}
