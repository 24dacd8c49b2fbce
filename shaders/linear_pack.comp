#version 450
// SPDX-License-Identifier: MIT
// y [ROWS, PACKED_ROW] = x by its strides: steps side by side, rows PACKED_ROW apart; what lies between rows is not
// written. The operands of a product that register tiles would reach with long or aliasing strides are brought into
// this form first (ops/linear_product.c).
//
// variants: linear_pack=-DX_TYPE=f32; linear_pack_pairs=-DX_TYPE=f32 -DPAIRS=1; linear_pack_f16=-DX_TYPE=f16 -DSTORAGE_16BIT=1; linear_pack_bf16=-DX_TYPE=bf16 -DSTORAGE_16BIT=1
// One workgroup is one vector of lanes along steps and takes a block of BLOCK rows and steps in tiles: what a tile
// reads and writes are whole cache lines, whichever of rows and steps is contiguous in x, and a block's pages are few.
// With PAIRS a lane takes two rows or steps, which halves its accesses; all sizes and strides but 1 are even then.
#include "tensor.glsl"

layout(constant_id = 1) const int X_ROW = 1; // strides in elements
layout(constant_id = 2) const int X_STEP = 1;
layout(constant_id = 3) const int DEPTH = 1;
layout(constant_id = 4) const int PACKED_ROW = 1;
TENSOR_READ(0, X_TYPE, x)
TENSOR_WRITE(1, f32, y)
#define ROWS SCALAR(0) // ROWS and DEPTH are at least a tile

const int TILE = 16, BLOCK = 64;
const int LANES = int(gl_WorkGroupSize.x);
const bool ALONG_ROWS = X_STEP != 1; // lanes run along what is contiguous in x

#if PAIRS
const int ACROSS = 2 * LANES; // lanes' rows or steps; TILE of the others
const int TILE_ROWS = ALONG_ROWS ? ACROSS : TILE, TILE_STEPS = ALONG_ROWS ? TILE : ACROSS;

// The last tile is moved back until it fits, and stores only what the one before it does not.
void pack_tile(uint own_row, uint own_step) {
    const uint first_row = min(own_row, ROWS - TILE_ROWS), first_step = min(own_step, DEPTH - TILE_STEPS);
    const uint lane = 2 * gl_LocalInvocationIndex;
    const uint row = first_row + (ALONG_ROWS ? lane : 0), step = first_step + (ALONG_ROWS ? 0 : lane);
    POINT_PAIRS(source, x, row * X_ROW + step * X_STEP);
    POINT_PAIRS(packed, y, row * PACKED_ROW + step);
    vec2 held[TILE];
    UNROLL for (int i = 0; i < TILE; i++)
        held[i] = PAIR_AT(source, x, i * (ALONG_ROWS ? X_STEP : X_ROW) / 2);
    UNROLL for (int i = 0; i < TILE; i++) {
        // Along rows: step pair i of the lane's first row, then of its second.
        const int k = 2 * (i % (TILE / 2)), second = 2 * i / TILE;
        const vec2 pair = second != 0 ? vec2(held[k].y, held[k + 1].y) : vec2(held[k].x, held[k + 1].x);
        const uint at_row = row + (ALONG_ROWS ? second : i), at_step = step + (ALONG_ROWS ? k : 0);
        if (at_row >= own_row && at_step >= own_step)
            STORE_PAIR_AT(packed, y, ((at_row - row) * PACKED_ROW + at_step - step) / 2, ALONG_ROWS ? pair : held[i]);
    }
}
#else
const int TILE_ROWS = TILE, TILE_STEPS = TILE;

void pack_tile(uint own_row, uint own_step) {
    // The last tile is moved back until it fits, and stores only what the one before it does not.
    const uint first_row = min(own_row, ROWS - TILE), first_step = min(own_step, DEPTH - TILE);
    UNROLL for (int j = 0; j < TILE; j += LANES) {
        const uint lane = min(j + gl_LocalInvocationIndex, TILE - 1);
        const uint row = first_row + (ALONG_ROWS ? lane : 0), step = first_step + (ALONG_ROWS ? 0 : lane);
        POINT_READ(X_TYPE, source, x, row * X_ROW + step * X_STEP);
        POINT_WRITE(f32, packed, y, row * PACKED_ROW + step);
        float held[TILE];
        UNROLL for (int i = 0; i < TILE; i++)
            held[i] = AT(X_TYPE, source, x, i * (ALONG_ROWS ? X_STEP : X_ROW));
        UNROLL for (int i = 0; i < TILE; i++)
            if (row + (ALONG_ROWS ? 0 : i) >= own_row && step + (ALONG_ROWS ? i : 0) >= own_step)
                STORE_AT(f32, packed, y, i * (ALONG_ROWS ? 1 : PACKED_ROW), held[i]);
    }
}
#endif

void main() {
    const int across = BLOCK / TILE_ROWS, tiles = across * (BLOCK / TILE_STEPS);
    int tile = 0;
    NO_UNROLL do {
        pack_tile(gl_WorkGroupID.y * BLOCK + tile % across * TILE_ROWS, gl_WorkGroupID.x * BLOCK + tile / across * TILE_STEPS);
        tile++;
    } while (tile < tiles);
}
