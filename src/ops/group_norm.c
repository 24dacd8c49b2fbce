// SPDX-License-Identifier: MIT
// group_norm: y = (x - mean) / sqrt(variance + epsilon) * weight + bias, then SiLU where asked; x, y [N, C, H, W]; mean
// and variance of each group of C / groups neighbouring channels, which lie together. Groups are large (2^21 numbers at
// 512 x 512), so their statistics are made of chunks: no sum is long, and no variance is a difference of large numbers.
#include "ops/common.h"
#include "ops/ops.h"

#include "elements.h"

extern const operator group_norm_operator;

typedef struct group_norm_attributes {
    uint32_t groups;
    float epsilon;
    bool silu;
} group_norm_attributes;

enum { IN_X, IN_WEIGHT, IN_BIAS, IN_COUNT };

#define CHUNK 8192 // numbers; a multiple of every workgroup's turn

static igvk_status group_norm_shapes(const graph *g, const node *n, output_shapes *out) {
    const group_norm_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, IN_X, "x", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, IN_X);
    char text[64];
    if (x.rank != 4 || a->groups == 0 || x.dim[1] % a->groups)
        THROW(IGVK_ERROR_INVALID, "group_norm: input 'x' is %s, must be [N, C, H, W], C a multiple of %u groups",
              shape_text(text, x), a->groups);
    TRY(check_shape(g, n, IN_WEIGHT, "weight", STORAGE_F32, SHAPE(x.dim[1])));
    TRY(check_shape(g, n, IN_BIAS, "bias", STORAGE_F32, SHAPE(x.dim[1])));
    add_output(out, STORAGE_F32, x);
done:
    return status;
}

// Mean and sum of squared deviations of each chunk: [groups, chunks, 2].
static igvk_status lower_chunks(lowering *l, const node *n, uint64_t groups, uint64_t elements, tensor_id chunks) {
    dispatch d = {.shader = "group_norm_chunks", .local_size = vector_local_size(l->capabilities)};
    const uint64_t per_group = shape_of(l->graph, chunks).dim[1];
    dispatch_groups_linear(&d, l->capabilities, groups * per_group, 1);
    dispatch_constant(&d, CHUNK);
    dispatch_constant(&d, (uint32_t)elements);
    dispatch_constant(&d, (uint32_t)per_group);
    dispatch_scalar(&d, (uint32_t)(groups * per_group));
    dispatch_bind(&d, n->inputs[IN_X], ACCESS_READ);
    dispatch_bind(&d, chunks, ACCESS_WRITE);
    return lowering_emit(l, &d);
}

// Mean and 1 / sqrt(variance + epsilon) of each group: [groups, 2].
static igvk_status lower_statistics(lowering *l, const node *n, uint64_t groups, uint64_t elements, tensor_id chunks,
                                    tensor_id statistics) {
    const group_norm_attributes *a = n->attributes;
    dispatch d = dispatch_invocations(l, "group_norm_statistics", groups);
    dispatch_constant(&d, CHUNK);
    dispatch_constant(&d, (uint32_t)elements);
    dispatch_constant(&d, (uint32_t)shape_of(l->graph, chunks).dim[1]);
    dispatch_scalar(&d, (uint32_t)groups);
    dispatch_scalar_f32(&d, (float)(1.0 / (double)elements));
    dispatch_scalar_f32(&d, a->epsilon);
    dispatch_bind(&d, chunks, ACCESS_READ);
    dispatch_bind(&d, statistics, ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static igvk_status lower_normalise(lowering *l, const node *n, tensor_id statistics) {
    const group_norm_attributes *a = n->attributes;
    const tensor_shape x = input_shape(l->graph, n, IN_X);
    const uint64_t pixels = x.dim[2] * x.dim[3];
    const uint32_t local = vector_local_size(l->capabilities);
    const uint64_t per_group = (uint64_t)local * ELEMENTS_UNROLLED * (l->capabilities->cpu ? ELEMENTS_CPU_TURNS : 1);
    dispatch d = {
        .shader = "group_norm",
        .local_size = local,
        .groups = {(uint32_t)((pixels + per_group - 1) / per_group), (uint32_t)x.dim[1], (uint32_t)x.dim[0]},
    };
    dispatch_constant(&d, (uint32_t)pixels);
    dispatch_constant(&d, (uint32_t)x.dim[1]);
    dispatch_constant(&d, (uint32_t)(x.dim[1] / a->groups));
    dispatch_constant(&d, a->silu);
    dispatch_constant(&d, (uint32_t)(per_group / local / ELEMENTS_UNROLLED));
    for (uint32_t i = 0; i < IN_COUNT; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind(&d, statistics, ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], IN_X);
    return lowering_emit(l, &d);
}

static igvk_status group_norm_lower(lowering *l, const node *n) {
    const group_norm_attributes *a = n->attributes;
    const tensor_shape x = input_shape(l->graph, n, IN_X);
    const uint64_t groups = x.dim[0] * a->groups, elements = shape_elements(x) / groups;
    const tensor_id chunks = graph_scratch(l->graph, STORAGE_F32, SHAPE(groups, (elements + CHUNK - 1) / CHUNK, 2));
    const tensor_id statistics = graph_scratch(l->graph, STORAGE_F32, SHAPE(groups, 2));
    igvk_status status = IGVK_OK;
    TRY(lower_chunks(l, n, groups, elements, chunks));
    TRY(lower_statistics(l, n, groups, elements, chunks, statistics));
    TRY(lower_normalise(l, n, statistics));
done:
    return status;
}

static node_cost group_norm_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 10);
}

const operator group_norm_operator = {
    .name = "group_norm",
    .attributes_size = sizeof(group_norm_attributes),
    .shapes = group_norm_shapes,
    .lower = group_norm_lower,
    .cost = group_norm_cost,
};

tensor_id op_group_norm(graph *g, tensor_id x, const group_norm_options *o) {
    const group_norm_attributes a = {o->groups, o->epsilon, o->silu};
    const tensor_id inputs[IN_COUNT] = {x, o->weight, o->bias};
    return graph_node(g, &group_norm_operator, &a, inputs, IN_COUNT);
}
