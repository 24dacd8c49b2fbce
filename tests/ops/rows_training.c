// SPDX-License-Identifier: MIT
// Rows of training.c and loss.c.
#include "ops/op_test.h"

#include "core/philox.h"
#include "step_block.h"

#include <math.h>

#define HALF_PI 1.57079632679489661923

static uint64_t run_seed(const op_value *steps) {
    return op_step_word(steps, STEP_SEED_LOW) | (uint64_t)op_step_word(steps, STEP_SEED_HIGH) << 32;
}

// ---- times: n[0] count, n[1] weighting, n[2] path --------------------------------------------------------------

static double time_of_normal(uint32_t path, double z) {
    return path == PATH_LINEAR ? 1 / (1 + exp(-z)) : atan(exp(z)) / HALF_PI;
}

static void build_sample_times(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_sample_times(g, in[0], row->n[0], (time_weighting)row->n[1], (path_kind)row->n[2]);
}

static void refer_sample_times(const op_row *row, const op_value *in, op_value *out) {
    const uint32_t step = op_step_word(&in[0], STEP_INDEX), item = op_step_word(&in[0], STEP_ITEM);
    for (uint32_t i = 0; i < out[0].count; i++)
        out[0].v[i] = row->n[1] == TIME_DISCRETE
                          ? floor(1000 * random_uniform(run_seed(&in[0]), STREAM_TIME, step, item + i, 0))
                      : row->n[1] == TIME_UNIFORM
                          ? random_uniform(run_seed(&in[0]), STREAM_TIME, step, item + i, 0)
                          : time_of_normal(row->n[2], random_normal(run_seed(&in[0]), STREAM_TIME, step, item + i, 0));
}

static void build_times_of_normals(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_times_of_normals(g, in[0], (path_kind)row->n[2]);
}

static void refer_times_of_normals(const op_row *row, const op_value *in, op_value *out) {
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = time_of_normal(row->n[2], in[0].v[i]);
}

// ---- labels and rings -------------------------------------------------------------------------------------------

// x[0] probability, n[0] null class
static void build_drop_labels(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_drop_labels(g, in[0], in[1], (float)row->x[0], row->n[0]);
}

static void refer_drop_labels(const op_row *row, const op_value *in, op_value *out) {
    const uint32_t step = op_step_word(&in[0], STEP_INDEX), item = op_step_word(&in[0], STEP_ITEM);
    for (uint32_t i = 0; i < out[0].count; i++) {
        const double u = random_uniform(run_seed(&in[0]), STREAM_LABEL_DROP, step, item + i, 0);
        out[0].v[i] = u < (double)(float)row->x[0] ? row->n[0] : in[1].v[i];
    }
}

static void build_ring_read(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_ring_read(g, in[0], in[1]);
}

static void refer_ring_read(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    for (uint64_t i = 0; i < out[0].count; i++)
        out[0].v[i] = in[1].v[OP_RUN % in[1].shape.dim[0] * out[0].count + i];
}

// ---- interpolant and target: n[0] path, n[1] in place --------------------------------------------------------------

static void build_interpolant(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    tensor_id x = row->n[1] ? op_copy(g, in[0]) : in[0], noise = row->n[1] ? op_copy(g, in[1]) : in[1];
    out[0] = op_interpolant(g, x, noise, in[2], (path_kind)row->n[0]);
    out[1] = graph_output(g, out[0], 1);
}

static void refer_interpolant(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t elements = in[0].count / in[2].count;
    for (uint64_t i = 0; i < in[0].count; i++) {
        const double t = in[2].v[i / elements], x = in[0].v[i], n = in[1].v[i];
        const bool cosine = row->n[0] == PATH_COSINE;
        const double a = cosine ? cos(HALF_PI * t) : 1 - t, s = cosine ? sin(HALF_PI * t) : t;
        out[0].v[i] = a * x + s * n;
        out[1].v[i] = cosine ? HALF_PI * (a * n - s * x) : n - x;
    }
}

// n[1] in place; x: weight, low, high
static void build_guided_target(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    const guided_target_options o = {(float)row->x[0], (float)row->x[1], (float)row->x[2]};
    out[0] = op_guided_target(g, in[0], row->n[1] ? op_copy(g, in[1]) : in[1], in[2], in[3], &o);
}

static void refer_guided_target(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t elements = in[0].count / in[3].count;
    for (uint64_t i = 0; i < in[0].count; i++) {
        const double t = in[3].v[i / elements], w = (double)(float)row->x[0] - 1;
        const bool on = t >= (double)(float)row->x[1] && t <= (double)(float)row->x[2];
        out[0].v[i] = in[0].v[i] + (on ? w * (in[1].v[i] - in[2].v[i]) : 0);
    }
}

// The interval's ends, just inside and just outside of them: [0.1, 0.9] as f32.
static void fill_end_times(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    const float ends[] = {0.1f, 0.9f, nextafterf(0.1f, 0), nextafterf(0.9f, 1), 0.5f};
    for (uint64_t i = 0; i < count; i++)
        f32[i] = ends[i % 5];
}

// ---- losses ------------------------------------------------------------------------------------------------

static void build_squared_error(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)row;
    out[0] = op_squared_error(g, in[0], in[1]);
}

static void refer_squared_error(const op_row *row, const op_value *in, op_value *out) {
    (void)row;
    const uint64_t elements = in[0].count / out[0].count;
    for (uint64_t n = 0; n < out[0].count; n++) {
        out[0].v[n] = 0;
        for (uint64_t i = n * elements; i < (n + 1) * elements; i++)
            out[0].v[n] += (in[0].v[i] - in[1].v[i]) * (in[0].v[i] - in[1].v[i]) / (double)elements;
    }
}

// x[0]: epsilon
static void build_cosine_loss(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    out[0] = op_cosine_loss(g, in[0], in[1], (float)row->x[0]);
}

static void refer_cosine_loss(const op_row *row, const op_value *in, op_value *out) {
    const uint64_t channels = in[0].shape.dim[1], places = in[0].count / in[0].shape.dim[0] / channels;
    for (uint64_t i = 0; i < out[0].count * places; i++) {
        const uint64_t first = i / places * places * channels + i % places;
        double xx = 0, xy = 0, yy = 0;
        for (uint64_t c = 0; c < channels; c++) {
            const double x = in[0].v[first + c * places], y = in[1].v[first + c * places];
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        const double least = fmax(sqrt(xx), (double)(float)row->x[0]) * fmax(sqrt(yy), (double)(float)row->x[0]);
        out[0].v[i / places] = (i % places ? out[0].v[i / places] : 0) + (1 - xy / least) / (double)places;
    }
}

static void fill_nothing(const op_row *row, uint64_t count, float *f32, uint32_t *u32) {
    (void)row, (void)u32;
    for (uint64_t i = 0; i < count; i++)
        f32[i] = 0;
}

// x: the weights of n[0] terms
static void mean_losses(const op_row *row, const op_value *terms, double *means, double *total) {
    *total = 0;
    for (uint32_t k = 0; k < row->n[0]; k++) {
        means[k] = 0;
        for (uint64_t i = 0; i < terms[k].count; i++)
            means[k] += terms[k].v[i] / (double)terms[k].count;
        *total += (double)(float)row->x[k] * means[k];
    }
}

static loss_terms terms_of(const op_row *row, const tensor_id *in, float *weights) {
    for (uint32_t k = 0; k < row->n[0]; k++)
        weights[k] = (float)row->x[k];
    return (loss_terms){.values = in, .weights = weights, .count = row->n[0]};
}

static void build_loss(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    float weights[LOSS_TERMS];
    const loss_terms terms = terms_of(row, in + 1, weights);
    out[0] = op_loss(g, in[0], &terms);
}

static void refer_loss(const op_row *row, const op_value *in, op_value *out) {
    double means[LOSS_TERMS], total;
    mean_losses(row, in + 1, means, &total);
    out[0].v[0] = op_step_f32(&in[0], STEP_LOSS_SCALE) * total;
}

static void build_write_losses(graph *g, const op_row *row, const tensor_id *in, tensor_id *out) {
    (void)out;
    float weights[LOSS_TERMS];
    const loss_terms terms = terms_of(row, in + 2, weights);
    op_write_losses(g, in[0], &terms, in[1]);
}

static void refer_write_losses(const op_row *row, const op_value *in, op_value *out) {
    double *block = out[0].v + OP_RUN % STEP_RING * METRIC_WORDS;
    mean_losses(row, in + 2, block + METRIC_TERMS, &block[METRIC_LOSS]);
}

#define TIMES_ROW(text, count, weighting, path)                                                                        \
    {.op = "sample_times", .label = text, .inputs = {OP_STEPS}, .outputs = 1, .build = build_sample_times,             \
     .reference = refer_sample_times, .tolerance = 2e-7, .n = {count, weighting, path}}
#define TIMES_OF_NORMALS_ROW(text, path)                                                                               \
    {.op = "times_of_normals", .label = text, .inputs = {OP_RANGE("normals", -6, 6, 127)}, .outputs = 1,               \
     .build = build_times_of_normals, .reference = refer_times_of_normals, .tolerance = 2e-7, .n = {0, 0, path}}
#define INTERPOLANT_ROW(text, path, place, images, ...)                                                                \
    {.op = "interpolant", .label = text,                                                                               \
     .inputs = {OP_INPUT("x", images, __VA_ARGS__), OP_RANGE("noise", -4, 4, images, __VA_ARGS__),                     \
                OP_RANGE("t", 0, 1, images)},                                                                          \
     .outputs = 2, .build = build_interpolant, .reference = refer_interpolant, .tolerance = 2e-7, .n = {path, place}}
#define SQUARED_ERROR_ROW(text, ...)                                                                                   \
    {.op = "squared_error", .label = text,                                                                             \
     .inputs = {OP_GRADIENT("prediction", __VA_ARGS__), OP_INPUT("target", __VA_ARGS__)},                              \
     .outputs = 1, .build = build_squared_error, .reference = refer_squared_error, .tolerance = 1.5e-7,                \
     .gradient_tolerance = 1e-6}
#define COSINE_ROW(text, ...)                                                                                          \
    {.op = "cosine_loss", .label = text,                                                                               \
     .inputs = {OP_GRADIENT("prediction", __VA_ARGS__), OP_INPUT("target", __VA_ARGS__)},                              \
     .outputs = 1, .build = build_cosine_loss, .reference = refer_cosine_loss, .tolerance = 1e-6,                      \
     .gradient_tolerance = 1e-5, .x = {1e-8}}
#define TERM(text, count, differentiable)                                                                              \
    {.name = text, .shape = SHAPE(count), .low = 0, .high = 2, .gradient = differentiable}

static const op_row training_rows[] = {
    TIMES_ROW("uniform, 1", 1, TIME_UNIFORM, PATH_LINEAR),
    TIMES_ROW("uniform, 127", 127, TIME_UNIFORM, PATH_COSINE),
    TIMES_ROW("log-normal, linear, 127", 127, TIME_LOGNORMAL, PATH_LINEAR),
    TIMES_ROW("log-normal, cosine, 13", 13, TIME_LOGNORMAL, PATH_COSINE),
    TIMES_ROW("discrete, 127", 127, TIME_DISCRETE, PATH_LINEAR),
    TIMES_OF_NORMALS_ROW("linear", PATH_LINEAR),
    TIMES_OF_NORMALS_ROW("cosine", PATH_COSINE),
    {.op = "drop_labels", .label = "a tenth of 1031", .inputs = {OP_STEPS, OP_INTEGERS("labels", 0, 9, 1031)},
     .outputs = 1, .build = build_drop_labels, .reference = refer_drop_labels, .n = {10}, .x = {0.1}},
    {.op = "drop_labels", .label = "none", .inputs = {OP_STEPS, OP_INTEGERS("labels", 0, 9, 13)}, .outputs = 1,
     .build = build_drop_labels, .reference = refer_drop_labels, .n = {10}, .x = {0}},
    {.op = "drop_labels", .label = "all", .inputs = {OP_STEPS, OP_INTEGERS("labels", 0, 9, 13)}, .outputs = 1,
     .build = build_drop_labels, .reference = refer_drop_labels, .n = {10}, .x = {1}},
    {.op = "ring_read", .label = "4 of 13x7x3", .inputs = {OP_STEPS, OP_INPUT("ring", 4, 13, 7, 3)}, .outputs = 1,
     .build = build_ring_read, .reference = refer_ring_read, .tolerance = 1e-9},
    {.op = "ring_read", .label = "3 of 257 labels", .inputs = {OP_STEPS, OP_INTEGERS("ring", 0, 4e9, 3, 257)},
     .outputs = 1, .build = build_ring_read, .reference = refer_ring_read},
    INTERPOLANT_ROW("linear, 1", PATH_LINEAR, 0, 1, 1),
    INTERPOLANT_ROW("linear, 13x3x5x7", PATH_LINEAR, 0, 13, 3, 5, 7),
    INTERPOLANT_ROW("cosine, 3x127", PATH_COSINE, 0, 3, 127),
    INTERPOLANT_ROW("cosine in place, 5x65", PATH_COSINE, 1, 5, 65),
    {.op = "guided_target", .label = "the interval's ends",
     .inputs = {OP_INPUT("target", 10, 33), OP_INPUT("final", 10, 33), OP_INPUT("intermediate", 10, 33),
                OP_FILLED("t", fill_end_times, 10)},
     .outputs = 1, .build = build_guided_target, .reference = refer_guided_target, .tolerance = 2e-7,
     .x = {1.4, 0.1, 0.9}},
    {.op = "guided_target", .label = "in place",
     .inputs = {OP_INPUT("target", 3, 2, 70), OP_INPUT("final", 3, 2, 70), OP_INPUT("intermediate", 3, 2, 70),
                OP_RANGE("t", 0, 1, 3)},
     .outputs = 1, .build = build_guided_target, .reference = refer_guided_target, .tolerance = 2e-7, .n = {0, 1},
     .x = {2.5, 0, 1}},
    SQUARED_ERROR_ROW("1", 1, 1),
    SQUARED_ERROR_ROW("13x127", 13, 127),
    SQUARED_ERROR_ROW("3x4x32x32", 3, 4, 32, 32),
    SQUARED_ERROR_ROW("2x3x127x129", 2, 3, 127, 129),
    COSINE_ROW("1", 1, 1, 1),
    COSINE_ROW("13x4x5x7", 13, 4, 5, 7),
    COSINE_ROW("3x32x129", 3, 32, 129),
    {.op = "cosine_loss", .label = "of nothing", .inputs = {OP_FILLED("prediction", fill_nothing, 2, 3, 5),
     OP_INPUT("target", 2, 3, 5)}, .outputs = 1, .build = build_cosine_loss, .reference = refer_cosine_loss,
     .tolerance = 1e-7, .x = {1e-8}},
    {.op = "loss", .label = "1", .inputs = {OP_STEPS, TERM("final", 1, true), TERM("auxiliary", 1, true)},
     .outputs = 1, .build = build_loss, .reference = refer_loss, .tolerance = 1e-7, .gradient_tolerance = 1e-6,
     .n = {2}, .x = {1, 0.5}},
    {.op = "loss", .label = "3 terms of 127",
     .inputs = {OP_STEPS, TERM("final", 127, true), TERM("auxiliary", 127, true), TERM("cosine", 127, true)},
     .outputs = 1, .build = build_loss, .reference = refer_loss, .tolerance = 1e-7, .gradient_tolerance = 1e-6,
     .n = {3}, .x = {1, 0.3, 0.7}},
    {.op = "write_losses", .label = "13",
     .inputs = {OP_STEPS, OP_METRICS, TERM("final", 13, false), TERM("auxiliary", 13, false)},
     .build = build_write_losses, .reference = refer_write_losses, .tolerance = 1e-7, .n = {2}, .x = {1, 0.5}},
    {.op = "write_losses", .label = "one term",
     .inputs = {OP_STEPS, OP_METRICS, TERM("final", 5, false)},
     .build = build_write_losses, .reference = refer_write_losses, .tolerance = 1e-7, .n = {1}, .x = {1}},
};
