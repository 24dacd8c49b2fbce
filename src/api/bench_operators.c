// SPDX-License-Identifier: MIT
// Operators one by one, in the shapes of the model: M = batch x tokens rows.
#include "api/bench_internal.h"

#include <stdio.h>

// Tensors of any name and shape, made where they are missing.
static igvk_status external(bench *b, graph *g, storage_type type, tensor_shape s, const char *what, tensor_id *out) {
    char name[64];
    snprintf(name, sizeof name, "bench.%s.%d.%llu", what, (int)type, (unsigned long long)shape_elements(s));
    *out = graph_external(g, ROLE_INPUT, name, type, s);
    return store_add(b->store, name, shape_elements(s) * storage_bytes(type), STORE_DEVICE);
}

typedef struct product_row {
    const char *name;
    enum { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT } which;
    storage_type type; // of the weight
    bool bias_gelu, gate_residual;
} product_row;

static igvk_status product(bench *b, const product_row *p, uint64_t m, uint64_t k, uint64_t n) {
    igvk_status status = IGVK_OK;
    tensor_id x, w, dy, out;
    linear_options o = {0};
    char name[96];
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    TRY(external(b, g, STORAGE_F32, SHAPE(m, k), "x", &x));
    TRY(external(b, g, p->type, SHAPE(n, k), "w", &w));
    TRY(external(b, g, STORAGE_F32, SHAPE(m, n), "dy", &dy));
    if (p->bias_gelu || p->gate_residual)
        TRY(external(b, g, STORAGE_F32, SHAPE(n), "bias", &o.bias));
    if (p->bias_gelu)
        o.activation = ACTIVATION_GELU_TANH;
    if (p->gate_residual) {
        TRY(external(b, g, STORAGE_F32, SHAPE(1, n), "gate", &o.gate));
        TRY(external(b, g, STORAGE_F32, SHAPE(m, n), "residual", &o.residual));
    }
    out = p->which == FORWARD          ? op_linear(g, x, w, &o)
          : p->which == INPUT_GRADIENT ? op_linear_input_gradient(g, dy, w)
                                       : op_linear_weight_gradient(g, dy, x);
    snprintf(name, sizeof name, "%s %llux%llux%llu", p->name, (unsigned long long)m, (unsigned long long)k,
             (unsigned long long)n);
    TRY(bench_graph(b, name, &g, out, 2.0 * (double)m * (double)k * (double)n));
done:
    graph_destroy(&g);
    return status;
}

static igvk_status products(bench *b, uint64_t m, uint64_t k, uint64_t n) {
    static const product_row rows[] = {
        {.name = "linear forward", .which = FORWARD},
        {.name = "linear forward, bias and GELU", .which = FORWARD, .bias_gelu = true},
        {.name = "linear forward, bias, gate, residual", .which = FORWARD, .gate_residual = true},
        {.name = "linear forward, f16 weight", .which = FORWARD, .type = STORAGE_F16},
        {.name = "linear forward, bf16 weight", .which = FORWARD, .type = STORAGE_BF16},
        {.name = "linear input gradient", .which = INPUT_GRADIENT},
        {.name = "linear weight gradient", .which = WEIGHT_GRADIENT},
    };
    igvk_status status = bench_peaks(b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == IGVK_OK; i++)
        if (rows[i].type == STORAGE_F32 || device_capabilities(b->device)->storage_16bit)
            status = product(b, &rows[i], m, k, n);
    return status;
}

// Forward, and its gradient alone: the log-sum-exp that it reads is left at zero, which costs the same.
static igvk_status attention(bench *b, uint64_t images, uint64_t tokens, uint64_t heads, uint64_t dimension) {
    igvk_status status = IGVK_OK;
    const double flops = 4.0 * (double)(images * heads * tokens * tokens * dimension);
    tensor_id qkv, dy, dx, y;
    char name[96];
    graph *g = graph_new(), *backward = graph_new();
    if (!g || !backward)
        TRY(fail_memory("a graph", 0));
    TRY(external(b, g, STORAGE_F32, SHAPE(images, tokens, 3 * heads * dimension), "qkv", &qkv));
    y = op_attention(g, qkv, (uint32_t)heads);
    snprintf(name, sizeof name, "attention forward %llux%llu, %llu heads of %llu", (unsigned long long)images,
             (unsigned long long)tokens, (unsigned long long)heads, (unsigned long long)dimension);
    TRY(bench_graph(b, name, &g, y, flops));
    graph_keep_for_gradient(backward, true);
    TRY(external(b, backward, STORAGE_F32, SHAPE(images, tokens, 3 * heads * dimension), "qkv", &qkv));
    TRY(external(b, backward, STORAGE_F32, SHAPE(images, tokens, heads * dimension), "attended", &dy));
    y = op_attention(backward, qkv, (uint32_t)heads);
    TRY(graph_gradient(backward, &y, &dy, 1, &qkv, 1, &dx));
    snprintf(name, sizeof name, "attention forward and backward, %llu heads of %llu", (unsigned long long)heads,
             (unsigned long long)dimension);
    TRY(bench_graph(b, name, &backward, dx, 4.5 * flops)); // two products forward, seven backward
done:
    graph_destroy(&g);
    graph_destroy(&backward);
    return status;
}

static igvk_status norm(bench *b, uint64_t images, uint64_t tokens, uint64_t width) {
    igvk_status status = IGVK_OK;
    tensor_id x, scale, shift;
    char name[96];
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    TRY(external(b, g, STORAGE_F32, SHAPE(images, tokens, width), "x", &x));
    TRY(external(b, g, STORAGE_F32, SHAPE(images, width), "scale", &scale));
    TRY(external(b, g, STORAGE_F32, SHAPE(images, width), "shift", &shift));
    const norm_options o = {.scale = scale, .shift = shift, .epsilon = 1e-6f};
    snprintf(name, sizeof name, "norm and modulation %llux%llu", (unsigned long long)(images * tokens),
             (unsigned long long)width);
    TRY(bench_graph(b, name, &g, op_norm_modulate(g, x, &o), 0));
done:
    graph_destroy(&g);
    return status;
}

igvk_status bench_operators(bench *b) {
    igvk_status status = IGVK_OK;
    const uint64_t d = b->config.hidden, tokens = model_tokens(&b->config), images = b->o->batch;
    const uint64_t m = b->o->rows ? b->o->rows : images * tokens;
    const uint64_t shapes[4][2] = {{d, d}, {d, 3 * d}, {d, 4 * d}, {4 * d, d}};
    if (b->o->input)
        return products(b, m, b->o->input, b->o->output);
    for (size_t i = 0; i < 4; i++)
        TRY(products(b, m, shapes[i][0], shapes[i][1]));
    TRY(bench_peaks(b));
    TRY(attention(b, images, tokens, 12, 64));
    TRY(attention(b, images, tokens, 16, 72));
    TRY(norm(b, images, tokens, d));
done:
    return status;
}
