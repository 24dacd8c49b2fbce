#version 450
// SPDX-License-Identifier: MIT
// Means of the samples' losses, and final + weight auxiliary: scaled, as the loss [1], or into the run's metrics.
// variants: loss=-DMETRICS=0; write_losses=-DMETRICS=1
// scalars: N, weight, 1 / N (high, low)
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, u32, steps)
TENSOR_READ(1, f32, final_loss)
TENSOR_READ(2, f32, auxiliary_loss)
TENSOR_WRITE(3, f32, y)

#include "steps.glsl"

void main() {
    if (linear_invocation() != 0)
        return;
    vec2 final_sum = vec2(0.0), auxiliary_sum = vec2(0.0);
    uint n = 0;
    do {
        final_sum = pair_add(final_sum, LOAD(f32, final_loss, n));
        auxiliary_sum = pair_add(auxiliary_sum, LOAD(f32, auxiliary_loss, n));
        n++;
    } while (n < SCALAR(0));
    vec2 per_sample = vec2(SCALAR_F32(2), SCALAR_F32(3));
    vec2 final_mean = pair_multiply(final_sum, per_sample);
    vec2 auxiliary_mean = pair_multiply(auxiliary_sum, per_sample);
    vec2 total = pair_add(final_mean, pair_multiply(auxiliary_mean, SCALAR_F32(1)));
#if METRICS
    uint at = step_run() * METRIC_WORDS;
    STORE(f32, y, at + METRIC_LOSS, total.x);
    STORE(f32, y, at + METRIC_LOSS_FINAL, final_mean.x);
    STORE(f32, y, at + METRIC_LOSS_AUXILIARY, auxiliary_mean.x);
#else
    STORE(f32, y, 0, pair_multiply(total, STEP_F32(STEP_LOSS_SCALE)).x);
#endif
}
