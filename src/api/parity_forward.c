// SPDX-License-Identifier: MIT
// Parity of a forward: every labelled tensor of the model that the folder has numbers for.
#include "api/loaded_model.h"
#include "api/parity_case.h"

#include "vulkan/run_once.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct forward_inputs {
    float *x, *t;
    uint32_t *labels;
    uint32_t *order, *restore, kept; // of a masked run, whose entry has "len_keep"
    const safetensors_entry *shape;  // of x: N, C, H, W
} forward_inputs;

static void free_inputs(forward_inputs *in) {
    free(in->x);
    free(in->t);
    free(in->labels);
    free(in->order);
    free(in->restore);
}

// "RUN/NAME", or plain NAME where all runs share it.
static const char *input_name(const parity_case *c, const char *run, const char *name, char out[128]) {
    snprintf(out, 128, "%s/%s", run, name);
    if (!safetensors_find(c->inputs, out))
        snprintf(out, 128, "%s", name);
    return out;
}

// Discrete times are whole numbers.
static igvk_status read_times(parity_case *c, const char *name, forward_inputs *in, const safetensors_entry **shape) {
    igvk_status status = IGVK_OK;
    uint32_t *whole = NULL;
    const safetensors_entry *e = safetensors_find(c->inputs, name);
    if (!e || e->type < ELEMENT_I64)
        return parity_floats(c->inputs, name, &in->t, shape);
    TRY(parity_words(c->inputs, name, &whole, shape));
    in->t = malloc(e->elements * sizeof *in->t + 1);
    if (!in->t) {
        status = fail_memory(name, e->elements * sizeof *in->t);
        goto done;
    }
    for (uint64_t i = 0; i < e->elements; i++)
        in->t[i] = (float)whole[i];
done:
    free(whole);
    return status;
}

static igvk_status read_inputs(parity_case *c, const char *run, forward_inputs *in) {
    igvk_status status = IGVK_OK;
    char name[128];
    const safetensors_entry *t = NULL, *y = NULL;
    TRY(parity_floats(c->inputs, input_name(c, run, "x", name), &in->x, &in->shape));
    TRY(read_times(c, input_name(c, run, "t", name), in, &t));
    if (safetensors_find(c->inputs, input_name(c, run, "y", name)))
        TRY(parity_words(c->inputs, name, &in->labels, &y));
    if (in->shape->rank != 4 || t->elements != in->shape->shape[0] || (y && y->elements != in->shape->shape[0]))
        THROW(IGVK_ERROR_INVALID, "%s: inputs of run '%s' do not fit each other", c->folder, run);
done:
    return status;
}

// ids_shuffle [N, T]: the tokens in their order, of which the first len_keep are seen.
static igvk_status read_order(parity_case *c, const json_t *entry, const model_config *m, forward_inputs *in) {
    igvk_status status = IGVK_OK;
    const safetensors_entry *e = NULL;
    const uint64_t tokens = model_tokens(m);
    TRY(parity_words(c->inputs, "ids_shuffle", &in->order, &e));
    TRY(parity_count(c, entry, "len_keep", 1, (uint32_t)tokens, 1, &in->kept));
    if (e->elements != in->shape->shape[0] * tokens)
        THROW(IGVK_ERROR_INVALID, "%s: ids_shuffle does not fit the images", c->folder);
    in->restore = calloc(e->elements + 1, sizeof *in->restore);
    if (!in->restore)
        THROW(IGVK_ERROR_MEMORY, "out of memory for an order");
    for (uint64_t i = 0; i < e->elements; i++) {
        if (in->order[i] >= tokens)
            THROW(IGVK_ERROR_INVALID, "%s: ids_shuffle names token %u of %llu", c->folder, in->order[i],
                  (unsigned long long)tokens);
        in->restore[i / tokens * tokens + in->order[i]] = (uint32_t)(i % tokens);
    }
done:
    return status;
}

// A tensor of the graph that the folder has numbers for.
typedef struct wanted {
    tensor_id tensor;
    char name[64]; // after the run's "RUN/"
    bool mean_abs; // the mean absolute value is compared, not the tensor
} wanted;

static double mean_abs(const float *values, uint64_t count) {
    double sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += fabs((double)values[i]);
    return sum / (double)count;
}

// The tensor of the graph that the folder calls so.
static tensor_id find_tensor(const graph *g, const char *name) {
    tensor_id t = graph_find(g, name);
    if (!tensor_is(t) && strcmp(name, "c") == 0)
        t = graph_find(g, "t_emb"); // without classes they are one
    if (strcmp(name, "x0") == 0)
        t = graph_find(g, "tokens"); // LightningDiT's cases say x0
    return t;
}

// All of the run's outputs that the graph has tensors for.
static size_t collect(const parity_case *c, const graph *g, const char *run, wanted *list) {
    static const char mean_suffix[] = ".mean_abs";
    const size_t suffix_length = sizeof mean_suffix - 1, prefix_length = strlen(run);
    size_t count = 0;
    for (size_t i = 0; i < safetensors_count(c->outputs); i++) {
        const char *full = safetensors_at(c->outputs, i)->name;
        if (strncmp(full, run, prefix_length) != 0 || full[prefix_length] != '/')
            continue;
        wanted *w = &list[count];
        *w = (wanted){0};
        snprintf(w->name, sizeof w->name, "%.60s", full + prefix_length + 1);
        const size_t length = strlen(w->name);
        w->mean_abs = length > suffix_length && strcmp(w->name + length - suffix_length, mean_suffix) == 0;
        if (w->mean_abs)
            w->name[length - suffix_length] = 0;
        w->tensor = find_tensor(g, w->name);
        count += tensor_is(w->tensor);
    }
    return count;
}

// Tensors of tokens have room for as many as a masked model may see; the folder has as many as it saw.
static uint64_t keep_seen(const parity_case *c, const char *run, const wanted *w, tensor_shape shape, float *values) {
    char name[256];
    snprintf(name, sizeof name, "%s/%s", run, w->name);
    const safetensors_entry *e = safetensors_find(c->outputs, name);
    if (!e || e->rank != 3 || shape.rank != 3 || e->shape[1] >= shape.dim[1])
        return shape_elements(shape);
    const uint64_t from = shape.dim[1] * shape.dim[2], to = e->shape[1] * shape.dim[2];
    for (uint64_t n = 0; n < shape.dim[0]; n++)
        memmove(values + n * to, values + n * from, to * sizeof *values);
    return shape.dim[0] * to;
}

static igvk_status give(parity_case *c, const char *run, const wanted *w, const float *values, uint64_t count) {
    float mean = (float)mean_abs(values, count);
    return w->mean_abs ? parity_give(c, &mean, 1, "%s/%s.mean_abs", run, w->name)
                       : parity_give(c, values, count, "%s/%s", run, w->name);
}

// Builds the model on external inputs x, t, labels.
static graph *build(const model_config *m, const parameter_set *set, uint64_t count, bool masked) {
    graph *g = graph_new();
    if (!g)
        return NULL;
    model_inputs in = {
        .x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(count, m->channels, m->height, m->width)),
        .t = graph_external(g, ROLE_INPUT, "t", STORAGE_F32, SHAPE(count))};
    if (m->classes)
        in.labels = graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(count));
    const tensor_shape tokens = SHAPE(count, model_tokens(m));
    const token_order order = {
        .order = masked ? graph_external(g, ROLE_INPUT, "order", STORAGE_U32, tokens) : NO_TENSOR,
        .restore = masked ? graph_external(g, ROLE_INPUT, "restore", STORAGE_U32, tokens) : NO_TENSOR,
        .kept = masked ? graph_external(g, ROLE_INPUT, "kept", STORAGE_U32, SHAPE(1)) : NO_TENSOR};
    in.order = masked ? &order : NULL;
    model_kind_find(m->kind)->build(g, m, set, &in);
    return g;
}

static igvk_status run_and_give(parity_case *c, const char *run, const model_config *m, store *s, graph **g,
                                const forward_inputs *in) {
    igvk_status status = IGVK_OK;
    wanted *list = calloc(safetensors_count(c->outputs) + 1, sizeof *list);
    once_output *outputs = calloc(safetensors_count(c->outputs) + 1, sizeof *outputs);
    tensor_shape *shapes = calloc(safetensors_count(c->outputs) + 1, sizeof *shapes);
    size_t count = 0;
    if (!list || !outputs || !shapes) {
        status = fail_memory("outputs", 0);
        goto done;
    }
    count = collect(c, *g, run, list);
    for (size_t i = 0; i < count; i++) {
        outputs[i] = (once_output){.tensor = list[i].tensor, .bytes = tensor_bytes(*g, list[i].tensor)};
        outputs[i].data = malloc(outputs[i].bytes);
        if (!outputs[i].data) {
            status = fail_memory(list[i].name, outputs[i].bytes);
            goto done;
        }
    }
    uint64_t n = in->shape->shape[0];
    once_input inputs[6] = {{"x", in->x, in->shape->elements * 4}, {"t", in->t, n * 4}};
    size_t input_count = 2;
    if (m->classes)
        inputs[input_count++] = (once_input){"labels", in->labels, n * 4};
    if (in->order) {
        const uint64_t bytes = n * model_tokens(m) * sizeof *in->order;
        inputs[input_count++] = (once_input){"order", in->order, bytes};
        inputs[input_count++] = (once_input){"restore", in->restore, bytes};
        inputs[input_count++] = (once_input){"kept", &in->kept, sizeof in->kept};
    }
    for (size_t i = 0; i < count; i++)
        shapes[i] = shape_of(*g, list[i].tensor);
    TRY(run_once(c->device, s, g, inputs, input_count, outputs, count));
    for (size_t i = 0; i < count; i++)
        TRY(give(c, run, &list[i], outputs[i].data, keep_seen(c, run, &list[i], shapes[i], outputs[i].data)));
done:
    for (size_t i = 0; i < count; i++)
        free(outputs[i].data);
    free(shapes);
    free(outputs);
    free(list);
    return status;
}

igvk_status parity_forward_run(parity_case *c, const json_t *entry) {
    igvk_status status = IGVK_OK;
    forward_inputs in = {0};
    model_config m;
    parameter_layout *layout = NULL;
    store *s = NULL;
    graph *g = NULL;
    const char *run = parity_text_or(entry, "name", "");
    const json_t *config = json_object_get(entry, "config");
    TRY(read_inputs(c, run, &in));
    TRY(parity_model_config(c, config ? config : json_object_get(c->root, "config"), in.shape->shape[2],
                            in.shape->shape[3], &m));
    if (m.channels != in.shape->shape[1] || (m.classes && !in.labels))
        THROW(IGVK_ERROR_INVALID, "%s: inputs of run '%s' do not fit its configuration", c->folder, run);
    if (m.classes)
        TRY(parity_check_labels(c, &m, in.labels, in.shape->shape[0]));
    if (json_object_get(entry, "len_keep"))
        TRY(read_order(c, entry, &m, &in));
    layout = layout_for(c->device, &m, c->precision);
    if (!layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    TRY(parameter_layout_check(layout));
    TRY(store_create(c->device, &s));
    TRY(parity_load_weights(c, s, layout, "model", c->precision, c->weights, parity_text_or(entry, "weights_prefix", "")));
    const parameter_set set = {.layout = layout, .arena_name = "model", .role = ROLE_PARAMETER, .type = c->precision};
    g = build(&m, &set, in.shape->shape[0], in.order != NULL);
    TRY(g ? graph_check(g) : fail_memory("a graph", 0));
    TRY(run_and_give(c, run, &m, s, &g, &in));
done:
    graph_destroy(&g);
    store_destroy(&s);
    parameter_layout_destroy(&layout);
    free_inputs(&in);
    return status;
}

igvk_status parity_run_forward(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *entry;
    json_array_foreach(c->runs, i, entry) TRY(parity_forward_run(c, entry));
done:
    return status;
}
