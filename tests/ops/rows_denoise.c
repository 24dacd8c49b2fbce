// SPDX-License-Identifier: MIT
// Rows of denoise.c. n[0] noise is given, n[1] the step adds it, n[2] clipped.
#include "ops/op_test.h"

#include "step_block.h"

#include <math.h>

enum { DN_STEPS, DN_PREDICTION, DN_NOISE, DN_HIGH, DN_LOW, DN_INPUT };

static void build_denoise(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)out;
    const solver_states s = {.high = in[DN_HIGH], .low = in[DN_LOW], .input = in[DN_INPUT]};
    op_denoise(g, in[DN_STEPS], in[DN_PREDICTION], row->n[0] ? in[DN_NOISE] : NO_TENSOR, &s);
}

static double denoise_coefficient(const op_value *steps, uint32_t k) {
    return op_step_f32(steps, STEP_COEFFICIENTS + 2 * k) + op_step_f32(steps, STEP_COEFFICIENTS + 2 * k + 1);
}

static void refer_denoise(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t count = in[DN_HIGH].count, sample = count / in[DN_HIGH].shape.dim[0];
    const double least = op_step_f32(in, STEP_LOG_VARIANCE), most = op_step_f32(in, STEP_LOG_VARIANCE + 1);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = i / sample * 2 * sample + i % sample;
        const double x = in[DN_HIGH].v[i] + in[DN_LOW].v[i], v = in[DN_PREDICTION].v[at + sample];
        double x0 = denoise_coefficient(in, 0) * x + denoise_coefficient(in, 1) * in[DN_PREDICTION].v[at];
        if (row->n[2])
            x0 = fmin(1, fmax(-1, x0));
        double y = denoise_coefficient(in, 2) * x0 + denoise_coefficient(in, 3) * x;
        if (row->n[0] && row->n[1])
            y += exp(0.5 * (least + 0.5 * (v + 1) * (most - least))) * in[DN_NOISE].v[i];
        out[0].v[i] = out[2].v[i] = (double)(float)y;
        out[1].v[i] = y - (double)(float)y;
    }
}

static void fill_denoise_steps(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    op_fill_steps(row, count, f32, u32);
    uint32_t *block = op_step_block(u32);
    op_set_f32(&block[STEP_LOG_VARIANCE], -3.5f);
    op_set_f32(&block[STEP_LOG_VARIANCE + 1], -1.25f);
    block[STEP_NOISY] = row->n[1];
    block[STEP_CLIP] = row->n[2];
}

// By noise, whose factor is f32, the low halves are lost; `low_tolerance` says what remains of them.
#define DENOISE_ROW(text, noise, noisy, clip, tolerance_, low_tolerance, images, channels, ...)                        \
    {                                                                                                                  \
        .op = "denoise", .label = text,                                                                                \
        .inputs = {OP_STEPS_FILLED(fill_denoise_steps),                                                                \
                   OP_RANGE("prediction", -2, 2, images, 2 * channels, __VA_ARGS__),                                   \
                   OP_RANGE("noise", -4, 4, images, channels, __VA_ARGS__),                                            \
                   OP_STATE_RANGE("high", -3, 3, images, channels, __VA_ARGS__),                                       \
                   {.name = "low",                                                                                     \
                    .kind = OP_STATE_F32,                                                                              \
                    .shape = SHAPE(images, channels, __VA_ARGS__),                                                     \
                    .low = -2e-8,                                                                                      \
                    .high = 2e-8,                                                                                      \
                    .tolerance = low_tolerance},                                                                       \
                   OP_STATE("input", images, channels, __VA_ARGS__)},                                                  \
        .build = build_denoise, .reference = refer_denoise, .tolerance = tolerance_, .n = {                            \
            noise,                                                                                                     \
            noisy,                                                                                                     \
            clip                                                                                                       \
        }                                                                                                              \
    }

static const op_row denoise_rows[] = {
    DENOISE_ROW("1", 0, 0, 0, 1e-8, 1e-6, 1, 1, 1),
    DENOISE_ROW("13x3x127", 0, 0, 0, 1e-8, 1e-6, 13, 3, 127),
    DENOISE_ROW("with noise, 5x4x3x7", 1, 1, 0, 4e-7, 3, 5, 4, 3, 7),
    DENOISE_ROW("noise of no weight, clipped, 3x1x65", 1, 0, 1, 1e-8, 1e-6, 3, 1, 65),
};
