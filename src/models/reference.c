// SPDX-License-Identifier: MIT
#include "models/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_FEATURES 256

typedef struct reference {
    const model_config *c;
    const parameter_layout *l;
    const float *const *parameters;
    uint32_t tokens, hidden, inner; // T, D, C p p
    double *x, *h, *qkv, *wide;     // [T, D], [T, D], [T, 3D], [T, 4D]: one sample at a time
    double *condition, *silu, *modulation; // [D], [D], [6D]
} reference;

static const float *find(const reference *r, const char *format, uint32_t block, const char *suffix) {
    char prefix[64], name[96];
    snprintf(prefix, sizeof prefix, format, block);
    snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    for (size_t i = 0; i < parameter_count(r->l); i++)
        if (strcmp(parameter_at(r->l, i)->name, name) == 0 || strcmp(parameter_at(r->l, i)->name, prefix) == 0)
            return r->parameters[i];
    return NULL;
}

// y [rows, out] = x [rows, in] W^T + b
static void linear(const reference *r, const double *x, uint32_t rows, uint32_t in, uint32_t out, const char *format, uint32_t block, double *y) {
    const float *w = find(r, format, block, "weight"), *b = find(r, format, block, "bias");
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t o = 0; o < out; o++) {
            double sum = b[o];
            for (uint32_t k = 0; k < in; k++)
                sum += x[i * in + k] * w[o * in + k];
            y[i * out + o] = sum;
        }
}

static double silu(double x) { return x / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))); }

// LN over n values without affine.
static void normalise(const double *x, uint32_t n, double epsilon, double *y) {
    double mean = 0, variance = 0;
    for (uint32_t i = 0; i < n; i++)
        mean += x[i] / n;
    for (uint32_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / n;
    for (uint32_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(variance + epsilon);
}

static void modulate(reference *r, const double *shift, const double *scale) {
    for (uint32_t i = 0; i < r->tokens; i++) {
        double *row = r->h + i * r->hidden;
        normalise(r->x + i * r->hidden, r->hidden, 1e-6, row);
        for (uint32_t d = 0; d < r->hidden; d++)
            row[d] = row[d] * (1 + scale[d]) + shift[d];
    }
}

static void embed_patches(reference *r, const float *image) {
    const model_config *c = r->c;
    const float *w = find(r, "x_embedder.proj", 0, "weight"), *b = find(r, "x_embedder.proj", 0, "bias"), *table = find(r, "pos_embed", 0, "");
    uint32_t columns = c->width / c->patch;
    for (uint32_t i = 0; i < r->tokens; i++)
        for (uint32_t d = 0; d < r->hidden; d++) {
            double sum = b[d] + table[i * r->hidden + d];
            for (uint32_t k = 0; k < r->inner; k++) { // (channel, row, column) of the patch
                uint32_t channel = k / (c->patch * c->patch), row = k / c->patch % c->patch, column = k % c->patch;
                uint32_t y = i / columns * c->patch + row, x = i % columns * c->patch + column;
                sum += (double)w[d * r->inner + k] * image[(channel * c->height + y) * c->width + x];
            }
            r->x[i * r->hidden + d] = sum;
        }
}

static void embed_conditions(reference *r, float t, uint32_t label) {
    double features[TIME_FEATURES];
    for (int k = 0; k < TIME_FEATURES / 2; k++) {
        float frequency = expf((float)(-log(10000.0)) * (float)k / (TIME_FEATURES / 2)), angle = t * frequency; // f32 as the official code
        features[k] = cos((double)angle);
        features[TIME_FEATURES / 2 + k] = sin((double)angle);
    }
    linear(r, features, 1, TIME_FEATURES, r->hidden, "t_embedder.mlp.0", 0, r->silu);
    for (uint32_t d = 0; d < r->hidden; d++)
        r->silu[d] = silu(r->silu[d]);
    linear(r, r->silu, 1, r->hidden, r->hidden, "t_embedder.mlp.2", 0, r->condition);
    for (uint32_t d = 0; d < r->hidden; d++) {
        if (r->c->classes)
            r->condition[d] += find(r, "y_embedder.embedding_table", 0, "weight")[label * r->hidden + d];
        r->silu[d] = silu(r->condition[d]);
    }
}

static void qk_norm(reference *r, uint32_t block) {
    uint32_t d = r->hidden / r->c->heads;
    static const char *const formats[] = {"blocks.%u.attn.q_norm", "blocks.%u.attn.k_norm"};
    for (uint32_t i = 0; i < r->tokens; i++)
        for (uint32_t k = 0; k < 2 * r->c->heads; k++) {
            double *head = r->qkv + i * 3 * r->hidden + k * d;
            const float *w = find(r, formats[k / r->c->heads], block, "weight"), *b = find(r, formats[k / r->c->heads], block, "bias");
            normalise(head, d, 1e-5, head);
            for (uint32_t e = 0; e < d; e++)
                head[e] = head[e] * w[e] + b[e];
        }
}

// h [T, D] = attention of qkv, one query and head at a time; scores in r->wide.
static void attend(reference *r) {
    uint32_t d = r->hidden / r->c->heads, stride = 3 * r->hidden;
    for (uint32_t i = 0; i < r->tokens; i++)
        for (uint32_t head = 0; head < r->c->heads; head++) {
            const double *q = r->qkv + i * stride + head * d;
            double most = -INFINITY, sum = 0, *out = r->h + i * r->hidden + head * d;
            for (uint32_t j = 0; j < r->tokens; j++) {
                const double *k = r->qkv + j * stride + r->hidden + head * d;
                r->wide[j] = 0;
                for (uint32_t e = 0; e < d; e++)
                    r->wide[j] += q[e] * k[e] / sqrt((double)d);
                most = fmax(most, r->wide[j]);
            }
            for (uint32_t j = 0; j < r->tokens; j++)
                sum += r->wide[j] = exp(r->wide[j] - most);
            memset(out, 0, d * sizeof *out);
            for (uint32_t j = 0; j < r->tokens; j++)
                for (uint32_t e = 0; e < d; e++)
                    out[e] += r->wide[j] / sum * r->qkv[j * stride + 2 * r->hidden + head * d + e];
        }
}

// x += gate * y, y in r->qkv.
static void add_gated(reference *r, const double *gate) {
    for (uint32_t i = 0; i < r->tokens * r->hidden; i++)
        r->x[i] += gate[i % r->hidden] * r->qkv[i];
}

static void block(reference *r, uint32_t i) {
    uint32_t d = r->hidden, wide = (uint32_t)(d * r->c->mlp_ratio);
    double *m = r->modulation; // shift, scale, gate of attention, then of the MLP
    linear(r, r->silu, 1, d, 6 * d, "blocks.%u.adaLN_modulation.1", i, m);
    modulate(r, m, m + d);
    linear(r, r->h, r->tokens, d, 3 * d, "blocks.%u.attn.qkv", i, r->qkv);
    if (r->c->qk_norm)
        qk_norm(r, i);
    attend(r);
    linear(r, r->h, r->tokens, d, d, "blocks.%u.attn.proj", i, r->qkv);
    add_gated(r, m + 2 * d);
    modulate(r, m + 3 * d, m + 4 * d);
    linear(r, r->h, r->tokens, d, wide, "blocks.%u.mlp.fc1", i, r->wide);
    for (uint32_t k = 0; k < r->tokens * wide; k++)
        r->wide[k] = gelu(r->wide[k]);
    linear(r, r->wide, r->tokens, wide, d, "blocks.%u.mlp.fc2", i, r->qkv);
    add_gated(r, m + 5 * d);
}

static void final_layer(reference *r, const char *linear_name, const char *modulation_name, double *out) {
    const model_config *c = r->c;
    uint32_t columns = c->width / c->patch, channels = model_output_channels(c), inner = channels * c->patch * c->patch;
    linear(r, r->silu, 1, r->hidden, 2 * r->hidden, modulation_name, 0, r->modulation);
    modulate(r, r->modulation, r->modulation + r->hidden);
    for (uint32_t i = 0; i < r->tokens; i++) {
        linear(r, r->h + i * r->hidden, 1, r->hidden, inner, linear_name, 0, r->qkv);
        for (uint32_t k = 0; k < inner; k++) { // (row, column, channel) of the patch
            uint32_t row = k / (c->patch * channels), column = k / channels % c->patch, channel = k % channels;
            uint32_t y = i / columns * c->patch + row, x = i % columns * c->patch + column;
            out[(channel * c->height + y) * c->width + x] = r->qkv[k];
        }
    }
}

static bool allocate(reference *r) {
    uint64_t t = r->tokens, d = r->hidden, wide = (uint64_t)((double)d * r->c->mlp_ratio) * t;
    uint64_t most = 3 * d * t > 2 * r->inner ? 3 * d * t : 2 * r->inner;
    r->x = calloc(t * d, sizeof *r->x);
    r->h = calloc(t * d, sizeof *r->h);
    r->qkv = calloc(most, sizeof *r->qkv);
    r->wide = calloc(wide > t ? wide : t, sizeof *r->wide);
    r->condition = calloc(d, sizeof *r->condition);
    r->silu = calloc(d, sizeof *r->silu);
    r->modulation = calloc(6 * d, sizeof *r->modulation);
    return r->x && r->h && r->qkv && r->wide && r->condition && r->silu && r->modulation;
}

igvk_status reference_sit(const model_config *c, const parameter_layout *l, const float *const *parameters, uint32_t count,
                          const float *x, const float *t, const uint32_t *labels, double *final_output, double *intermediate) {
    reference r = {.c = c, .l = l, .parameters = parameters, .tokens = model_tokens(c), .hidden = c->hidden,
                   .inner = c->channels * c->patch * c->patch};
    igvk_status status = allocate(&r) ? IGVK_OK : fail_memory("the reference model", 0);
    uint64_t elements = model_elements(c), outputs = elements << c->learn_sigma;
    for (uint32_t n = 0; status == IGVK_OK && n < count; n++) {
        embed_patches(&r, x + n * elements);
        embed_conditions(&r, t[n], c->classes ? labels[n] : 0);
        for (uint32_t i = 0; i < c->depth; i++) {
            block(&r, i);
            if (i + 1 == c->head_after)
                final_layer(&r, "final_layer_xr.linear", "final_layer_xr.adaLN_modulation.1",
                            intermediate + n * outputs);
        }
        final_layer(&r, "final_layer.linear", "final_layer.adaLN_modulation.1", final_output + n * outputs);
    }
    free(r.x);
    free(r.h);
    free(r.qkv);
    free(r.wide);
    free(r.condition);
    free(r.silu);
    free(r.modulation);
    return status;
}
