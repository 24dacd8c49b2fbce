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
    bool bf16;
} update;

static tensor_id state_chunk(const update *u, const char *set, uint32_t chunk) {
    return parameter_chunk(u->g, &(parameter_set){.layout = u->l, .arena_name = set, .role = ROLE_STATE}, chunk);
}

static tensor_id clip(graph *g, const parameter_layout *l, tensor_id steps) {
    const update u = {.g = g, .l = l};
    tensor_id squares = NO_TENSOR;
    tensor_id stop = graph_external(g, ROLE_STATE, "training.stop", STORAGE_U32, SHAPE(1));
    // A chain, so that any number of chunks ends in one list of partial sums.
    for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
        if (training_set_holds(SET_GRADIENT, parameter_chunk_group(l, k)))
            squares = op_squares(g, state_chunk(&u, SET_GRADIENT, k), squares);
    return op_gradient_norm(g, steps, squares, stop, training_metrics_tensor(g));
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
    op_adamw_ema(u->g, u->steps, u->norm, segments, &states);
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
        direction =
            op_muon_momentum(u->g, u->steps, u->norm, matrix(u, SET_GRADIENT, p), matrix(u, SET_MOMENT1, p), u->bf16);
        direction = op_orthogonalise(u->g, direction, u->bf16);
    }
    op_muon_apply(u->g, u->steps, u->norm, direction, matrix(u, SET_MODEL, p), matrix(u, SET_EMA, p),
                  matrix_scale(p->shape));
}

void build_update(graph *g, const parameter_layout *l, bool bf16) {
    const tensor_id steps = training_steps_tensor(g);
    const update u = {.g = g, .l = l, .steps = steps, .norm = clip(g, l, steps), .bf16 = bf16};
    for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
        if (parameter_chunk_group(l, k) == PARAMETER_ELEMENTS)
            update_chunk(&u, k);
    for (size_t i = 0; i < parameter_count(l); i++)
        if (parameter_at(l, i)->group == PARAMETER_MATRICES)
            update_matrix(&u, parameter_at(l, i));
    op_advance(g, steps);
}
