#version 450
// SPDX-License-Identifier: MIT
// A convolution for GPUs, after linear_tile.comp: 64 output channels x 64 pixels a workgroup of 128, operands through
// shared memory 16 steps at a time, a step being one tap of one channel of x; 8 x 4 sums an invocation. The next 16
// steps are fetched into registers while these are multiplied. Fits Vulkan's least guarantees: 128 invocations, 16 KiB
// of shared memory.
#include "tensor.glsl"
#include "convolution_epilogue.glsl"

const int SIDE = 64;
const int STEPS = 16;
const int INVOCATIONS = 128;
const int THREAD_COLUMNS = 16, THREAD_ROWS = INVOCATIONS / THREAD_COLUMNS;
const int OWN_ROWS = SIDE / THREAD_ROWS, OWN_COLUMNS = SIDE / THREAD_COLUMNS; // sums of an invocation
const int FETCHES = SIDE * STEPS / INVOCATIONS;                               // of each operand, an invocation
const int PITCH = SIDE + 2; // storing along steps then meets every bank of 32 once

shared float left[STEPS * PITCH], right[STEPS * PITCH];
float fetched_left[FETCHES], fetched_right[FETCHES];
float sum[OWN_ROWS * OWN_COLUMNS], total[OWN_ROWS * OWN_COLUMNS];

// Weights: neighbours take neighbouring steps. Pixels: neighbours take neighbouring pixels, each always the same one.
int left_row(int k) { return (int(gl_LocalInvocationIndex) + k * INVOCATIONS) / STEPS; }
int left_step(int k) { return int(gl_LocalInvocationIndex) % STEPS; }
int right_column() { return int(gl_LocalInvocationIndex) % SIDE; }
int right_step(int k) { return (int(gl_LocalInvocationIndex) + k * INVOCATIONS) / SIDE; }

// Beyond an edge: some element that is there, taken as zero.
void fetch(int first_row, ivec2 corner, uint x_start, int step) {
    UNROLL for (int k = 0; k < FETCHES; k++) {
        int row = first_row + left_row(k), s = step + left_step(k);
        float value = LOAD(f32, weight, min(row, OUT_CHANNELS - 1) * DEPTH + min(s, DEPTH - 1));
        fetched_left[k] = row < OUT_CHANNELS && s < DEPTH ? value : 0.0;
    }
    UNROLL for (int k = 0; k < FETCHES; k++) {
        int s = min(step + right_step(k), DEPTH - 1);
        int tap = s % TAPS;
        ivec2 at = corner + ivec2(tap / KERNEL, tap % KERNEL);
        float value = LOAD(f32, x, x_start + s / TAPS * IN_PIXELS + place(at));
        fetched_right[k] = inside(at) && step + right_step(k) < DEPTH ? value : 0.0;
    }
}

void share() {
    UNROLL for (int k = 0; k < FETCHES; k++) {
        left[left_step(k) * PITCH + left_row(k)] = fetched_left[k];
        right[right_step(k) * PITCH + right_column()] = fetched_right[k];
    }
}

// Four steps at a time: sixteen take compilers seconds for each shape.
void accumulate(uint thread_row, uint thread_column) {
    NO_UNROLL for (int first = 0; first < STEPS; first += 4)
    UNROLL for (int s = first; s < first + 4; s++) {
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
    int first_row = int(gl_WorkGroupID.y) * SIDE;
    int first_pixel = int(gl_WorkGroupID.x) * SIDE;
    ivec2 corner = first_tap(min(first_pixel + right_column(), PIXELS - 1));
    uint x_start = gl_WorkGroupID.z * (CHANNELS * IN_PIXELS);
    UNROLL for (int i = 0; i < OWN_ROWS * OWN_COLUMNS; i++)
        sum[i] = total[i] = 0.0;
    fetch(first_row, corner, x_start, 0);
    int step = 0;
    NO_UNROLL do {
        share();
        barrier();
        step += STEPS;
        if (step < DEPTH)
            fetch(first_row, corner, x_start, step);
        accumulate(thread_row, thread_column);
        barrier();
        if (step % (PART_CHANNELS * TAPS) == 0 || step >= DEPTH)
            UNROLL for (int i = 0; i < OWN_ROWS * OWN_COLUMNS; i++) {
                total[i] += sum[i];
                sum[i] = 0.0;
            }
    } while (step < DEPTH);
    UNROLL for (int i = 0; i < OWN_ROWS; i++)
    UNROLL for (int j = 0; j < OWN_COLUMNS; j++) {
        uint row = first_row + i * THREAD_ROWS + thread_row;
        uint pixel = first_pixel + j * THREAD_COLUMNS + thread_column;
        if (row < OUT_CHANNELS && pixel < PIXELS)
            finish(gl_WorkGroupID.z, row, pixel, total[i * OWN_COLUMNS + j]);
    }
}
