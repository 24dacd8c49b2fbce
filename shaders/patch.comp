#version 450
// SPDX-License-Identifier: MIT
// Images [N, C, H, W] <-> tokens [N, (H/p)(W/p), C p p], patches row by row. Runs over the image's elements; a
// token's values are ordered (C, row, column) or (row, column, C).
// scalars: count, C, H, W, p
#include "tensor.glsl"

layout(constant_id = 2) const uint TO_TOKENS = 1;
layout(constant_id = 3) const uint CHANNEL_LAST = 0;

TENSOR_READ(0, f32, x)
TENSOR_WRITE(1, f32, y)

void element(uint i) {
    uint channels = SCALAR(1), height = SCALAR(2), width = SCALAR(3), patch_size = SCALAR(4);
    uint row = i / width;
    uint column = i - row * width;
    uint plane = row / height;
    row -= plane * height;
    uint n = plane / channels;
    uint channel = plane - n * channels;
    uint patch_row = row / patch_size, patch_column = column / patch_size;
    row -= patch_row * patch_size;
    column -= patch_column * patch_size;
    uint token = (n * (height / patch_size) + patch_row) * (width / patch_size) + patch_column;
    uint inside = CHANNEL_LAST != 0 ? (row * patch_size + column) * channels + channel
                                    : (channel * patch_size + row) * patch_size + column;
    uint j = token * channels * patch_size * patch_size + inside;
    if (TO_TOKENS != 0)
        STORE(f32, y, j, LOAD(f32, x, i));
    else
        STORE(f32, y, i, LOAD(f32, x, j));
}
#include "elements.glsl"
