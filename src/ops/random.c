// SPDX-License-Identifier: MIT
// Counted random numbers: core/philox.h on the device.
#include "ops/common.h"
#include "ops/ops.h"

// ---- philox: counters u32 [N, 4], keys u32 [N, 2] -> words u32 [N, 4] ---------------------------------------

static igvk_status philox_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "counters", STORAGE_U32));
    uint64_t count = input_shape(g, n, 0).dim[0];
    TRY(check_shape(g, n, 0, "counters", STORAGE_U32, SHAPE(count, 4)));
    TRY(check_shape(g, n, 1, "keys", STORAGE_U32, SHAPE(count, 2)));
    add_output(out, STORAGE_U32, SHAPE(count, 4));
done:
    return status;
}

static igvk_status philox_lower(lowering *l, const node *n) {
    const uint64_t count = input_shape(l->graph, n, 0).dim[0];
    dispatch d = dispatch_invocations(l, "philox", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static node_cost random_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 50); }

const operator philox_operator = {
    .name = "philox",
    .shapes = philox_shapes,
    .lower = philox_lower,
    .cost = random_cost,
};

tensor_id op_philox(graph *g, tensor_id counters, tensor_id keys) {
    const tensor_id inputs[] = {counters, keys};
    return graph_node(g, &philox_operator, NULL, inputs, 2);
}

// ---- random_of_words: words u32 [N, 4] -> uniforms [N, 4], normals [N, 4] ------------------------------------

static igvk_status random_of_words_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "words", STORAGE_U32));
    tensor_shape s = SHAPE(input_shape(g, n, 0).dim[0], 4);
    TRY(check_shape(g, n, 0, "words", STORAGE_U32, s));
    add_output(out, STORAGE_F32, s);
    add_output(out, STORAGE_F32, s);
done:
    return status;
}

static igvk_status random_of_words_lower(lowering *l, const node *n) {
    const uint64_t count = input_shape(l->graph, n, 0).dim[0];
    dispatch d = dispatch_invocations(l, "random_of_words", count);
    dispatch_scalar(&d, (uint32_t)count);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, n->outputs[1], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator random_of_words_operator = {
    .name = "random_of_words",
    .shapes = random_of_words_shapes,
    .lower = random_of_words_lower,
    .cost = random_cost,
};

tensor_id op_random_of_words(graph *g, tensor_id words) {
    return graph_node(g, &random_of_words_operator, NULL, &words, 1);
}

// ---- normal: [N, ...] -------------------------------------------------------------------------------------

typedef struct normal_attributes {
    tensor_shape shape;
    uint32_t stream;
} normal_attributes;

enum { NORMAL_STEPS, NORMAL_SEEDS, NORMAL_INPUTS };

static igvk_status normal_shapes(const graph *g, const node *n, output_shapes *out) {
    const normal_attributes *a = n->attributes;
    igvk_status status = IGVK_OK;
    if (tensor_is(n->inputs[NORMAL_STEPS]))
        TRY(check_steps(g, n, NORMAL_STEPS));
    if (tensor_is(n->inputs[NORMAL_SEEDS]))
        TRY(check_shape(g, n, NORMAL_SEEDS, "seeds", STORAGE_U32, SHAPE(a->shape.dim[0], 2)));
    else if (!tensor_is(n->inputs[NORMAL_STEPS]))
        THROW(IGVK_ERROR_INVALID, "normal: neither 'steps' nor 'seeds' is given, one must name the seed");
    TRY(check_count("normal", shape_elements(a->shape)));
    add_output(out, STORAGE_F32, a->shape);
done:
    return status;
}

static igvk_status normal_lower(lowering *l, const node *n) {
    const normal_attributes *a = n->attributes;
    const tensor_id steps = n->inputs[NORMAL_STEPS], seeds = n->inputs[NORMAL_SEEDS];
    const uint64_t elements = sample_elements(a->shape), quads = (elements + 3) / 4;
    dispatch d = dispatch_invocations(l, "normal", a->shape.dim[0] * quads);
    dispatch_scalar(&d, (uint32_t)(a->shape.dim[0] * quads));
    dispatch_scalar(&d, (uint32_t)quads);
    dispatch_scalar(&d, (uint32_t)elements);
    dispatch_scalar(&d, a->stream);
    dispatch_constant(&d, tensor_is(steps));
    dispatch_constant(&d, tensor_is(seeds));
    dispatch_bind(&d, tensor_is(steps) ? steps : seeds, ACCESS_READ);
    dispatch_bind(&d, tensor_is(seeds) ? seeds : steps, ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator normal_operator = {
    .name = "normal",
    .attributes_size = sizeof(normal_attributes),
    .shapes = normal_shapes,
    .lower = normal_lower,
    .cost = random_cost,
};

tensor_id op_normal(graph *g, tensor_id steps, tensor_id seeds, uint32_t stream, tensor_shape shape) {
    const normal_attributes a = {.shape = shape, .stream = stream};
    const tensor_id inputs[NORMAL_INPUTS] = {[NORMAL_STEPS] = steps, [NORMAL_SEEDS] = seeds};
    return graph_node(g, &normal_operator, &a, inputs, NORMAL_INPUTS);
}
