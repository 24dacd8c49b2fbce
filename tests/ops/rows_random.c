// SPDX-License-Identifier: MIT
// Rows of random.c, against core/philox.h. Numbers of larger volume are in test_random.c.
#include "ops/op_test.h"

#include "core/philox.h"
#include "step_block.h"

static void build_philox(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_philox(g, in[0], in[1]);
}

static void refer_philox(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < in[0].shape.dim[0]; i++) {
        uint32_t words[4];
        philox4x32(in[0].words + 4 * i, in[1].words + 2 * i, words);
        for (int k = 0; k < 4; k++)
            out[0].v[4 * i + (uint64_t)k] = words[k];
    }
}

static void build_random_of_words(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_random_of_words(g, in[0]);
    out[1] = graph_output(g, out[0], 1);
}

static void refer_random_of_words(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < in[0].count; i += 4) {
        for (uint64_t k = i; k < i + 4; k++)
            out[0].v[k] = random_uniform_of(in[0].words[k]);
        random_normals_of(in[0].words + i, &out[1].v[i]);
    }
}

// n[0]: stream; n[1]: the image's own seeds; n[2]: no steps; n[3..]: the shape, up to a zero
static tensor_shape normal_shape(const op_row *row) {
    tensor_shape s = {0};
    while (row->n[3 + s.rank]) {
        s.dim[s.rank] = row->n[3 + s.rank];
        s.rank++;
    }
    return s;
}

static void build_normal(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_normal(g, row->n[2] ? NO_TENSOR : in[0], row->n[1] ? in[1] : NO_TENSOR, row->n[0], normal_shape(row));
}

static void refer_normal(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t elements = out[0].count / out[0].shape.dim[0];
    const uint32_t step = row->n[2] ? 0 : op_step_word(&in[0], STEP_INDEX);
    for (uint64_t i = 0; i < out[0].count; i++) {
        const uint32_t n = (uint32_t)(i / elements);
        uint64_t seed = op_step_word(&in[0], STEP_SEED_LOW) | (uint64_t)op_step_word(&in[0], STEP_SEED_HIGH) << 32;
        uint32_t item = op_step_word(&in[0], STEP_ITEM) + n;
        if (row->n[1]) {
            seed = in[1].words[2 * n] | (uint64_t)in[1].words[2 * n + 1] << 32;
            item = 0;
        }
        out[0].v[i] = random_normal(seed, row->n[0], step, item, i % elements);
    }
}

#define NORMAL_ROW(text, images, ...)                                                                                  \
    {.op = "normal", .label = text, .inputs = {OP_STEPS, OP_WORDS("seeds", images, 2)},                                \
     .outputs = 1, .build = build_normal, .reference = refer_normal, .tolerance = 4e-7, .n = {__VA_ARGS__}}

static const op_row random_rows[] = {
    {.op = "philox", .label = "1", .inputs = {OP_WORDS("counters", 1, 4), OP_WORDS("keys", 1, 2)},
     .outputs = 1, .build = build_philox, .reference = refer_philox},
    {.op = "philox", .label = "127", .inputs = {OP_WORDS("counters", 127, 4), OP_WORDS("keys", 127, 2)},
     .outputs = 1, .build = build_philox, .reference = refer_philox},
    {.op = "random_of_words", .label = "1031", .inputs = {OP_WORDS("words", 1031, 4)},
     .outputs = 2, .build = build_random_of_words, .reference = refer_random_of_words, .tolerance = 2e-7},
    NORMAL_ROW("own seeds, 1x1", 1, STREAM_LATENT, 1, 0, 1, 1),
    NORMAL_ROW("own seeds, 3x127", 3, STREAM_SOLVER, 1, 0, 3, 127),
    NORMAL_ROW("own seeds, no steps, 5x3x13", 5, STREAM_LATENT, 1, 1, 5, 3, 13),
    NORMAL_ROW("the run's seed, 13x2x5x7", 13, STREAM_NOISE, 0, 0, 13, 2, 5, 7),
};
