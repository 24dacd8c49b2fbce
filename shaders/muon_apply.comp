#version 450
// SPDX-License-Identifier: MIT
// Of a matrix [R, C]: parameter := (1 - rate decay) parameter - rate scale update, the update in the wide orientation
// or, without one, the decay alone; then the EMA. Without NORM_TAKEN only the EMA moves, without NORM_AVERAGED nothing.
// scalars: R C, R, C, scale
#include "tensor.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, norm)
TENSOR_READ(2, f32, update) // bound to norm where there is none
TENSOR_WRITE(3, f32, parameter)
TENSOR_WRITE(4, f32, ema)

#include "steps.glsl"

layout(constant_id = 2) const uint TALL = 0;
layout(constant_id = 3) const uint HAS_UPDATE = 0;

bool taken, averaged;
float decay, rate, ema_decay, ema_rate;

void prepare() {
    taken = LOAD(f32, norm, NORM_TAKEN) != 0.0;
    averaged = LOAD(f32, norm, NORM_AVERAGED) != 0.0;
    decay = 1.0 - STEP_F32(STEP_LEARNING_RATE) * STEP_F32(STEP_MUON_DECAY);
    rate = STEP_F32(STEP_LEARNING_RATE) * SCALAR_F32(3);
    ema_decay = STEP_F32(STEP_EMA_DECAY);
    ema_rate = STEP_F32(STEP_EMA_RATE);
}

void element(uint i) {
    float p = LOAD_OWN(f32, parameter, i);
    if (taken) {
        uint row = i / SCALAR(2);
        uint wide = TALL != 0 ? (i - row * SCALAR(2)) * SCALAR(1) + row : i;
        p *= decay;
        if (HAS_UPDATE != 0)
            p -= rate * LOAD(f32, update, wide);
        STORE(f32, parameter, i, p);
    }
    if (averaged)
        STORE(f32, ema, i, ema_decay * LOAD_OWN(f32, ema, i) + ema_rate * p);
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
