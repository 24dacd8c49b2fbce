#version 450
// SPDX-License-Identifier: MIT
// The gradient of a table of relative position biases [R, heads]: each number sums, image by image and query by query,
// the gradients of the scores it was added to. Its last three rows are unused.
// scalars: R heads
#include "tensor.glsl"

layout(constant_id = 1) const uint TOKENS = 256;
layout(constant_id = 2) const uint HEADS = 12;
layout(constant_id = 3) const uint IMAGES = 1;
layout(constant_id = 4) const uint GRID_ROWS = 16;
layout(constant_id = 5) const uint GRID_COLUMNS = 16;
layout(constant_id = 6) const uint HAS_ORDER = 0;

TENSOR_READ(0, f32, dscores) // [N, heads, keys, queries]
TENSOR_READ(1, u32, restore) // [N, rows columns]: a patch's token; with HAS_ORDER
TENSOR_READ(2, u32, kept)    // how many are tokens; with HAS_ORDER
TENSOR_WRITE(3, f32, dtable)

const uint PATCHES = GRID_ROWS * GRID_COLUMNS;
const uint ACROSS = 2 * GRID_COLUMNS - 1;

uint token_of(uint image, uint patch_index) {
    return HAS_ORDER != 0 ? LOAD(u32, restore, image * PATCHES + patch_index) : patch_index;
}

void main() {
    const uint at = linear_invocation();
    if (at >= SCALAR(0))
        return;
    const uint row = at / HEADS, head = at % HEADS;
    const uint valid = HAS_ORDER != 0 ? min(LOAD(u32, kept, 0), TOKENS) : TOKENS;
    // Query less key.
    const int down = int(row / ACROSS) - int(GRID_ROWS - 1), right = int(row % ACROSS) - int(GRID_COLUMNS - 1);
    const bool used = row < (2 * GRID_ROWS - 1) * ACROSS;
    float sum = 0.0;
    uint i = 0;
    do {
        const uint image = i / PATCHES, query = i % PATCHES;
        const int key_row = int(query / GRID_COLUMNS) - down, key_column = int(query % GRID_COLUMNS) - right;
        const bool inside = used && key_row >= 0 && key_row < int(GRID_ROWS) && key_column >= 0 &&
                            key_column < int(GRID_COLUMNS);
        const uint q = token_of(image, query);
        const uint k = token_of(image, inside ? uint(key_row) * GRID_COLUMNS + uint(key_column) : 0);
        const bool counts = inside && q < valid && k < valid;
        const uint base = (image * HEADS + head) * TOKENS;
        const float d = LOAD(f32, dscores, counts ? (base + k) * TOKENS + q : base * TOKENS);
        sum += counts ? d : 0.0;
        i++;
    } while (i < IMAGES * PATCHES);
    STORE(f32, dtable, at, sum);
}
