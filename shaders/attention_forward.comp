// SPDX-License-Identifier: MIT
// variants: attention_forward=; attention_forward_keep=-DKEEP_LOG_SUM_EXP; attention_bias_forward=-DBIAS=2; attention_bias_forward_keep=-DBIAS=3 -DKEEP_LOG_SUM_EXP; attention_forward_split=-DSPLIT; attention_forward_keep_split=-DSPLIT -DKEEP_LOG_SUM_EXP; attention_bias_forward_split=-DSPLIT -DBIAS=2; attention_bias_forward_keep_split=-DSPLIT -DBIAS=3 -DKEEP_LOG_SUM_EXP
// softmax(q k^T / sqrt(D)) v, online: scores in base 2 against the largest one so far; when that grows, what was
// summed shrinks. Lanes own queries.
#version 450
#include "include/tensor.glsl"
#include "include/attention_tile.glsl"
#include "include/math.glsl"
TENSOR_READ(0, f32, qkv)       // [N, T, 3 D]
TENSOR_WRITE(1, f32, attended) // [N, T, D]
#ifdef KEEP_LOG_SUM_EXP
TENSOR_WRITE(2, f32, log_sum_exp) // [N, heads, T], in base 2
#endif
#define SCORE_SCALE SCALAR_F32(0) // log2(e) / sqrt(dimension of a head)

float q[PART * ROWS], o[PART * ROWS];
float largest[ROWS], sum[ROWS];
float weights[BLOCK * ROWS];
#ifdef BIAS
uint valid; // keys
#endif

void load_queries() {
    LOAD_OWN_ROWS(q, qkv, qkv_base(), QKV_STRIDE)
    UNROLL for (uint r = 0; r < ROWS; r++) {
        largest[r] = -1e30;
        sum[r] = 0.0;
        UNROLL_DIMENSION for (uint d = 0; d < PART; d++) {
            q[d * ROWS + r] *= SCORE_SCALE;
            o[d * ROWS + r] = 0.0;
        }
    }
}

// Scores of row r's block to weights; o and sum shrink where there is a new largest score.
void weigh(uint r, uint start, uint next) {
    float top = largest[r];
    UNROLL for (uint i = 0; i < BLOCK; i++)
        top = counts(start + i, next) && IS_TOKEN(start + i) ? max(top, weights[i * ROWS + r]) : top;
    const float shrink = exp2_of_score(largest[r] - top);
    largest[r] = top;
    sum[r] *= shrink;
    UNROLL for (uint i = 0; i < BLOCK; i++) {
        const float w = exp2_of_score(weights[i * ROWS + r] - top);
        weights[i * ROWS + r] = counts(start + i, next) && IS_TOKEN(start + i) ? w : 0.0;
        sum[r] += weights[i * ROWS + r];
    }
    UNROLL_DIMENSION for (uint d = 0; d < PART; d++)
        o[d * ROWS + r] *= shrink;
}

void main() {
    load_queries();
#ifdef BIAS
    valid = valid_tokens();
    uint places[ROWS];
    UNROLL for (uint r = 0; r < ROWS; r++)
        places[r] = place_of(own_row(r));
#endif
    uint next = 0;
    NO_UNROLL do {
        const uint start = block_start(next);
        POINT_READ(f32, k, qkv, qkv_base() + WIDTH + start * QKV_STRIDE);
        POINT_READ(f32, v, qkv, qkv_base() + 2 * WIDTH + start * QKV_STRIDE);
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            weights[i] = 0.0;
        ADD_DOT_PRODUCTS(weights, k, qkv, QKV_STRIDE, q)
#ifdef BIAS
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)
            weights[i] += bias_of(places[i % ROWS], place_of(start + i / ROWS));
#endif
        UNROLL for (uint r = 0; r < ROWS; r++)
            weigh(r, start, next);
        ADD_WEIGHTED_ROWS(o, v, qkv, QKV_STRIDE, weights)
        next += BLOCK;
    } while (next < TOKENS);

    float reciprocal[ROWS];
    UNROLL for (uint r = 0; r < ROWS; r++)
        reciprocal[r] = igvk_reciprocal(sum[r]);
    STORE_OWN_ROWS(attended, width_base(), WIDTH, o, reciprocal[r])
#ifdef KEEP_LOG_SUM_EXP
    UNROLL for (uint r = 0; r < ROWS; r++)
        if (stores_number(r))
            STORE(f32, log_sum_exp, statistics_base() + own_row(r), largest[r] + igvk_log(sum[r]) * 1.442695041);
#endif
}
