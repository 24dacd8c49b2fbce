#version 450
// SPDX-License-Identifier: MIT
// A linear product for GPUs: a 64 x 64 tile of y a workgroup of 128, operands through shared memory 16 steps at a
// time, 8 x 4 sums an invocation. The next 16 steps are fetched into registers while these are multiplied. Fits
// Vulkan's least guarantees: 128 invocations, 16 KiB of shared memory.
//
// variants: linear_tile=; linear_tile_keep=-DKEEPS_Z=1
// operands: f32_f16 f32_bf16 f16_f16 bf16_bf16
#include "tensor.glsl"
#include "linear_epilogue.glsl"

const int SIDE = 64;
const int STEPS = 16;
const int INVOCATIONS = 128;
const int THREAD_COLUMNS = 16, THREAD_ROWS = INVOCATIONS / THREAD_COLUMNS;
const int OWN_ROWS = SIDE / THREAD_ROWS, OWN_COLUMNS = SIDE / THREAD_COLUMNS; // sums of an invocation
const int FETCHES = SIDE * STEPS / INVOCATIONS;                               // of each operand, an invocation
const int PITCH = SIDE + 2; // storing along steps then meets every bank of 32 once

shared float left[STEPS * PITCH], right[STEPS * PITCH];

// Which element of an operand's tile fetch `k` of this invocation takes: x the row (or column), y the step.
// Neighbours take neighbours in memory.
ivec2 fetched(int k, bool along_steps) {
    int i = int(gl_LocalInvocationIndex) + k * INVOCATIONS;
    return along_steps ? ivec2(i / STEPS, i % STEPS) : ivec2(i % SIDE, i / SIDE);
}

const bool A_ALONG_STEPS = A_STEP == 1;
const bool B_ALONG_STEPS = B_STEP == 1;

float fetched_left[FETCHES], fetched_right[FETCHES];

// Beyond an edge: some element that is there, taken as zero.
void fetch(uint first_row, uint first_column, uint step) {
    UNROLL for (int k = 0; k < FETCHES; k++) {
        ivec2 at = fetched(k, A_ALONG_STEPS);
        uint row = first_row + at.x, s = step + at.y;
        float value = LOAD(A_TYPE, a, min(row, ROWS - 1) * A_ROW + min(s, DEPTH - 1) * A_STEP);
        fetched_left[k] = row < ROWS && s < DEPTH ? value : 0.0;
    }
    UNROLL for (int k = 0; k < FETCHES; k++) {
        ivec2 at = fetched(k, B_ALONG_STEPS);
        uint column = first_column + at.x, s = step + at.y;
        float value = LOAD(B_TYPE, b, min(column, COLUMNS - 1) * B_COLUMN + min(s, DEPTH - 1) * B_STEP);
        fetched_right[k] = column < COLUMNS && s < DEPTH ? value : 0.0;
    }
}

void share() {
    UNROLL for (int k = 0; k < FETCHES; k++) {
        ivec2 at = fetched(k, A_ALONG_STEPS);
        left[at.y * PITCH + at.x] = fetched_left[k];
        at = fetched(k, B_ALONG_STEPS);
        right[at.y * PITCH + at.x] = fetched_right[k];
    }
}

float sum[OWN_ROWS * OWN_COLUMNS];

void accumulate(uint thread_row, uint thread_column) {
    UNROLL for (int s = 0; s < STEPS; s++) {
        float l[OWN_ROWS], r[OWN_COLUMNS];
        UNROLL for (int i = 0; i < OWN_ROWS; i++)
            l[i] = left[s * PITCH + i * THREAD_ROWS + thread_row];
        UNROLL for (int j = 0; j < OWN_COLUMNS; j++)
            r[j] = right[s * PITCH + j * THREAD_COLUMNS + thread_column];
        UNROLL for (int i = 0; i < OWN_ROWS; i++)
        UNROLL for (int j = 0; j < OWN_COLUMNS; j++)
            sum[i * OWN_COLUMNS + j] = fma(l[i], r[j], sum[i * OWN_COLUMNS + j]);
    }
}

void main() {
    uint thread_row = gl_LocalInvocationIndex / THREAD_COLUMNS;
    uint thread_column = gl_LocalInvocationIndex % THREAD_COLUMNS;
    uint first_row = gl_WorkGroupID.y * SIDE;
    uint first_column = gl_WorkGroupID.x * SIDE;
    UNROLL for (int i = 0; i < OWN_ROWS * OWN_COLUMNS; i++)
        sum[i] = 0.0;
    fetch(first_row, first_column, 0);
    uint step = 0;
    NO_UNROLL do {
        share();
        barrier();
        step += STEPS;
        if (step < DEPTH)
            fetch(first_row, first_column, step);
        accumulate(thread_row, thread_column);
        barrier();
    } while (step < DEPTH);
    UNROLL for (int i = 0; i < OWN_ROWS; i++) {
        uint row = first_row + i * THREAD_ROWS + thread_row;
        output_row r = output_row_at(row);
        UNROLL for (int j = 0; j < OWN_COLUMNS; j++) {
            uint column = first_column + j * THREAD_COLUMNS + thread_column;
            if (row < ROWS && column < COLUMNS)
                finish(r, column, sum[i * OWN_COLUMNS + j]);
        }
    }
}
