// SPDX-License-Identifier: MIT
// Parity of Muon alone: the orthogonalised first gradient, the first update, parameters and momenta after steps with
// given gradients "g/NAME.K" on parameters "p/NAME".
#include "api/parity_case.h"

#include "training/training_state.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/run_once.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 3

typedef struct muon_case {
    parity_case *c;
    const char *name;
    parameter_layout *layout;
    store *store;
    optimizer_settings optimizer;
} muon_case;

static igvk_status read_settings(muon_case *m, const json_t *run) {
    igvk_status status = IGVK_OK;
    const json_t *config = json_object_get(m->c->root, "config");
    m->name = parity_text_or(run, "name", "");
    m->optimizer.kind = OPTIMIZER_MUON;
    m->optimizer.bf16 = strcmp(parity_text_or(run, "newton_schulz", "f32"), "bf16") == 0;
    TRY(parity_number(m->c, config, "lr", &m->optimizer.learning_rate));
    TRY(parity_number(m->c, config, "momentum", &m->optimizer.momentum));
    TRY(parity_number(m->c, config, "weight_decay", &m->optimizer.matrix_decay));
    m->optimizer.beta1 = m->optimizer.beta2 = 0.9; // no parameter is AdamW's
done:
    return status;
}

static igvk_status make_layout(muon_case *m) {
    m->layout = training_layout_create(m->c->device, OPTIMIZER_MUON);
    if (!m->layout)
        return fail_memory("the parameter layout", 0);
    for (size_t i = 0; i < safetensors_count(m->c->inputs); i++) {
        const safetensors_entry *e = safetensors_at(m->c->inputs, i);
        parameter p = {.name = e->name + 2, .shape = {.rank = e->rank}};
        if (strncmp(e->name, "p/", 2) != 0)
            continue;
        if (e->rank < 2 || e->rank > TENSOR_MAX_RANK)
            return fail(IGVK_ERROR_INVALID, "%s: input '%s' is no matrix", m->c->folder, e->name);
        memcpy(p.shape.dim, e->shape, e->rank * sizeof *e->shape);
        parameter_layout_add(m->layout, &p);
    }
    return parameter_layout_check(m->layout);
}

// Input "p/NAME", or "g/NAME.STEP" where step >= 0, of parameter p's size.
static igvk_status read_input(const muon_case *m, const parameter *p, int step, float **values) {
    igvk_status status = IGVK_OK;
    char name[192];
    const safetensors_entry *e = NULL;
    if (step < 0)
        snprintf(name, sizeof name, "p/%s", p->name);
    else
        snprintf(name, sizeof name, "g/%s.%d", p->name, step);
    free(*values);
    *values = NULL;
    TRY(parity_floats(m->c->inputs, name, values, &e));
    if (e->elements != shape_elements(p->shape))
        THROW(IGVK_ERROR_INVALID, "%s: input '%s' does not have its parameter's size", m->c->folder, name);
done:
    return status;
}

static igvk_status write_inputs(muon_case *m, const char *set, int step) {
    igvk_status status = IGVK_OK;
    float *values = NULL;
    for (size_t i = 0; i < parameter_count(m->layout); i++) {
        TRY(read_input(m, parameter_at(m->layout, i), step, &values));
        TRY(parameter_memory_write(m->store, m->layout, set, i, values));
    }
done:
    free(values);
    return status;
}

static igvk_status give_set(muon_case *m, const char *set, const char *what, int step) {
    igvk_status status = IGVK_OK;
    float *values = NULL;
    for (size_t i = 0; i < parameter_count(m->layout); i++) {
        const parameter *p = parameter_at(m->layout, i);
        const uint64_t count = shape_elements(p->shape);
        free(values);
        values = malloc(count * sizeof *values);
        if (!values) {
            status = fail_memory(p->name, count * sizeof *values);
            goto done;
        }
        TRY(parameter_memory_read(m->store, m->layout, set, i, values));
        TRY(parity_give(m->c, values, count, "%s/%s%d/%s", m->name, what, step, p->name));
    }
done:
    free(values);
    return status;
}

// [rows, columns] -> [columns, rows]
static void transpose(const float *from, uint64_t rows, uint64_t columns, float *to) {
    for (uint64_t i = 0; i < rows * columns; i++)
        to[i % columns * rows + i / columns] = from[i];
}

// values [R, C], replaced; `room` as large.
static igvk_status orthogonalise(muon_case *m, float *values, uint64_t rows, uint64_t columns, float *room) {
    igvk_status status = IGVK_OK;
    const bool tall = rows > columns;
    const tensor_shape wide = tall ? SHAPE(columns, rows) : SHAPE(rows, columns);
    const uint64_t bytes = rows * columns * sizeof *values;
    store *s = NULL;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    if (tall)
        transpose(values, rows, columns, room);
    else
        memcpy(room, values, bytes);
    const tensor_id out = op_orthogonalise(g, graph_external(g, ROLE_INPUT, "x", STORAGE_F32, wide), m->optimizer.bf16);
    TRY(store_create(m->c->device, &s));
    TRY(run_once(m->c->device, s, &g, &(once_input){"x", room, bytes}, 1, &(once_output){out, room, bytes}, 1));
    if (tall)
        transpose(room, columns, rows, values);
    else
        memcpy(values, room, bytes);
done:
    graph_destroy(&g);
    store_destroy(&s);
    return status;
}

static float rounded(const muon_case *m, float value) {
    uint32_t bits;
    if (!m->optimizer.bf16)
        return value;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

// "ortho" of the first gradient itself, "u1" of the first step's momentum, which is a multiple of it.
static igvk_status give_directions(muon_case *m, const parameter *p) {
    igvk_status status = IGVK_OK;
    const uint64_t count = shape_elements(p->shape), rows = p->shape.dim[0], columns = count / rows;
    const double rate = 1 - m->optimizer.momentum, first = rate + m->optimizer.momentum * rate;
    float *values = NULL, *room = malloc(count * sizeof *room);
    if (!room)
        return fail_memory(p->name, count * sizeof *room);
    for (int update = 0; update < 2; update++) {
        TRY(read_input(m, p, 0, &values));
        for (uint64_t i = 0; i < count; i++)
            values[i] = rounded(m, update ? (float)(first * values[i]) : values[i]);
        TRY(orthogonalise(m, values, rows, columns, room));
        for (uint64_t i = 0; i < count && update && rows > columns; i++)
            values[i] *= (float)sqrt((double)rows / (double)columns);
        TRY(parity_give(m->c, values, count, "%s/%s/%s", m->name, update ? "u1" : "ortho", p->name));
    }
done:
    free(values);
    free(room);
    return status;
}

static igvk_status take_step(muon_case *m, int step) {
    igvk_status status = IGVK_OK;
    TRY(write_inputs(m, SET_GRADIENT, step));
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    build_update(g, m->layout, STORAGE_F32, GRADIENT_ACCUMULATED, m->optimizer.bf16);
    optimizer_words(&m->optimizer, (uint64_t)step, 0, training_step_block(m->store, (uint32_t)step));
    TRY(run_once(m->c->device, m->store, &g, NULL, 0, NULL, 0));
    TRY(give_set(m, SET_MODEL, "param", step + 1));
    TRY(give_set(m, SET_MOMENT1, "momentum", step + 1));
done:
    return status;
}

static igvk_status run_one(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    muon_case m = {.c = c};
    TRY(read_settings(&m, run));
    TRY(make_layout(&m));
    TRY(store_create(c->device, &m.store));
    TRY(training_state_add(m.store, m.layout, STORAGE_F32));
    TRY(write_inputs(&m, SET_MODEL, -1));
    for (size_t i = 0; i < parameter_count(m.layout); i++)
        TRY(give_directions(&m, parameter_at(m.layout, i)));
    for (int step = 0; step < STEPS; step++)
        TRY(take_step(&m, step));
done:
    store_destroy(&m.store);
    parameter_layout_destroy(&m.layout);
    return status;
}

igvk_status parity_run_muon(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *run;
    json_array_foreach(c->runs, i, run) TRY(run_one(c, run));
done:
    return status;
}
