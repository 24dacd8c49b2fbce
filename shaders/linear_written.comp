#version 450
// SPDX-License-Identifier: MIT
// A linear product for drivers that leave loops rolled (SwiftShader): a register tile of 8 rows and 4 vectors of
// columns, written out by the preprocessor, since a loop over an array of sums would keep them in memory. There it
// is 20 times as fast as linear.comp. Edges: loads beyond take the last row or column, stores leave them out.
//
// variants: linear_written=; linear_written_keep=-DKEEPS_Z=1
#include "tensor.glsl"
#include "linear_epilogue.glsl"

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
const int TILE_ROWS = 8;
const int LANES = int(gl_WorkGroupSize.x);

// Columns of the four vectors in this lane.
uvec4 columns_from(uint first) {
    return first + gl_LocalInvocationID.x + uvec4(0, 1, 2, 3) * LANES;
}

void store_row(uint row, uvec4 column, vec4 sum) {
    output_row r = output_row_at(row);
    if (row < ROWS && column.x < COLUMNS)
        finish(r, column.x, sum.x);
    if (row < ROWS && column.y < COLUMNS)
        finish(r, column.y, sum.y);
    if (row < ROWS && column.z < COLUMNS)
        finish(r, column.z, sum.z);
    if (row < ROWS && column.w < COLUMNS)
        finish(r, column.w, sum.w);
}

void main() {
    uint row = gl_WorkGroupID.y * TILE_ROWS;
    uvec4 column = columns_from(gl_WorkGroupID.x * 4 * LANES);
    uvec4 right = min(column, uvec4(COLUMNS - 1)) * B_COLUMN; // where the step's elements of b lie
#define START(i)                                                                                                       \
    uint left##i = min(row + i, ROWS - 1) * A_ROW;                                                                     \
    vec4 sum##i = vec4(0.0);
    EACH_ROW(START)
    uint step = 0;
    NO_UNROLL do {
        vec4 values = vec4(LOAD(f32, b, right.x), LOAD(f32, b, right.y), LOAD(f32, b, right.z), LOAD(f32, b, right.w));
#define ADD(i) sum##i = fma(vec4(LOAD(f32, a, left##i + step * A_STEP)), values, sum##i);
        EACH_ROW(ADD)
        right += B_STEP;
        step++;
    } while (step < DEPTH);
    vec4 kept[TILE_ROWS]; // indexed by the loop, so in memory; the loop's body is compiled once
#define KEEP(i) kept[i] = sum##i;
    EACH_ROW(KEEP)
    uint i = 0;
    NO_UNROLL do {
        store_row(row + i, column, kept[i]);
        i++;
    } while (i < TILE_ROWS);
}
