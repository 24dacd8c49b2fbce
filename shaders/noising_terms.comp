#version 450
// SPDX-License-Identifier: MIT
// Times 0 .. 999 [N] -> the numbers of a noising process of linear betas at each (noising.glsl), [N, TERMS]. Products of
// (1 - beta) are taken in pairs of floats, by every sample on its own: no tables to keep.
// scalars: N
#include "tensor.glsl"
#include "math.glsl"
#include "noising.glsl"

TENSOR_READ(0, f32, t)
TENSOR_WRITE(1, f32, terms)

#define STEPS 1000

// 0.0001 + i (0.0199 / 999)
vec2 beta_of(uint i) {
    return pair_add(pair_multiply(vec2(1.991992031e-05, -3.853358875e-13), float(i)), vec2(9.999999747e-05, 2.526212529e-12));
}

vec2 negate(vec2 a) {
    return -a;
}

void main() {
    const uint n = linear_invocation();
    if (n >= SCALAR(0))
        return;
    const uint step = uint(clamp(LOAD(f32, t, n), 0.0, float(STEPS - 1)));
    const uint upper = max(step, 1); // time 0 has time 1's posterior variance
    vec2 before = vec2(1.0, 0.0);    // product up to the step before `upper`
    uint i = 0;
    do {
        const vec2 next = pair_multiply(before, pair_add(negate(beta_of(i)), 1.0));
        before = i < upper ? next : before;
        i++;
    } while (i < STEPS);
    const vec2 beta = beta_of(upper);
    const vec2 after = pair_multiply(before, pair_add(negate(beta), 1.0));
    const vec2 abar = step == 0 ? before : after;
    const float own_beta = beta_of(step).x, rest = pair_add(negate(abar), 1.0).x;
    const float rest_before = pair_add(negate(before), 1.0).x, rest_after = pair_add(negate(after), 1.0).x;
    const float variance = igvk_divide(beta.x * rest_before, rest_after);
    // from_x0 sqrt(1 / abar - 1), from_x0 = beta sqrt(before) / (1 - abar)
    const float root = step == 0 ? 1.0 : igvk_sqrt(before.x);
    const float mean = igvk_divide(own_beta * root, igvk_sqrt(rest) * igvk_sqrt(abar.x));
    STORE(f32, terms, n * TERMS + TERM_IMAGE, igvk_sqrt(abar.x));
    STORE(f32, terms, n * TERMS + TERM_NOISE, igvk_sqrt(rest));
    STORE(f32, terms, n * TERMS + TERM_LEAST, igvk_log(variance));
    STORE(f32, terms, n * TERMS + TERM_SPREAD, igvk_log(igvk_divide(own_beta, variance)));
    STORE(f32, terms, n * TERMS + TERM_MEAN, mean);
    STORE(f32, terms, n * TERMS + TERM_FIRST, step == 0 ? 1.0 : 0.0);
}
