#version 450
// SPDX-License-Identifier: MIT
// dy [M, D], gate [G, D], z [M, D] -> dz = gate dy [M, D], dgate = sums of dy z over the gate's M / G rows [G, D].
// One invocation a column of a gate's rows; four sums at once, for accuracy and for the pipeline.
// scalars: G D, D, M / G
#include "tensor.glsl"

TENSOR_READ(0, f32, dy)
TENSOR_READ(1, f32, gate)
TENSOR_READ(2, f32, z)
TENSOR_WRITE(3, f32, dz)
TENSOR_WRITE(4, f32, dgate)

float take(uint at, float scale) {
    float d = LOAD(f32, dy, at);
    float product = d * LOAD(f32, z, at);
    STORE(f32, dz, at, scale * d);
    return product;
}

void main() {
    uint i = linear_invocation();
    if (i >= SCALAR(0))
        return;
    uint width = SCALAR(1);
    uint rows = SCALAR(2);
    uint group = i / width;
    float scale = LOAD(f32, gate, i);
    uint at = group * rows * width + (i - group * width);
    vec4 sums = vec4(0.0);
    uint row = 0;
    if (rows >= 4) {
        do {
            sums.x += take(at, scale);
            sums.y += take(at + width, scale);
            sums.z += take(at + 2 * width, scale);
            sums.w += take(at + 3 * width, scale);
            at += 4 * width;
            row += 4;
        } while (row + 4 <= rows);
    }
#ifdef IGVK_BREAK_KERNEL_TAIL // the last rows left out
    row = rows;
#endif
    if (row < rows) {
        do {
            sums.x += take(at, scale);
            at += width;
            row++;
        } while (row < rows);
    }
    STORE(f32, dgate, i, (sums.x + sums.y) + (sums.z + sums.w));
}
