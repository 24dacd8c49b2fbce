// SPDX-License-Identifier: MIT
// Rows of noising.c, against the formulas of the official code in f64 and their tables.
#include "ops/op_test.h"

#include <math.h>

typedef struct noising_reference {
    double abar, least, most, from_x0, from_x;
} noising_reference;

static noising_reference noising_at(uint32_t t) {
    double abar[1000], beta[1000];
    for (int i = 0; i < 1000; i++) {
        beta[i] = 0.0001 + i * (0.02 - 0.0001) / 999;
        abar[i] = (i ? abar[i - 1] : 1) * (1 - beta[i]);
    }
    const uint32_t u = t ? t : 1;
    const double before = t ? abar[t - 1] : 1;
    return (noising_reference){.abar = abar[t],
                               .least = log(beta[u] * (1 - abar[u - 1]) / (1 - abar[u])),
                               .most = log(beta[t]),
                               .from_x0 = beta[t] * sqrt(before) / (1 - abar[t]),
                               .from_x = (1 - before) * sqrt(1 - beta[t]) / (1 - abar[t])};
}

static void fill_noising_times(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    static const float times[] = {0, 1, 2, 10, 137, 500, 998, 999};
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = times[i % 8];
}

static void build_noising_terms(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_split_columns(g, op_noising_terms(g, in[0]), 6); // each column by its own size
    for (uint32_t k = 1; k < 6; k++)
        out[k] = graph_output(g, out[0], k);
}

static void refer_noising_terms(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < in[0].count; i++) {
        const noising_reference r = noising_at((uint32_t)in[0].v[i]);
        const double terms[] = {
            sqrt(r.abar),   sqrt(1 - r.abar), r.least, r.most - r.least, r.from_x0 * sqrt(1 / r.abar - 1),
            in[0].v[i] == 0};
        for (uint32_t k = 0; k < 6; k++)
            out[k].v[i] = terms[k];
    }
}

static void build_noising(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_noising(g, row->n[0] ? op_copy(g, in[0]) : in[0], in[1], op_noising_terms(g, in[2]));
}

static void refer_noising(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t sample = in[0].count / in[2].count;
    (void)row;
    for (uint64_t i = 0; i < in[0].count; i++) {
        const double abar = noising_at((uint32_t)in[2].v[i / sample]).abar;
        out[0].v[i] = sqrt(abar) * in[0].v[i] + sqrt(1 - abar) * in[1].v[i];
    }
}

// ---- the loss: inputs prediction, x, noise, t, and the prediction again, which stands for what the variational term
// takes as given; n[0] in place, n[1] which of the two, 2: both
// -----------------------------------------------------------------------------------

static void fill_prediction(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = (float)((i * 7919 + 13) % 1009) / 600 - 0.8f;
}

// Bytes in [-1, 1], its ends among them.
static void fill_pixels(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = (float)(i % 7 == 0 ? 255 : i % 7 == 3 ? 0 : i * 53 % 256) / 127.5f - 1;
}

static double cdf(double x) {
    return 0.5 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

// Bits, as gaussian_diffusion.py writes it down.
static double variational_bits(const noising_reference *r, bool first, double x0, double noise, double e, double v) {
    const double x = sqrt(r->abar) * x0 + sqrt(1 - r->abar) * noise;
    const double log_variance = (v + 1) / 2 * r->most + (1 - (v + 1) / 2) * r->least;
    const double predicted = sqrt(1 / r->abar) * x - sqrt(1 / r->abar - 1) * e;
    const double mean = r->from_x0 * predicted + r->from_x * x, truth = r->from_x0 * x0 + r->from_x * x;
    if (!first)
        return 0.5 / log(2) *
               (-1 + log_variance - r->least + exp(r->least - log_variance) +
                (truth - mean) * (truth - mean) * exp(-log_variance));
    const double scale = exp(-0.5 * log_variance);
    const double plus = cdf(scale * (x0 - mean + 1.0 / 255)), minus = cdf(scale * (x0 - mean - 1.0 / 255));
    return -log(fmax(1e-12, x0 < -0.999 ? plus : x0 > 0.999 ? 1 - minus : plus - minus)) / log(2);
}

static void build_noising_loss(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_noising_loss(g, row->n[0] ? op_copy(g, in[0]) : in[0], in[1], in[2], op_noising_terms(g, in[3]));
    if (row->n[1])
        out[row->n[1] - 1] = graph_output(g, out[0], 1);
}

static void refer_noising_loss(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t sample = in[1].count / in[3].count;
    for (uint64_t n = 0; n < in[3].count; n++) {
        const noising_reference r = noising_at((uint32_t)in[3].v[n]);
        double squares = 0, bits = 0;
        for (uint64_t i = n * sample; i < (n + 1) * sample; i++) {
            const uint64_t at = i + n * sample;
            const double error = in[0].v[at] - in[2].v[i];
            squares += error * error / (double)sample;
            bits += variational_bits(&r, in[3].v[n] == 0, in[1].v[i], in[2].v[i], in[4].v[at], in[0].v[at + sample]) /
                    (double)sample;
        }
        out[0].v[n] = row->n[1] == 1 ? bits : squares;
        if (row->n[1] == 2)
            out[1].v[n] = bits;
    }
}

// clang-format off
#define NOISING_ROW(text, place, images, ...)                                                                          \
    {.op = "noising", .label = text,                                                                                   \
     .inputs = {OP_INPUT("x", images, __VA_ARGS__), OP_RANGE("noise", -4, 4, images, __VA_ARGS__),                     \
                OP_FILLED("t", fill_noising_times, images)},                                                           \
     .outputs = 1, .build = build_noising, .reference = refer_noising, .tolerance = 3e-7, .n = {place}}
#define NOISING_LOSS_ROW(operator_, text, place, which, images, channels, ...)                                         \
    {.op = operator_, .label = text,                                                                                   \
     .inputs = {{.name = "prediction", .shape = SHAPE(images, 2 * channels, __VA_ARGS__), .gradient = !place,          \
                 .fill = fill_prediction},                                                                             \
                OP_FILLED("x", fill_pixels, images, channels, __VA_ARGS__),                                            \
                OP_RANGE("noise", -2, 2, images, channels, __VA_ARGS__),                                               \
                OP_FILLED("t", fill_noising_times, images),                                                            \
                OP_FILLED("prediction as given", fill_prediction, images, 2 * channels, __VA_ARGS__)},                 \
     .outputs = which == 2 ? 2 : 1, .build = build_noising_loss, .reference = refer_noising_loss, .tolerance = 2e-6,   \
     .gradient_tolerance = 1e-5, .n = {place, which}}
// clang-format on

static const op_row noising_rows[] = {
    {.op = "noising_terms",
     .label = "8",
     .inputs = {OP_FILLED("t", fill_noising_times, 8)},
     .outputs = 6,
     .build = build_noising_terms,
     .reference = refer_noising_terms,
     .tolerance = 3e-7},
    NOISING_ROW("1", 0, 1, 1),
    NOISING_ROW("in place, 13x3x5x7", 1, 13, 3, 5, 7),
    NOISING_LOSS_ROW("noising_loss", "8x1x1", 0, 2, 8, 1, 1),
    NOISING_LOSS_ROW("noising_loss_gradient", "8x3x5x9", 0, 2, 8, 3, 5, 9),
    NOISING_LOSS_ROW("noising_loss", "in place, 13x4x3x7", 1, 2, 13, 4, 3, 7),
    NOISING_LOSS_ROW("noising_loss", "squares alone, 8x3x5x9", 0, 0, 8, 3, 5, 9),
    NOISING_LOSS_ROW("noising_loss", "bits alone, 8x3x5x9", 0, 1, 8, 3, 5, 9),
};
