#version 450
// SPDX-License-Identifier: MIT
// prediction x, target y [N, C, P]: (1 - cos, 0) [N, P] over C, or with dy [N] the loss's gradient for x.
// variants: cosine_loss=-DGRADIENT=0; cosine_loss_gradient=-DGRADIENT=1
// scalars: N P, P, C, epsilon, 1 / P
#include "tensor.glsl"
#include "math.glsl"

TENSOR_READ(0, f32, prediction)
TENSOR_READ(1, f32, target)
#if GRADIENT
TENSOR_READ(2, f32, dy)
TENSOR_WRITE(3, f32, dx)
#else
TENSOR_WRITE(2, f32, losses)
#endif

void element(uint i) {
    uint sample_index = i / SCALAR(1), channels = SCALAR(2);
    uint first = sample_index * channels * SCALAR(1) + (i - sample_index * SCALAR(1));
    float xx = 0.0, xy = 0.0, yy = 0.0;
    uint c = 0;
    do {
        float x = LOAD(f32, prediction, first + c * SCALAR(1)), y = LOAD(f32, target, first + c * SCALAR(1));
        xx = fma(x, x, xx);
        xy = fma(x, y, xy);
        yy = fma(y, y, yy);
        c++;
    } while (c < channels);
    float x_norm = igvk_sqrt(xx), x_least = max(x_norm, SCALAR_F32(3)), y_least = max(igvk_sqrt(yy), SCALAR_F32(3));
    float cosine = igvk_divide(igvk_divide(xy, x_least), y_least);
#if GRADIENT
    float scale = igvk_divide(-LOAD(f32, dy, sample_index) * SCALAR_F32(4), x_least);
    float along_y = igvk_divide(1.0, y_least), along_x = x_norm > 0.0 ? igvk_divide(cosine, x_norm) : 0.0;
    c = 0;
    do {
        uint at = first + c * SCALAR(1);
        STORE(f32, dx, at, scale * (LOAD(f32, target, at) * along_y - LOAD(f32, prediction, at) * along_x));
        c++;
    } while (c < channels);
#else
    STORE(f32, losses, 2 * i, 1.0 - cosine);
    STORE(f32, losses, 2 * i + 1, 0.0);
#endif
}
#include "elements.glsl"
