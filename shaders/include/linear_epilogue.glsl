// SPDX-License-Identifier: MIT
// What every kernel of a linear product shares: its operands, and what happens to a sum before it is stored.
//
//     y[row, column] = residual + gate activation(z),   z = bias + sum over steps of a[row, step] b[step, column]
//
// a and b are reached through strides in elements, so that x W^T, dy W and dy^T x are one source:
//     forward   y [M, O]   a = x [M, K]    A_ROW = K, A_STEP = 1   b = W [O, K]  B_COLUMN = K, B_STEP = 1   DEPTH = K
//     dx        y [M, K]   a = dy [M, O]   A_ROW = O, A_STEP = 1   b = W [O, K]  B_COLUMN = 1, B_STEP = K   DEPTH = O
//     dW        y [O, K]   a = dy [M, O]   A_ROW = 1, A_STEP = O   b = x [M, K]  B_COLUMN = 1, B_STEP = K   DEPTH = M
// Strides are constants of the pipeline: a software driver is four times faster where they fold into addresses.
// Every kernel sums in order of steps, one fma each: the same bits for any tile and any number of rows.
#include "math.glsl"

// Storage types of a and b; everything else, and every sum, is f32.
#ifndef A_TYPE
#define A_TYPE f32
#define B_TYPE f32
#endif

layout(constant_id = 1) const int A_ROW = 1;
layout(constant_id = 2) const int A_STEP = 1;
layout(constant_id = 3) const int B_COLUMN = 1;
layout(constant_id = 4) const int B_STEP = 1;
layout(constant_id = 5) const int DEPTH = 1;
layout(constant_id = 6) const int COLUMNS = 1;
layout(constant_id = 7) const int ACTIVATION = 0; // activation_kind of ops.h: none, SiLU, GELU
layout(constant_id = 8) const bool HAS_BIAS = false;
layout(constant_id = 9) const bool HAS_GATE = false;
layout(constant_id = 10) const bool HAS_RESIDUAL = false;

TENSOR_READ(0, A_TYPE, a)
TENSOR_READ(1, B_TYPE, b)
TENSOR_READ(2, f32, bias)
TENSOR_READ(3, f32, gate)
TENSOR_READ(4, f32, residual)
TENSOR_WRITE(5, f32, y)
#if KEEPS_Z // a variant of each kernel: what is bound must be written
TENSOR_WRITE(6, f32, z)
#endif

#define ROWS SCALAR(0)          // of y
#define GATE_SPAN SCALAR(1)     // rows of y that share a row of gate
#define RESIDUAL_ROWS SCALAR(2) // row r of y takes row r % RESIDUAL_ROWS of residual

// A row of y and the rows of gate and residual that go with it, as offsets of their first elements.
struct output_row {
    uint y, gate, residual;
    uint gate_left, residual_left; // rows until the next row of gate, until residual starts again
};

output_row output_row_at(uint row) {
    output_row r;
    r.y = row * COLUMNS;
    r.gate_left = HAS_GATE ? GATE_SPAN - row % GATE_SPAN : 0;
    r.gate = HAS_GATE ? row / GATE_SPAN * COLUMNS : 0;
    r.residual_left = HAS_RESIDUAL ? RESIDUAL_ROWS - row % RESIDUAL_ROWS : 0;
    r.residual = HAS_RESIDUAL ? row % RESIDUAL_ROWS * COLUMNS : 0;
    return r;
}

// The row below, without a division: software drivers divide lane by lane.
output_row output_row_below(output_row r) {
    r.y += COLUMNS;
    bool next_gate = r.gate_left == 1;
    r.gate += next_gate ? COLUMNS : 0;
    r.gate_left = next_gate ? GATE_SPAN : r.gate_left - 1;
    bool again = r.residual_left == 1;
    r.residual = again ? 0 : r.residual + COLUMNS;
    r.residual_left = again ? RESIDUAL_ROWS : r.residual_left - 1;
    return r;
}

float bias_of(uint column) { return HAS_BIAS ? LOAD(f32, bias, column) : 0.0; }

// What follows the bias. The residual's element is read by the invocation that then writes y's: both may lie in one
// place.
void finish_biased(output_row r, uint column, float value) {
#if KEEPS_Z
    STORE(f32, z, r.y + column, value);
#endif
    if (ACTIVATION == 1)
        value = igvk_silu(value);
    if (ACTIVATION == 2)
        value = igvk_gelu_tanh(value);
    if (HAS_GATE)
        value *= LOAD(f32, gate, r.gate + column);
    if (HAS_RESIDUAL)
        value += LOAD(f32, residual, r.residual + column);
    STORE(f32, y, r.y + column, value);
}

void finish(output_row r, uint column, float value) {
    finish_biased(r, column, HAS_BIAS ? value + bias_of(column) : value);
}
