#version 450
// SPDX-License-Identifier: MIT
// Means of the samples' terms and their weighted sum: scaled, as the loss [1], or all into the run's metrics.
// variants: loss=-DMETRICS=0; write_losses=-DMETRICS=1
// scalars: N, 1 / N (high, low), LOSS_TERMS weights
#include "tensor.glsl"
#include "math.glsl"

layout(constant_id = 1) const uint TERMS = 1;

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, term0)
TENSOR_READ(2, f32, term1) // those beyond TERMS are bound to the first
TENSOR_READ(3, f32, term2)
TENSOR_READ(4, f32, term3)
TENSOR_READ(5, f32, term4)
TENSOR_READ(6, f32, term5)
TENSOR_READ(7, f32, term6)
TENSOR_READ(8, f32, term7)
TENSOR_WRITE(9, f32, y)

#include "steps.glsl"

vec2 total = vec2(0.0);

#if METRICS
#define KEEP(k, mean) STORE(f32, y, step_run() * METRIC_WORDS + METRIC_TERMS + k, mean.x);
#else
#define KEEP(k, mean)
#endif

#define TAKE_TERM(k, term)                                                                                             \
    if (TERMS > k) {                                                                                                   \
        vec2 sum = vec2(0.0);                                                                                          \
        uint n = 0;                                                                                                    \
        do {                                                                                                           \
            sum = pair_add(sum, LOAD(f32, term, n));                                                                   \
            n++;                                                                                                       \
        } while (n < SCALAR(0));                                                                                       \
        vec2 mean = pair_multiply(sum, vec2(SCALAR_F32(1), SCALAR_F32(2)));                                            \
        KEEP(k, mean)                                                                                                  \
        total = pair_add(total, pair_multiply(mean, SCALAR_F32(3 + k)));                                               \
    }

void main() {
    if (linear_invocation() != 0)
        return;
    TAKE_TERM(0, term0)
    TAKE_TERM(1, term1)
    TAKE_TERM(2, term2)
    TAKE_TERM(3, term3)
    TAKE_TERM(4, term4)
    TAKE_TERM(5, term5)
    TAKE_TERM(6, term6)
    TAKE_TERM(7, term7)
#if METRICS
    STORE(f32, y, step_run() * METRIC_WORDS + METRIC_LOSS, total.x);
#else
    STORE(f32, y, 0, pair_multiply(total, STEP_F32(STEP_LOSS_SCALE)).x);
#endif
}
