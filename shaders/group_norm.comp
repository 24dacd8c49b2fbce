#version 450
// SPDX-License-Identifier: MIT
// y = (x - mean) rstd weight + bias, then SiLU where asked. A workgroup stays in one channel, whose numbers are the
// same for all its elements. In place: each element is read by the invocation that then writes it.
#include "tensor.glsl"
#include "math.glsl"
#include "elements.h"

layout(constant_id = 1) const uint PIXELS = 1; // of a channel
layout(constant_id = 2) const uint CHANNELS = 32;
layout(constant_id = 3) const uint GROUP_CHANNELS = 1;
layout(constant_id = 4) const bool SILU = false;
layout(constant_id = 5) const uint TURNS = 1;

TENSOR_READ(0, f32, x)          // [N, C, pixels]
TENSOR_READ(1, f32, weight)     // [C]
TENSOR_READ(2, f32, bias)       // [C]
TENSOR_READ(3, f32, statistics) // [N, groups, 2]
TENSOR_WRITE(4, f32, y)

void main() {
    const uint channel = gl_WorkGroupID.y;
    const uint group = gl_WorkGroupID.z * (CHANNELS / GROUP_CHANNELS) + channel / GROUP_CHANNELS;
    const float mean = LOAD(f32, statistics, 2 * group);
    const float times = LOAD(f32, statistics, 2 * group + 1) * LOAD(f32, weight, channel);
    const float added = LOAD(f32, bias, channel);
    const uint plane = (gl_WorkGroupID.z * CHANNELS + channel) * PIXELS;
    uint i = gl_WorkGroupID.x * (gl_WorkGroupSize.x * ELEMENTS_UNROLLED * TURNS) + gl_LocalInvocationIndex;
    uint turn = 0;
    NO_UNROLL do {
        UNROLL for (uint k = 0; k < ELEMENTS_UNROLLED; k++) {
            if (i < PIXELS) {
                float value = fma(LOAD(f32, x, plane + i) - mean, times, added);
                if (SILU)
                    value = igvk_silu(value);
                STORE(f32, y, plane + i, value);
            }
            i += gl_WorkGroupSize.x;
        }
        turn++;
    } while (turn < TURNS);
}
