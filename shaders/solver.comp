#version 450
// SPDX-License-Identifier: MIT
// x' = c0 x + c1 velocity + c2 previous + c3 noise. State and coefficients are pairs (high, low), so that hundreds
// of steps add no more error than the model's own. `input` is what the model sees next, `previous` the velocity of
// this call; the state changes where the step block says so.
// scalars: count
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint HAS_NOISE = 1; // else `noise` is bound to the velocity

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, velocity)
TENSOR_READ(2, f32, noise)
TENSOR_WRITE(3, f32, state_high)
TENSOR_WRITE(4, f32, state_low)
TENSOR_WRITE(5, f32, model_input)
TENSOR_WRITE(6, f32, previous)

#include "steps.glsl"

vec2 c0, c1, c2, c3;
bool commit;

vec2 coefficient(uint k) {
    return vec2(STEP_F32(STEP_COEFFICIENTS + 2 * k), STEP_F32(STEP_COEFFICIENTS + 2 * k + 1));
}

void prepare() {
    c0 = coefficient(0);
    c1 = coefficient(1);
    c2 = coefficient(2);
    c3 = coefficient(3);
    commit = STEP_U32(STEP_COMMIT) != 0;
}

// sum + c value; a coefficient of zero takes no part, whatever the value is.
vec2 add_term(vec2 sum, vec2 c, float value) {
    return c.x == 0.0 ? sum : pair_add(sum, pair_multiply(c, value));
}

void element(uint i) {
    float v = LOAD(f32, velocity, i);
    vec2 x = vec2(LOAD_OWN(f32, state_high, i), LOAD_OWN(f32, state_low, i));
    x = pair_multiply(c0, x);
    x = add_term(x, c1, v);
    x = add_term(x, c2, LOAD_OWN(f32, previous, i));
    if (HAS_NOISE != 0)
        x = add_term(x, c3, LOAD(f32, noise, i));
    STORE(f32, model_input, i, x.x);
    STORE(f32, previous, i, v);
    if (commit) {
        STORE(f32, state_high, i, x.x);
        STORE(f32, state_low, i, x.y);
    }
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
