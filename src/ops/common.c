// SPDX-License-Identifier: MIT
// Checks of inputs and dispatches of the simple kinds.
#include "ops/common.h"

#include "elements.h"
#include "step_block.h"

const char *storage_name(storage_type type) {
    static const char *const names[] = {"f32", "u32", "f16", "bf16"};
    return names[type];
}

igvk_status check_input(const graph *g, const node *n, uint32_t i, const char *name, storage_type type) {
    if (i >= n->input_count || !tensor_is(n->inputs[i]))
        return fail(IGVK_ERROR_INVALID, "%s: input '%s' is missing", n->op->name, name);
    const tensor *t = tensor_of(g, n->inputs[i]);
    if (t->type != type)
        return fail(IGVK_ERROR_INVALID, "%s: input '%s' is of type %s, must be %s", n->op->name, name,
                    storage_name(t->type), storage_name(type));
    return check_count(n->op->name, shape_elements(t->shape));
}

igvk_status check_float(const graph *g, const node *n, uint32_t i, const char *name, storage_type *type) {
    const bool there = i < n->input_count && tensor_is(n->inputs[i]);
    *type = there ? tensor_of(g, n->inputs[i])->type : STORAGE_F32;
    return check_input(g, n, i, name, *type == STORAGE_U32 ? STORAGE_F32 : *type);
}

igvk_status check_shape(const graph *g, const node *n, uint32_t i, const char *name, storage_type type,
                        tensor_shape wanted) {
    char have[64], want[64];
    igvk_status status = check_input(g, n, i, name, type);
    if (status == IGVK_OK && !shape_equal(input_shape(g, n, i), wanted))
        status = fail(IGVK_ERROR_INVALID, "%s: input '%s' is %s, must be %s", n->op->name, name,
                      shape_text(have, input_shape(g, n, i)), shape_text(want, wanted));
    return status;
}

igvk_status check_steps(const graph *g, const node *n, uint32_t i) {
    return check_shape(g, n, i, "steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS));
}

igvk_status check_metrics(const graph *g, const node *n, uint32_t i) {
    return check_shape(g, n, i, "metrics", STORAGE_F32, SHAPE(STEP_RING * METRIC_WORDS));
}

void add_output(output_shapes *out, storage_type type, tensor_shape shape) {
    out->type[out->count] = type;
    out->shape[out->count++] = shape;
}

void dispatch_scalar_reciprocal(dispatch *d, uint64_t count) {
    const float high = (float)(1.0 / (double)count);
    dispatch_scalar_f32(d, high);
    dispatch_scalar_f32(d, (float)(1.0 / (double)count - (double)high));
}

uint64_t sample_elements(tensor_shape s) {
    return s.rank && s.dim[0] ? shape_elements(s) / s.dim[0] : 0;
}

igvk_status check_count(const char *what, uint64_t elements) {
    if (elements == 0 || elements > INT32_MAX)
        return fail(IGVK_ERROR_INVALID, "%s: a tensor of %llu elements, must have 1 to %d", what,
                    (unsigned long long)elements, INT32_MAX);
    return IGVK_OK;
}

#define INVOCATIONS_LOCAL 64

dispatch dispatch_invocations(const lowering *l, const char *shader, uint64_t invocations) {
    dispatch d = {.shader = shader, .local_size = INVOCATIONS_LOCAL};
    dispatch_groups_linear(&d, l->capabilities, invocations, INVOCATIONS_LOCAL);
    return d;
}

uint32_t vector_local_size(const capabilities *c) { return c->cpu ? c->vector_width : ELEMENTS_GPU_LOCAL; }

dispatch dispatch_elements(const lowering *l, const char *shader, uint64_t count) {
    dispatch d = {.shader = shader, .local_size = vector_local_size(l->capabilities)};
    const uint32_t turns = l->capabilities->cpu ? ELEMENTS_CPU_TURNS : ELEMENTS_GPU_TURNS;
    dispatch_groups_linear(&d, l->capabilities, count, (uint64_t)d.local_size * ELEMENTS_UNROLLED * turns);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_constant(&d, turns);
    return d;
}

dispatch dispatch_square_sums(const lowering *l, const char *shader, uint64_t rows, uint64_t parts, uint64_t elements) {
    dispatch d = {.shader = shader, .local_size = vector_local_size(l->capabilities)};
    const uint64_t blocks = parts / d.local_size;
    dispatch_groups_linear(&d, l->capabilities, rows * blocks, 1);
    dispatch_scalar(&d, (uint32_t)(rows * blocks));
    dispatch_scalar(&d, (uint32_t)blocks);
    dispatch_scalar(&d, (uint32_t)elements);
    dispatch_scalar(&d, (uint32_t)align_up((elements + parts - 1) / parts, 4)); // the kernel's loop is unrolled by 4
    return d;
}

dispatch dispatch_means_of_pairs(const lowering *l, uint64_t rows, uint64_t parts, uint64_t elements) {
    dispatch d = dispatch_invocations(l, "sum_pairs", rows);
    dispatch_scalar(&d, (uint32_t)rows);
    dispatch_scalar(&d, 1);
    dispatch_scalar(&d, (uint32_t)parts);
    dispatch_scalar_reciprocal(&d, elements);
    dispatch_constant(&d, 1); // the mean
    dispatch_constant(&d, 0);
    return d;
}

node_cost elementwise_cost(const graph *g, const node *n, double flops) {
    node_cost cost = {.flops = flops * (double)shape_elements(shape_of(g, n->outputs[0]))};
    for (uint32_t i = 0; i < n->input_count; i++)
        if (tensor_is(n->inputs[i]))
            cost.bytes += (double)tensor_bytes(g, n->inputs[i]);
    for (uint32_t k = 0; k < n->output_count; k++)
        cost.bytes += (double)tensor_bytes(g, n->outputs[k]);
    return cost;
}

node_cost copy_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 0); }
