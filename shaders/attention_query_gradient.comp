// SPDX-License-Identifier: MIT
// dq = sum over keys of p (dy . v - delta) k / sqrt(D), with the weights p computed again from the log-sum-exp, and
// delta = dy . y, which the pass for keys reads too. Lanes own queries.
// variants: attention_query_gradient=; attention_bias_query_gradient=-DBIAS=6; attention_query_gradient_split=-DSPLIT; attention_bias_query_gradient_split=-DSPLIT -DBIAS=6
#version 450
#include "include/tensor.glsl"
#include "include/attention_tile.glsl"
TENSOR_READ(0, f32, qkv)         // [N, T, 3 D]
TENSOR_READ(1, f32, attended)    // y [N, T, D]
TENSOR_READ(2, f32, log_sum_exp) // [N, heads, T], in base 2
TENSOR_READ(3, f32, dy)          // [N, T, D]
TENSOR_WRITE(4, f32, dqkv)       // [N, T, 3 D]: the first third
TENSOR_WRITE(5, f32, delta)      // [N, heads, T]
#ifdef BIAS
TENSOR_WRITE(9, f32, dscores) // [N, heads, keys, queries]
#endif
#define SCORE_SCALE SCALAR_F32(0)    // log2(e) / sqrt(dimension of a head)
#define GRADIENT_SCALE SCALAR_F32(1) // 1 / sqrt(dimension of a head)

float q[PART * ROWS], g[PART * ROWS], dq[PART * ROWS];
float log_sum[ROWS], own_delta[ROWS];
float weights[BLOCK * ROWS], slopes[BLOCK * ROWS];

void load_queries() {
    LOAD_OWN_ROWS(dq, attended, width_base(), WIDTH)
    LOAD_OWN_ROWS(g, dy, width_base(), WIDTH)
    LOAD_OWN_ROWS(q, qkv, qkv_base(), QKV_STRIDE)
    UNROLL for (uint r = 0; r < ROWS; r++) {
        log_sum[r] = LOAD(f32, log_sum_exp, statistics_base() + clamped(own_row(r)));
        own_delta[r] = 0.0;
        UNROLL_DIMENSION for (uint d = 0; d < PART; d++) {
            own_delta[r] = fma(g[d * ROWS + r], dq[d * ROWS + r], own_delta[r]);
            q[d * ROWS + r] *= SCORE_SCALE;
            dq[d * ROWS + r] = 0.0;
        }
        own_delta[r] = sum_of_parts(own_delta[r]);
    }
}

void main() {
    load_queries();
#ifdef BIAS
    const uint valid = valid_tokens();
    uint places[ROWS];
    UNROLL for (uint r = 0; r < ROWS; r++)
        places[r] = place_of(own_row(r));
#endif
    uint next = 0;
    NO_UNROLL do {
        const uint start = block_start(next);
        POINT_READ(f32, k, qkv, qkv_base() + WIDTH + start * QKV_STRIDE);
        POINT_READ(f32, v, qkv, qkv_base() + 2 * WIDTH + start * QKV_STRIDE);
        POINT_READ(f32, k_again, qkv, qkv_base() + WIDTH + start * QKV_STRIDE + NOTHING);
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++) {
            weights[i] = -log_sum[i % ROWS];
            slopes[i] = -own_delta[i % ROWS];
        }
        ADD_DOT_PRODUCTS(weights, k, qkv, QKV_STRIDE, q)
#ifdef BIAS
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            weights[i] += bias_of(places[i % ROWS], place_of(start + i / ROWS));
#endif
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++) {
            const float w = exp2_of_score(weights[i]);
            weights[i] = counts(start + i / ROWS, next) && IS_TOKEN(start + i / ROWS) ? w : 0.0;
        }
        ADD_DOT_PRODUCTS(slopes, v, qkv, QKV_STRIDE, g)
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            slopes[i] *= weights[i];
#ifdef BIAS
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            if (stores_number(i % ROWS) && counts(start + i / ROWS, next))
                STORE(f32, dscores, (statistics_base() + start + i / ROWS) * TOKENS + own_row(i % ROWS), slopes[i]);
#endif
        ADD_WEIGHTED_ROWS(dq, k_again, qkv, QKV_STRIDE, slopes)
        next += BLOCK;
    } while (next < TOKENS);

    STORE_OWN_ROWS(dqkv, qkv_base(), QKV_STRIDE, dq, GRADIENT_SCALE)
    UNROLL for (uint r = 0; r < ROWS; r++)
        if (stores_number(r))
            STORE(f32, delta, statistics_base() + own_row(r), own_delta[r]);
}
