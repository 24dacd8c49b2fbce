// SPDX-License-Identifier: MIT
// dv = sum over queries of p dy; dk = sum over queries of p (dy . v - delta) q / sqrt(D), with the weights p
// computed again from the log-sum-exp. Lanes own keys and their values.
// variants: attention_key_gradient=; attention_bias_key_gradient=-DBIAS=5; attention_key_gradient_split=-DSPLIT; attention_bias_key_gradient_split=-DSPLIT -DBIAS=5
#version 450
#include "include/tensor.glsl"
#include "include/attention_tile.glsl"
TENSOR_READ(0, f32, qkv)         // [N, T, 3 D]
TENSOR_READ(1, f32, log_sum_exp) // [N, heads, T], in base 2
TENSOR_READ(2, f32, dy)          // [N, T, D]
TENSOR_READ(3, f32, delta)       // [N, heads, T]
TENSOR_WRITE(4, f32, dqkv)       // [N, T, 3 D]: the second and third thirds
#define SCORE_SCALE SCALAR_F32(0)    // log2(e) / sqrt(dimension of a head)
#define GRADIENT_SCALE SCALAR_F32(1) // 1 / sqrt(dimension of a head)

float k[PART * ROWS], v[PART * ROWS], dk[PART * ROWS], dv[PART * ROWS];
float weights[BLOCK * ROWS], slopes[BLOCK * ROWS];

void load_keys() {
    LOAD_OWN_ROWS(k, qkv, qkv_base() + WIDTH, QKV_STRIDE)
    LOAD_OWN_ROWS(v, qkv, qkv_base() + 2 * WIDTH, QKV_STRIDE)
    UNROLL_DIMENSION for (uint i = 0; i < PART * ROWS; i++) {
        k[i] *= SCORE_SCALE;
        dk[i] = 0.0;
        dv[i] = 0.0;
    }
}

void main() {
    load_keys();
#ifdef BIAS
    const uint valid = valid_tokens();
    uint places[ROWS];
    UNROLL for (uint r = 0; r < ROWS; r++)
        places[r] = place_of(own_row(r));
#endif
    uint next = 0;
    NO_UNROLL do {
        const uint start = block_start(next);
        POINT_READ(f32, q, qkv, qkv_base() + start * QKV_STRIDE);
        POINT_READ(f32, g, dy, width_base() + start * WIDTH);
        POINT_READ(f32, q_again, qkv, qkv_base() + start * QKV_STRIDE + NOTHING);
        POINT_READ(f32, g_again, dy, width_base() + start * WIDTH + NOTHING);
        POINT_READ(f32, l, log_sum_exp, statistics_base() + start);
        POINT_READ(f32, e, delta, statistics_base() + start);
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            weights[i] = -AT(f32, l, log_sum_exp, i / ROWS);
        ADD_DOT_PRODUCTS(weights, q, qkv, QKV_STRIDE, k)
#ifdef BIAS
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            weights[i] += bias_of(place_of(start + i / ROWS), places[i % ROWS]);
#endif
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++) {
            const float w = exp2_of_score(weights[i]);
            weights[i] = counts(start + i / ROWS, next) && IS_TOKEN(own_row(i % ROWS)) ? w : 0.0;
            slopes[i] = -AT(f32, e, delta, i / ROWS);
        }
        ADD_WEIGHTED_ROWS(dv, g, dy, WIDTH, weights)
        ADD_DOT_PRODUCTS(slopes, g_again, dy, WIDTH, v)
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            slopes[i] *= weights[i];
        ADD_WEIGHTED_ROWS(dk, q_again, qkv, QKV_STRIDE, slopes)
        next += BLOCK;
    } while (next < TOKENS);

    STORE_OWN_ROWS(dqkv, qkv_base() + WIDTH, QKV_STRIDE, dk, GRADIENT_SCALE)
    STORE_OWN_ROWS(dqkv, qkv_base() + 2 * WIDTH, QKV_STRIDE, dv, 1.0)
}
