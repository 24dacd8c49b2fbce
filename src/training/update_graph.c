// SPDX-License-Identifier: MIT
// The update program as a graph.
#include "training/step_graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool training_set_holds(const char *set, parameter_group group) {
    if (group == PARAMETER_KEPT)
        return strcmp(set, SET_MODEL) == 0;
    return group == PARAMETER_ELEMENTS || strcmp(set, SET_MOMENT2) != 0;
}

typedef struct update {
    graph *g;
    const parameter_layout *l;
    tensor_id steps, norm;
    storage_type precision;
    bool zeroes, bf16;
} update;

static parameter_set copies_of(const update *u) {
    return (parameter_set){
        .layout = u->l, .role = ROLE_STATE, .copies = SET_COPIES, .copies_type = u->precision};
}

static tensor_id state_chunk(const update *u, const char *set, uint32_t chunk) {
    return parameter_chunk(u->g, &(parameter_set){.layout = u->l, .arena_name = set, .role = ROLE_STATE}, chunk);
}

static tensor_id clip(const update *u) {
    tensor_id squares = NO_TENSOR;
    // A chain, so that any number of chunks ends in one list of partial sums.
    for (uint32_t k = 0; k < parameter_chunk_count(u->l); k++)
        if (training_set_holds(SET_GRADIENT, parameter_chunk_group(u->l, k)))
            squares = op_squares(u->g, state_chunk(u, SET_GRADIENT, k), squares);
    return op_gradient_norm(u->g, u->steps, squares, training_guard_tensor(u->g), training_metrics_tensor(u->g),
                            training_scales_loss(u->precision));
}

static void update_chunk(const update *u, uint32_t chunk) {
    char name[32];
    snprintf(name, sizeof name, "segments.%u", chunk);
    tensor_id segments = graph_external(u->g, ROLE_INPUT, name, STORAGE_U32,
                                        SHAPE(parameter_chunk_elements(u->l, chunk) / PARAMETER_GRANULE));
    adamw_states states = {.parameter = state_chunk(u, SET_MODEL, chunk),
                           .gradient = state_chunk(u, SET_GRADIENT, chunk),
                           .moment1 = state_chunk(u, SET_MOMENT1, chunk),
                           .moment2 = state_chunk(u, SET_MOMENT2, chunk),
                           .ema = state_chunk(u, SET_EMA, chunk)};
    const tensor_id updated = op_adamw_ema(u->g, u->steps, u->norm, segments, &states, u->zeroes);
    if (u->precision != STORAGE_F32) {
        const parameter_set copies = copies_of(u);
        op_convert_into(u->g, updated, parameter_copies(u->g, &copies, chunk));
    }
}

// The first dimension stays, the others are one.
static tensor_shape matrix_shape(tensor_shape s) {
    return SHAPE(s.dim[0], shape_elements(s) / s.dim[0]);
}

static tensor_id matrix(const update *u, const char *set, const parameter *p) {
    return graph_view(u->g, state_chunk(u, set, p->chunk), p->first, matrix_shape(p->shape), p->name);
}

// sqrt(max(1, rows / columns)) of the matrix times 0.2 sqrt(max of the first two dimensions as they were).
static float matrix_scale(tensor_shape s) {
    const tensor_shape m = matrix_shape(s);
    const double ratio = (double)m.dim[0] / (double)m.dim[1];
    return (float)(sqrt(fmax(1, ratio)) * 0.2 * sqrt(fmax((double)s.dim[0], (double)s.dim[1])));
}

static void update_matrix(const update *u, const parameter *p) {
    tensor_id direction = NO_TENSOR;
    if (!p->frozen) {
        direction = op_muon_momentum(u->g, u->steps, u->norm, matrix(u, SET_GRADIENT, p), matrix(u, SET_MOMENT1, p),
                                     u->bf16, u->zeroes);
        direction = op_orthogonalise(u->g, direction, u->bf16);
    }
    const tensor_id updated = op_muon_apply(u->g, u->steps, u->norm, direction, matrix(u, SET_MODEL, p),
                                            matrix(u, SET_EMA, p), matrix_scale(p->shape));
    if (u->precision != STORAGE_F32 && p->product) {
        const parameter_set copies = copies_of(u);
        const tensor_id chunk = parameter_copies(u->g, &copies, p->chunk);
        op_convert_into(u->g, updated, graph_view(u->g, chunk, p->first, matrix_shape(p->shape), p->name));
    }
}

void build_update(graph *g, const parameter_layout *l, storage_type precision, gradient_sum sum, bool bf16) {
    update u = {.g = g,
                .l = l,
                .steps = training_steps_tensor(g),
                .precision = precision,
                .zeroes = sum == GRADIENT_ACCUMULATED,
                .bf16 = bf16};
    u.norm = clip(&u);
    for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
        if (parameter_chunk_group(l, k) == PARAMETER_ELEMENTS)
            update_chunk(&u, k);
    for (size_t i = 0; i < parameter_count(l); i++)
        if (parameter_at(l, i)->group == PARAMETER_MATRICES)
            update_matrix(&u, parameter_at(l, i));
    op_advance(g, u.steps);
}

void build_copies(graph *g, const parameter_layout *l, storage_type precision) {
    const update u = {.g = g, .l = l, .precision = precision};
    const parameter_set copies = copies_of(&u);
    for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
        op_convert_into(g, state_chunk(&u, SET_MODEL, k), parameter_copies(g, &copies, k));
}
