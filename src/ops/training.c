// SPDX-License-Identifier: MIT
// What a training step starts from: its block of the rings, times, dropped labels, the interpolant, the target.
#include "core/philox.h"
#include "ops/common.h"
#include "ops/ops.h"

#include <math.h>

// ---- times: drawn, or of given normals -> [N] ----------------------------------------------------------------

typedef struct times_attributes {
    uint32_t count;
    time_weighting weighting;
    path_kind path;
} times_attributes;

static igvk_status sample_times_shapes(const graph *g, const node *n, output_shapes *out) {
    const times_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_count("sample_times", a->count));
    add_output(out, STORAGE_F32, SHAPE(a->count));
done:
    return status;
}

static igvk_status times_of_normals_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_input(g, n, 0, "normals", STORAGE_F32);
    if (status == IGVK_OK)
        add_output(out, STORAGE_F32, input_shape(g, n, 0));
    return status;
}

static igvk_status times_lower(lowering *l, const node *n) {
    const times_attributes *a = n->attributes;
    const uint64_t count = shape_elements(shape_of(l->graph, n->outputs[0]));
    dispatch d = dispatch_invocations(l, n->op->name, count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_scalar(&d, STREAM_TIME);
    dispatch_constant(&d, a->weighting);
    dispatch_constant(&d, a->path == PATH_COSINE);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator sample_times_operator = {
    .name = "sample_times",
    .attributes_size = sizeof(times_attributes),
    .shapes = sample_times_shapes,
    .lower = times_lower,
    .cost = copy_cost,
};

const operator times_of_normals_operator = {
    .name = "times_of_normals",
    .attributes_size = sizeof(times_attributes),
    .shapes = times_of_normals_shapes,
    .lower = times_lower,
    .cost = copy_cost,
};

tensor_id op_sample_times(graph *g, tensor_id steps, uint32_t count, time_weighting w, path_kind path) {
    const times_attributes a = {count, w, path};
    return graph_node(g, &sample_times_operator, &a, &steps, 1);
}

tensor_id op_times_of_normals(graph *g, tensor_id normals, path_kind path) {
    const times_attributes a = {0, TIME_LOGNORMAL, path};
    return graph_node(g, &times_of_normals_operator, &a, &normals, 1);
}

// ---- drop_labels: labels u32 [N] -> [N] ----------------------------------------------------------------------

typedef struct drop_attributes {
    float probability;
    uint32_t null_class;
} drop_attributes;

static igvk_status drop_labels_shapes(const graph *g, const node *n, output_shapes *out) {
    const drop_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_input(g, n, 1, "labels", STORAGE_U32));
    if (!(a->probability >= 0 && a->probability <= 1))
        THROW(IGVK_ERROR_INVALID, "drop_labels: probability %g, must be from 0 to 1", (double)a->probability);
    add_output(out, STORAGE_U32, input_shape(g, n, 1));
done:
    return status;
}

static igvk_status drop_labels_lower(lowering *l, const node *n) {
    const drop_attributes *a = n->attributes;
    const uint64_t count = shape_elements(input_shape(l->graph, n, 1));
    // The sample's number, (k + 1/2) 2^-24, is below the probability for k below this.
    const double threshold = ceil((double)a->probability * 0x1p24 - 0.5);
    dispatch d = dispatch_invocations(l, "drop_labels", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_scalar(&d, STREAM_LABEL_DROP);
    dispatch_scalar(&d, threshold > 0 ? (uint32_t)threshold : 0);
    dispatch_scalar(&d, a->null_class);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 1);
    return lowering_emit(l, &d);
}

const operator drop_labels_operator = {
    .name = "drop_labels",
    .attributes_size = sizeof(drop_attributes),
    .shapes = drop_labels_shapes,
    .lower = drop_labels_lower,
    .cost = copy_cost,
};

tensor_id op_drop_labels(graph *g, tensor_id steps, tensor_id labels, float probability, uint32_t null_class) {
    const drop_attributes a = {probability, null_class};
    const tensor_id inputs[] = {steps, labels};
    return graph_node(g, &drop_labels_operator, &a, inputs, 2);
}

// ---- ring_read: ring [R, ...] -> [...] -----------------------------------------------------------------------

static igvk_status ring_read_shapes(const graph *g, const node *n, output_shapes *out) {
    const storage_type type = tensor_of(g, n->inputs[1])->type;
    char text[64];
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_input(g, n, 1, "ring", type == STORAGE_U32 ? STORAGE_U32 : STORAGE_F32));
    tensor_shape ring = input_shape(g, n, 1), block = {.rank = ring.rank - 1};
    if (ring.rank < 2)
        THROW(IGVK_ERROR_INVALID, "ring_read: input 'ring' is %s, must have 2 dimensions or more",
              shape_text(text, ring));
    for (uint32_t k = 0; k < block.rank; k++)
        block.dim[k] = ring.dim[k + 1];
    add_output(out, type, block);
done:
    return status;
}

static igvk_status ring_read_lower(lowering *l, const node *n) {
    dispatch d = dispatch_elements(l, "ring_read", shape_elements(shape_of(l->graph, n->outputs[0])));
    dispatch_scalar(&d, (uint32_t)input_shape(l->graph, n, 1).dim[0]);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static node_cost ring_read_cost(const graph *g, const node *n) {
    return (node_cost){.bytes = 2.0 * (double)tensor_bytes(g, n->outputs[0])};
}

const operator ring_read_operator = {
    .name = "ring_read",
    .shapes = ring_read_shapes,
    .lower = ring_read_lower,
    .cost = ring_read_cost,
};

tensor_id op_ring_read(graph *g, tensor_id steps, tensor_id ring) {
    const tensor_id inputs[] = {steps, ring};
    return graph_node(g, &ring_read_operator, NULL, inputs, 2);
}

// ---- interpolant: x, noise [N, ...], t [N] -> x_t, target ------------------------------------------------------

static igvk_status interpolant_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "x", STORAGE_F32));
    tensor_shape x = input_shape(g, n, 0);
    TRY(check_shape(g, n, 1, "noise", STORAGE_F32, x));
    TRY(check_shape(g, n, 2, "t", STORAGE_F32, SHAPE(x.dim[0])));
    add_output(out, STORAGE_F32, x);
    add_output(out, STORAGE_F32, x);
done:
    return status;
}

static igvk_status interpolant_lower(lowering *l, const node *n) {
    const path_kind *path = n->attributes;
    const tensor_shape x = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "interpolant", shape_elements(x));
    dispatch_scalar(&d, (uint32_t)sample_elements(x));
    dispatch_constant(&d, *path == PATH_COSINE);
    for (uint32_t i = 0; i < 3; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    dispatch_bind_in_place(&d, n->outputs[1], 1);
    return lowering_emit(l, &d);
}

static node_cost interpolant_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 4); }

const operator interpolant_operator = {
    .name = "interpolant",
    .attributes_size = sizeof(path_kind),
    .shapes = interpolant_shapes,
    .lower = interpolant_lower,
    .cost = interpolant_cost,
};

tensor_id op_interpolant(graph *g, tensor_id x, tensor_id noise, tensor_id t, path_kind path) {
    const tensor_id inputs[] = {x, noise, t};
    return graph_node(g, &interpolant_operator, &path, inputs, 3);
}

// ---- guided_target: target, final, intermediate [N, ...], t [N] -> [N, ...] ------------------------------------

static igvk_status guided_target_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "target", STORAGE_F32));
    tensor_shape target = input_shape(g, n, 0);
    TRY(check_shape(g, n, 1, "final_output", STORAGE_F32, target));
    TRY(check_shape(g, n, 2, "intermediate", STORAGE_F32, target));
    TRY(check_shape(g, n, 3, "t", STORAGE_F32, SHAPE(target.dim[0])));
    add_output(out, STORAGE_F32, target);
done:
    return status;
}

static igvk_status guided_target_lower(lowering *l, const node *n) {
    const guided_target_options *o = n->attributes;
    const tensor_shape target = input_shape(l->graph, n, 0);
    dispatch d = dispatch_elements(l, "guided_target", shape_elements(target));
    dispatch_scalar(&d, (uint32_t)sample_elements(target));
    dispatch_scalar_f32(&d, (float)((double)o->weight - 1));
    dispatch_scalar_f32(&d, o->low);
    dispatch_scalar_f32(&d, o->high);
    for (uint32_t i = 0; i < 4; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 1);
    return lowering_emit(l, &d);
}

static node_cost guided_target_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 3); }

const operator guided_target_operator = {
    .name = "guided_target",
    .attributes_size = sizeof(guided_target_options),
    .shapes = guided_target_shapes,
    .lower = guided_target_lower,
    .cost = guided_target_cost,
};

tensor_id op_guided_target(graph *g, tensor_id target, tensor_id final_output, tensor_id intermediate, tensor_id t,
                           const guided_target_options *o) {
    const tensor_id inputs[] = {target, final_output, intermediate, t};
    return graph_node(g, &guided_target_operator, o, inputs, 4);
}
