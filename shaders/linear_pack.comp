#version 450
// SPDX-License-Identifier: MIT
// y [ROWS, PACKED_ROW] = x by its strides: steps side by side, rows PACKED_ROW apart; what lies between rows is not
// written. The operands of a product that register tiles would reach with long or aliasing strides are brought into
// this form first (ops/linear_product.c).
//
// variants: linear_pack=-DX_TYPE=f32; linear_pack_f16=-DX_TYPE=f16 -DSTORAGE_16BIT=1; linear_pack_bf16=-DX_TYPE=bf16 -DSTORAGE_16BIT=1
// One workgroup is one vector of lanes along steps and takes a block of BLOCK rows and steps in tiles: what a tile
// reads and writes are whole cache lines, whichever of rows and steps is contiguous in x, and a block's pages are few.
#include "tensor.glsl"

layout(constant_id = 1) const int X_ROW = 1; // strides in elements
layout(constant_id = 2) const int X_STEP = 1;
layout(constant_id = 3) const int DEPTH = 1;
layout(constant_id = 4) const int PACKED_ROW = 1;
TENSOR_READ(0, X_TYPE, x)
TENSOR_WRITE(1, f32, y)
#define ROWS SCALAR(0) // ROWS and DEPTH are at least TILE

const int TILE = 16, BLOCK = 64, BLOCK_TILES = BLOCK / TILE;
const int LANES = int(gl_WorkGroupSize.x);
const bool ALONG_ROWS = X_STEP != 1; // lanes run along what is contiguous in x

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

void main() {
    int tile = 0;
    NO_UNROLL do {
        pack_tile(gl_WorkGroupID.y * BLOCK + tile % BLOCK_TILES * TILE, gl_WorkGroupID.x * BLOCK + tile / BLOCK_TILES * TILE);
        tile++;
    } while (tile < BLOCK_TILES * BLOCK_TILES);
}
