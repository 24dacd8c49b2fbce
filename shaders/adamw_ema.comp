#version 450
// SPDX-License-Identifier: MIT
// One optimizer step over a chunk of the arena, in PyTorch's order: clip, decoupled decay, moments, parameter;
// then the EMA; with ZEROES the gradient becomes zero. A word of `segments` for every GRANULE elements tells in bit 0 whether
// they are trained: the others only enter the EMA. Without NORM_TAKEN only the EMA moves, without NORM_AVERAGED nothing
// but the gradient.
// variants: adamw_ema=-DPAIRS=0; adamw_ema_of_pairs=-DPAIRS=1
// With PAIRS an element is a pair of the tensors', one access each.
// scalars: count
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, norm)
TENSOR_READ(2, u32, segments)
TENSOR_WRITE(3, f32, parameter)
TENSOR_WRITE(4, f32, gradient)
TENSOR_WRITE(5, f32, moment1)
TENSOR_WRITE(6, f32, moment2)
TENSOR_WRITE(7, f32, ema)

#include "steps.glsl"

layout(constant_id = 2) const uint GRANULE = 1;
layout(constant_id = 3) const uint ZEROES = 1;

bool taken, averaged;
float clip, beta1, rate1, beta2, rate2, bias1, bias2, epsilon, decay, ema_decay, ema_rate;

void prepare() {
    clip = LOAD(f32, norm, NORM_COEFFICIENT);
    taken = LOAD(f32, norm, NORM_TAKEN) != 0.0;
    averaged = LOAD(f32, norm, NORM_AVERAGED) != 0.0;
    beta1 = STEP_F32(STEP_BETA1);
    rate1 = STEP_F32(STEP_RATE1);
    beta2 = STEP_F32(STEP_BETA2);
    rate2 = STEP_F32(STEP_RATE2);
    bias1 = LOAD(f32, norm, NORM_BIAS1);
    bias2 = LOAD(f32, norm, NORM_BIAS2);
    epsilon = STEP_F32(STEP_EPSILON);
    decay = 1.0 - STEP_F32(STEP_LEARNING_RATE) * STEP_F32(STEP_WEIGHT_DECAY);
    ema_decay = STEP_F32(STEP_EMA_DECAY);
    ema_rate = STEP_F32(STEP_EMA_RATE);
}

#if PAIRS
#define VALUE vec2
#define TAKE(name, i) LOAD_PAIR(name, i)
#define GIVE(name, i, value) STORE_PAIR(name, i, value)
const uint WIDTH = 2;
#else
#define VALUE float
#define TAKE(name, i) LOAD_OWN(f32, name, i)
#define GIVE(name, i, value) STORE(f32, name, i, value)
const uint WIDTH = 1;
#endif

float direction(float m, float v) { return igvk_divide(m, igvk_sqrt(v) * bias2 + epsilon); }
vec2 direction(vec2 m, vec2 v) { return vec2(direction(m.x, v.x), direction(m.y, v.y)); }

void element(uint i) {
    VALUE p = TAKE(parameter, i);
    if (taken && (LOAD(u32, segments, WIDTH * i / GRANULE) & 1) != 0) {
        VALUE g = TAKE(gradient, i) * clip;
        VALUE m = beta1 * TAKE(moment1, i) + rate1 * g;
        VALUE v = beta2 * TAKE(moment2, i) + rate2 * (g * g);
        p = p * decay - bias1 * direction(m, v);
        GIVE(moment1, i, m);
        GIVE(moment2, i, v);
        GIVE(parameter, i, p);
    }
    if (averaged)
        GIVE(ema, i, ema_decay * TAKE(ema, i) + ema_rate * p);
    if (ZEROES != 0)
        GIVE(gradient, i, VALUE(0.0));
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
