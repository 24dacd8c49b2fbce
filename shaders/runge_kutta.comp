#version 450
// SPDX-License-Identifier: MIT
// x' = x + sum of weights times slopes. State and weights are pairs (high, low), as in solver.comp. The velocity
// becomes the step block's slope before the sum, or the last slope does after it: the end of one step of Dormand and
// Prince is the start of the next.
// scalars: count
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint HAS_VELOCITY = 1; // else `velocity` is bound to the steps

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, velocity)
TENSOR_WRITE(2, f32, state_high)
TENSOR_WRITE(3, f32, state_low)
TENSOR_WRITE(4, f32, model_input)
TENSOR_WRITE(5, f32, slopes)

#include "steps.glsl"

vec2 weights[RUNGE_KUTTA_SLOPES];
uint slot;
bool commit;

void prepare() {
    UNROLL for (uint j = 0; j < RUNGE_KUTTA_SLOPES; j++)
        weights[j] = vec2(STEP_F32(STEP_SLOPES + 2 * j), STEP_F32(STEP_SLOPES + 2 * j + 1));
    slot = STEP_U32(STEP_SLOT);
    commit = STEP_U32(STEP_COMMIT) != 0;
}

void element(uint i) {
    const uint last = (RUNGE_KUTTA_SLOPES - 1) * SCALAR(0) + i;
    float v = HAS_VELOCITY != 0 ? LOAD(f32, velocity, i) : LOAD_OWN(f32, slopes, last);
    vec2 x = vec2(LOAD_OWN(f32, state_high, i), LOAD_OWN(f32, state_low, i));
    // A weight of zero takes no part: slopes that no call has made yet hold anything.
    UNROLL for (uint j = 0; j < RUNGE_KUTTA_SLOPES; j++)
        if (weights[j].x != 0.0) {
            bool own = HAS_VELOCITY != 0 && j == slot;
            x = pair_add(x, pair_multiply(weights[j], own ? v : LOAD_OWN(f32, slopes, j * SCALAR(0) + i)));
        }
    STORE(f32, slopes, slot * SCALAR(0) + i, v);
    STORE(f32, model_input, i, x.x);
    if (commit) {
        STORE(f32, state_high, i, x.x);
        STORE(f32, state_low, i, x.y);
    }
}
#define ELEMENTS_PREPARE
#include "elements.glsl"
