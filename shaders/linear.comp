#version 450
// SPDX-License-Identifier: MIT
// A linear product for software drivers: a register tile, no shared memory. One workgroup is one vector of lanes and
// computes TILE_ROWS rows of TILE_VECTORS x LANES columns; lanes run along columns, every invocation holds its
// columns' sums. For each STEPS steps the columns of b are loaded once, per lane, and reused by all rows; an element
// of a is the same for all lanes, a scalar load and a broadcast, with its offset folded into the address.
//
// variants: linear=; linear_keep=-DKEEPS_Z=1; linear_broadcast=-DSUBGROUP_BROADCAST=1; linear_broadcast_keep=-DSUBGROUP_BROADCAST=1 -DKEEPS_Z=1
// operands: f32_f16 f32_bf16 f16_f16 bf16_bf16
// `linear` makes a vector of b from a masked broadcast a lane: Mesa 26's llvmpipe, by address. `linear_broadcast`
// gathers b, loads a per lane too (lane = row) and hands its rows out with subgroupBroadcast: for Mesa before 26 and
// for descriptors, where a uniform load costs as much as a gather.
//
// Rules this file keeps: loops are bottom-tested (docs/conventions.md); an unrolled loop's bounds depend on no other
// loop's counter (Mesa would leave it rolled and the sums in memory: 60 times slower); arrays are indexed by
// constants wherever speed matters; about 2000 fma are unrolled in a step, what the instruction cache holds.
#if SUBGROUP_BROADCAST
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "tensor.glsl"
#include "linear_epilogue.glsl"

layout(constant_id = 11) const int TILE_ROWS = 8;    // at most ROWS
layout(constant_id = 12) const int TILE_VECTORS = 1; // 1 where COLUMNS < LANES, else TILE_VECTORS LANES <= COLUMNS
layout(constant_id = 13) const int STEPS = 8;
layout(constant_id = 14) const int REGISTER_ROWS = 8; // rows worked on at a time; their sums stay in registers
const int LANES = int(gl_WorkGroupSize.x);
const int TILE_COLUMNS = TILE_VECTORS * LANES;
const int ROW_VECTORS = (TILE_ROWS + LANES - 1) / LANES;

uint lane;
uint first_row, first_column; // of the tile
float sum[TILE_ROWS * TILE_VECTORS];

// Loads of `count` steps from `step` on. Where COLUMNS < LANES, lanes beyond take the last column.
float right[STEPS * TILE_VECTORS];
#if SUBGROUP_BROADCAST
float left[STEPS * ROW_VECTORS];
#define LEFT(row, s) subgroupBroadcast(left[(s) * ROW_VECTORS + (row) / LANES], (row) % LANES)

void load_left(uint step, const int count) {
    UNROLL for (int i = 0; i < ROW_VECTORS; i++) {
        uint row = first_row + min(i * LANES + lane, TILE_ROWS - 1);
        POINT_READ(A_TYPE, source, a, row * A_ROW + step * A_STEP);
        UNROLL for (int s = 0; s < count; s++)
            left[s * ROW_VECTORS + i] = AT(A_TYPE, source, a, s * A_STEP);
    }
}

void load_right(uint step, const int count) {
    POINT_READ(B_TYPE, source, b, min(first_column + lane, COLUMNS - 1) * B_COLUMN + step * B_STEP);
    UNROLL for (int j = 0; j < TILE_VECTORS; j++)
    UNROLL for (int s = 0; s < count; s++)
        right[s * TILE_VECTORS + j] = AT(B_TYPE, source, b, j * LANES * B_COLUMN + s * B_STEP);
}
#else
#define LEFT(row, s) AT(A_TYPE, source_a, a, (row) * A_ROW + (s) * A_STEP)

void load_right(uint step, const int count) {
    POINT_READ(B_TYPE, source, b, first_column * B_COLUMN + step * B_STEP);
    UNROLL for (int j = 0; j < TILE_VECTORS; j++)
    UNROLL for (int s = 0; s < count; s++) {
        STORED(B_TYPE) value = AT_STORED(B_TYPE, source, b, min(j * LANES, COLUMNS - 1) * B_COLUMN + s * B_STEP);
        UNROLL for (int l = 1; l < LANES; l++) {
            STORED(B_TYPE) other = AT_STORED(B_TYPE, source, b, min(j * LANES + l, COLUMNS - 1) * B_COLUMN + s * B_STEP);
            value = lane == l ? other : value;
        }
        right[s * TILE_VECTORS + j] = VALUE_OF(B_TYPE, value);
    }
}
#endif

// Adds `count` steps, at most STEPS, from `step` on.
void accumulate(uint step, const int count) {
    load_right(step, count);
#if SUBGROUP_BROADCAST
    load_left(step, count);
#else
    POINT_READ(A_TYPE, source_a, a, first_row * A_ROW + step * A_STEP);
#endif
    UNROLL for (int block = 0; block < TILE_ROWS; block += REGISTER_ROWS)
    UNROLL for (int s = 0; s < count; s++)
    UNROLL for (int i = 0; i < REGISTER_ROWS; i++)
        if (block + i < TILE_ROWS) {
            float value = LEFT(block + i, s);
            UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
                int at = (block + i) * TILE_VECTORS + j;
                sum[at] = fma(value, right[s * TILE_VECTORS + j], sum[at]);
            }
        }
}

// Stores the rows and columns from `own_row`, `own_column` on. A loop over blocks of rows, its body compiled once:
// the activation unrolled over all rows takes the driver a second to compile and is 4 % faster.
void store(uint own_row, uint own_column) {
    float kept[TILE_ROWS * TILE_VECTORS]; // indexed by the loop, so in memory; `sum` stays in registers
    UNROLL for (int i = 0; i < TILE_ROWS * TILE_VECTORS; i++)
        kept[i] = sum[i];
    float biases[TILE_VECTORS]; // a gather each: once, not in every row
    UNROLL for (int j = 0; j < TILE_VECTORS; j++)
        biases[j] = bias_of(min(first_column + j * LANES + lane, COLUMNS - 1));
    output_row r = output_row_at(first_row);
    int block = 0;
    NO_UNROLL do {
        UNROLL for (int i = 0; i < REGISTER_ROWS; i++) {
            bool owned = block + i < TILE_ROWS && first_row + block + i >= own_row;
            UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
                uint column = first_column + j * LANES + lane;
                if (owned && column >= own_column && column < COLUMNS)
                    finish_biased(r, column, kept[(block + i) * TILE_VECTORS + j] + biases[j]);
            }
            r = output_row_below(r);
        }
        block += REGISTER_ROWS;
    } while (block < TILE_ROWS);
}

void main() {
#if SUBGROUP_BROADCAST
    lane = gl_SubgroupInvocationID;
#else
    lane = gl_LocalInvocationID.x;
#endif
    // The last tile is moved back until it fits, over the one before it, and stores only what that one does not.
    uint own_row = gl_WorkGroupID.y * TILE_ROWS;
    uint own_column = gl_WorkGroupID.x * TILE_COLUMNS;
    first_row = min(own_row, ROWS - TILE_ROWS);
    first_column = min(own_column, max(COLUMNS - TILE_COLUMNS, 0));
    UNROLL for (int i = 0; i < TILE_ROWS * TILE_VECTORS; i++)
        sum[i] = 0.0;
    uint step = 0;
    if (DEPTH >= STEPS) {
        NO_UNROLL do {
            accumulate(step, STEPS);
            step += STEPS;
        } while (step + STEPS <= DEPTH);
    }
    if (DEPTH % STEPS != 0)
        accumulate(step, DEPTH % STEPS);
    store(own_row, own_column);
}
