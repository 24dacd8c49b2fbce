#version 450
// SPDX-License-Identifier: MIT
// Of a matrix [R, C]: momentum := m momentum + (1 - m) g with the clipped gradient g; Nesterov's update (1 - m) g +
// m momentum in the wide orientation; with ZEROES the gradient becomes zero. Without NORM_TAKEN the momentum stays.
// scalars: R C, R, C
#include "tensor.glsl"
#include "half.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, norm)
TENSOR_WRITE(2, f32, update)
TENSOR_WRITE(3, f32, gradient)
TENSOR_WRITE(4, f32, momentum)

#include "steps.glsl"

layout(constant_id = 2) const uint TALL = 0;
layout(constant_id = 3) const uint BF16 = 0;
layout(constant_id = 4) const uint ZEROES = 1;

bool taken;
float clip, keep, rate;

void prepare() {
    clip = LOAD(f32, norm, NORM_COEFFICIENT);
    taken = LOAD(f32, norm, NORM_TAKEN) != 0.0;
    keep = STEP_F32(STEP_MUON_MOMENTUM);
    rate = STEP_F32(STEP_MUON_RATE);
}

// i: of the matrix; its rows are the wide one's columns where it is tall.
void element(uint i) {
    uint row = i / SCALAR(2);
    uint wide = TALL != 0 ? (i - row * SCALAR(2)) * SCALAR(1) + row : i;
    float u = 0.0;
    if (taken) {
        float g = LOAD_OWN(f32, gradient, i) * clip;
        float m = keep * LOAD_OWN(f32, momentum, i) + rate * g;
        STORE(f32, momentum, i, m);
        u = rate * g + keep * m;
    }
    STORE(f32, update, wide, BF16 != 0 ? f32_of_bf16(bf16_of_f32(u)) : u);
    if (ZEROES != 0)
        STORE(f32, gradient, i, 0.0);
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
