// SPDX-License-Identifier: MIT
// Images to tokens and back: a permutation of elements, so each is the other's gradient.
#include "ops/common.h"
#include "ops/ops.h"

typedef struct patch_attributes {
    uint32_t patch, channels, height, width; // of the image
    patch_order order;
} patch_attributes;

extern const operator patchify_operator, unpatchify_operator;

static tensor_shape image_shape(uint64_t images, const patch_attributes *a) {
    return SHAPE(images, a->channels, a->height, a->width);
}

static tensor_shape token_shape(uint64_t images, const patch_attributes *a) {
    uint64_t p = a->patch;
    return SHAPE(images, (a->height / p) * (a->width / p), a->channels * p * p);
}

static igvk_status patch_shapes(const graph *g, const node *n, output_shapes *out) {
    const patch_attributes *a = n->attributes;
    const bool to_tokens = n->op == &patchify_operator;
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, to_tokens ? "x" : "tokens", STORAGE_F32));
    if (a->patch == 0 || a->height % a->patch || a->width % a->patch)
        THROW(IGVK_ERROR_INVALID, "%s: an image of %ux%u cannot be cut into patches of %u", n->op->name, a->height,
              a->width, a->patch);
    uint64_t images = input_shape(g, n, 0).dim[0];
    tensor_shape from = to_tokens ? image_shape(images, a) : token_shape(images, a);
    TRY(check_shape(g, n, 0, to_tokens ? "x" : "tokens", STORAGE_F32, from));
    add_output(out, STORAGE_F32, to_tokens ? token_shape(images, a) : image_shape(images, a));
done:
    return status;
}

static igvk_status patch_lower(lowering *l, const node *n) {
    const patch_attributes *a = n->attributes;
    dispatch d = dispatch_elements(l, "patch", shape_elements(input_shape(l->graph, n, 0)));
    dispatch_scalar(&d, a->channels);
    dispatch_scalar(&d, a->height);
    dispatch_scalar(&d, a->width);
    dispatch_scalar(&d, a->patch);
    dispatch_constant(&d, n->op == &patchify_operator);
    dispatch_constant(&d, a->order == PATCH_CHANNEL_LAST);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

static void patch_gradient(graph *g, uint32_t node_index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    const node *n = node_of(g, node_index);
    const operator *back = n->op == &patchify_operator ? &unpatchify_operator : &patchify_operator;
    if (want[0])
        dx[0] = graph_node(g, back, n->attributes, dy, 1);
}

const operator patchify_operator = {
    .name = "patchify",
    .attributes_size = sizeof(patch_attributes),
    .shapes = patch_shapes,
    .gradient = patch_gradient,
    .lower = patch_lower,
    .cost = copy_cost,
};

const operator unpatchify_operator = {
    .name = "unpatchify",
    .attributes_size = sizeof(patch_attributes),
    .shapes = patch_shapes,
    .gradient = patch_gradient,
    .lower = patch_lower,
    .cost = copy_cost,
};

tensor_id op_patchify(graph *g, tensor_id x, uint32_t patch, patch_order order) {
    tensor_shape s = shape_of(g, x);
    if (tensor_is(x) && s.rank != 4)
        return graph_fail(g, "patchify: input 'x' has %u dimensions, must be N,C,H,W", s.rank);
    const patch_attributes a = {patch, (uint32_t)s.dim[1], (uint32_t)s.dim[2], (uint32_t)s.dim[3], order};
    return graph_node(g, &patchify_operator, &a, &x, 1);
}

tensor_id op_unpatchify(graph *g, tensor_id tokens, uint32_t patch, uint32_t channels, uint32_t height, uint32_t width,
                        patch_order order) {
    const patch_attributes a = {patch, channels, height, width, order};
    return graph_node(g, &unpatchify_operator, &a, &tokens, 1);
}
