// SPDX-License-Identifier: MIT
// Muon's update of one matrix (method, chapter 9): momentum, Newton-Schulz steps towards the nearest orthogonal matrix,
// and the step itself. Between the two the matrix is wide: transposed where it has more rows than columns.
#include "step_block.h"
#include "ops/common.h"
#include "ops/ops.h"

extern const operator muon_momentum_operator, muon_normalise_operator, muon_combine_operator, muon_apply_operator;

// ---- muon_momentum: steps, norm [NORM_WORDS], gradient, momentum [R, C] -> wide update; gradient, momentum assigned -

static igvk_status check_matrix(const graph *g, const node *n, uint32_t i, const char *name) {
    char text[64];
    igvk_status status = check_input(g, n, i, name, STORAGE_F32);
    if (status == IGVK_OK && input_shape(g, n, i).rank != 2)
        status = fail(IGVK_ERROR_INVALID, "%s: input '%s' is %s, must be a matrix", n->op->name, name,
                      shape_text(text, input_shape(g, n, i)));
    return status;
}

static bool is_tall(tensor_shape s) {
    return s.dim[0] > s.dim[1];
}
static tensor_shape wide_shape(tensor_shape s) {
    return is_tall(s) ? SHAPE(s.dim[1], s.dim[0]) : s;
}

typedef struct momentum_attributes {
    bool bf16, zeroes;
} momentum_attributes;

static igvk_status muon_momentum_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, 0));
    TRY(check_shape(g, n, 1, "norm", STORAGE_F32, SHAPE(NORM_WORDS)));
    TRY(check_matrix(g, n, 2, "gradient"));
    const tensor_shape s = input_shape(g, n, 2);
    TRY(check_shape(g, n, 3, "momentum", STORAGE_F32, s));
    add_output(out, STORAGE_F32, wide_shape(s));
    add_output(out, STORAGE_F32, s);
    add_output(out, STORAGE_F32, s);
done:
    return status;
}

// The wide matrix's element i is element i of the matrix, or of its transpose.
static dispatch dispatch_wide(const lowering *l, const node *n, tensor_shape s) {
    dispatch d = dispatch_elements(l, n->op->name, shape_elements(s));
    dispatch_scalar(&d, (uint32_t)s.dim[0]);
    dispatch_scalar(&d, (uint32_t)s.dim[1]);
    dispatch_constant(&d, is_tall(s));
    return d;
}

static igvk_status muon_momentum_lower(lowering *l, const node *n) {
    const momentum_attributes *a = n->attributes;
    dispatch d = dispatch_wide(l, n, input_shape(l->graph, n, 2));
    dispatch_constant(&d, a->bf16);
    dispatch_constant(&d, a->zeroes);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[1], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, n->outputs[1], ACCESS_UPDATE);
    dispatch_bind(&d, n->outputs[2], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

static node_cost muon_momentum_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 6);
}

const operator muon_momentum_operator = {
    .name = "muon_momentum",
    .attributes_size = sizeof(momentum_attributes),
    .shapes = muon_momentum_shapes,
    .lower = muon_momentum_lower,
    .cost = muon_momentum_cost,
};

tensor_id op_muon_momentum(graph *g, tensor_id steps, tensor_id norm, tensor_id gradient, tensor_id momentum,
                           bool bf16, bool zeroes) {
    const momentum_attributes a = {bf16, zeroes};
    const tensor_id inputs[] = {steps, norm, gradient, momentum}, assigns[] = {NO_TENSOR, gradient, momentum};
    return graph_node_assign(g, &muon_momentum_operator, &a, inputs, 4, assigns, 3);
}

// ---- muon_normalise: x / (|x| + 1e-7) ----------------------------------------------------------------------------

static igvk_status muon_normalise_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_input(g, n, 0, "x", STORAGE_F32);
    if (status == IGVK_OK)
        add_output(out, STORAGE_F32, input_shape(g, n, 0));
    return status;
}

// About sqrt(E) sums of about sqrt(E) squares, their sum, then the division.
static igvk_status muon_normalise_lower(lowering *l, const node *n) {
    const bool *bf16 = n->attributes;
    const uint64_t elements = shape_elements(input_shape(l->graph, n, 0));
    uint64_t parts = vector_local_size(l->capabilities);
    while (parts * parts < elements)
        parts *= 2;
    igvk_status status = IGVK_OK;
    const tensor_id sums = graph_scratch(l->graph, STORAGE_F32, SHAPE(parts, 2));
    const tensor_id sum = graph_scratch(l->graph, STORAGE_F32, SHAPE(2));

    dispatch d = dispatch_square_sums(l, "squares", 1, parts, elements);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, sums, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));

    d = dispatch_invocations(l, "sum_pairs", 1);
    dispatch_scalar(&d, 1);
    dispatch_scalar(&d, 1);
    dispatch_scalar(&d, (uint32_t)parts);
    dispatch_constant(&d, 0); // no mean
    dispatch_constant(&d, 0); // nothing before
    dispatch_bind(&d, sums, ACCESS_READ);
    dispatch_bind(&d, sums, ACCESS_READ);
    dispatch_bind(&d, sum, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));

    d = dispatch_elements(l, "muon_normalise", elements);
    dispatch_constant(&d, *bf16);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, sum, ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], 0);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

const operator muon_normalise_operator = {
    .name = "muon_normalise",
    .attributes_size = sizeof(bool),
    .shapes = muon_normalise_shapes,
    .lower = muon_normalise_lower,
    .cost = copy_cost,
};

// ---- muon_combine: first p + second q; q may be absent -------------------------------------------------------------

typedef struct combine_attributes {
    float first, second;
    bool bf16;
} combine_attributes;

static igvk_status muon_combine_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "p", STORAGE_F32));
    if (tensor_is(n->inputs[1]))
        TRY(check_shape(g, n, 1, "q", STORAGE_F32, input_shape(g, n, 0)));
    add_output(out, STORAGE_F32, input_shape(g, n, 0));
done:
    return status;
}

static igvk_status muon_combine_lower(lowering *l, const node *n) {
    const combine_attributes *a = n->attributes;
    const bool both = tensor_is(n->inputs[1]);
    dispatch d = dispatch_elements(l, "muon_combine", shape_elements(input_shape(l->graph, n, 0)));
    dispatch_scalar_f32(&d, a->first);
    dispatch_scalar_f32(&d, a->second);
    dispatch_constant(&d, a->bf16);
    dispatch_constant(&d, both);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->inputs[both], ACCESS_READ);
    dispatch_bind_in_place(&d, n->outputs[0], both);
    return lowering_emit(l, &d);
}

static node_cost muon_combine_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 3);
}

const operator muon_combine_operator = {
    .name = "muon_combine",
    .attributes_size = sizeof(combine_attributes),
    .shapes = muon_combine_shapes,
    .lower = muon_combine_lower,
    .cost = muon_combine_cost,
};

static tensor_id combine(graph *g, tensor_id p, tensor_id q, float first, float second, bool bf16) {
    const combine_attributes a = {.first = first, .second = second, .bf16 = bf16};
    const tensor_id inputs[] = {p, q};
    return graph_node(g, &muon_combine_operator, &a, inputs, 2);
}

// ---- orthogonalise: x <- a x + (b A + c A A) x with A = x x^T ------------------------------------------------------

#define NEWTON_SCHULZ_STEPS 5
static const float a = 3.4445f, b = -4.7750f, c = 2.0315f;

tensor_id op_orthogonalise(graph *g, tensor_id x, bool bf16) {
    x = graph_node(g, &muon_normalise_operator, &bf16, &x, 1);
    for (int step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
        tensor_id gram = op_linear(g, x, x, &(linear_options){0});
        if (bf16)
            gram = combine(g, gram, NO_TENSOR, 1, 0, true);
        const tensor_id square = op_linear(g, gram, gram, &(linear_options){0}); // gram is its own transpose
        const tensor_id factor = combine(g, gram, square, b, c, bf16);
        x = combine(g, x, op_linear_input_gradient(g, factor, x), a, 1, bf16);
    }
    return x;
}

// ---- muon_apply: steps, norm [NORM_WORDS], wide update or none, parameter, ema; both assigned -----------------------

enum { APPLY_STEPS, APPLY_NORM, APPLY_UPDATE, APPLY_PARAMETER, APPLY_EMA, APPLY_INPUTS };

static igvk_status muon_apply_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, APPLY_STEPS));
    TRY(check_shape(g, n, APPLY_NORM, "norm", STORAGE_F32, SHAPE(NORM_WORDS)));
    TRY(check_matrix(g, n, APPLY_PARAMETER, "parameter"));
    const tensor_shape s = input_shape(g, n, APPLY_PARAMETER);
    if (tensor_is(n->inputs[APPLY_UPDATE]))
        TRY(check_shape(g, n, APPLY_UPDATE, "update", STORAGE_F32, wide_shape(s)));
    TRY(check_shape(g, n, APPLY_EMA, "ema", STORAGE_F32, s));
    add_output(out, STORAGE_F32, s);
    add_output(out, STORAGE_F32, s);
done:
    return status;
}

static igvk_status muon_apply_lower(lowering *l, const node *n) {
    const float *scale = n->attributes;
    const bool update = tensor_is(n->inputs[APPLY_UPDATE]);
    dispatch d = dispatch_wide(l, n, input_shape(l->graph, n, APPLY_PARAMETER));
    dispatch_scalar_f32(&d, *scale);
    dispatch_constant(&d, update);
    dispatch_bind(&d, n->inputs[APPLY_STEPS], ACCESS_READ);
    dispatch_bind(&d, n->inputs[APPLY_NORM], ACCESS_READ);
    dispatch_bind(&d, n->inputs[update ? APPLY_UPDATE : APPLY_NORM], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_UPDATE);
    dispatch_bind(&d, n->outputs[1], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

static node_cost muon_apply_cost(const graph *g, const node *n) {
    return elementwise_cost(g, n, 6);
}

const operator muon_apply_operator = {
    .name = "muon_apply",
    .attributes_size = sizeof(float),
    .shapes = muon_apply_shapes,
    .lower = muon_apply_lower,
    .cost = muon_apply_cost,
};

tensor_id op_muon_apply(graph *g, tensor_id steps, tensor_id norm, tensor_id update, tensor_id parameter, tensor_id ema,
                        float scale) {
    const tensor_id inputs[APPLY_INPUTS] = {steps, norm, update, parameter, ema}, assigns[] = {parameter, ema};
    return graph_node_assign(g, &muon_apply_operator, &scale, inputs, APPLY_INPUTS, assigns, 2);
}
