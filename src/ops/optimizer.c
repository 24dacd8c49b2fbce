// SPDX-License-Identifier: MIT
// The update over arena chunks: gradient norm, clipping, AdamW and EMA, and the run counter.
#include "step_block.h"
#include "graph/parameters.h"
#include "ops/common.h"
#include "ops/ops.h"

#define PARTIALS_SHAPE SHAPE(SQUARES_PARTIALS, 2) // pairs (high, low)
#define FIRST_PASS_SUMS 65536                     // of which the partials are made: enough invocations for a large GPU

// ---- squares: chunk [E], partials of the chunk before or none -> partials -------------------------------------

static igvk_status squares_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "chunk", STORAGE_F32));
    if (tensor_is(n->inputs[1]))
        TRY(check_shape(g, n, 1, "previous", STORAGE_F32, PARTIALS_SHAPE));
    add_output(out, STORAGE_F32, PARTIALS_SHAPE);
done:
    return status;
}

static igvk_status squares_lower(lowering *l, const node *n) {
    const uint64_t all = shape_elements(input_shape(l->graph, n, 0));
    const bool pairs = l->capabilities->pairs && all % 2 == 0 && tensor_of(l->graph, n->inputs[0])->offset % 8 == 0;
    const uint64_t elements = pairs ? all / 2 : all;
    const tensor_id previous = n->inputs[1];
    igvk_status status = IGVK_OK;
    uint64_t sums = SQUARES_PARTIALS;
    while (sums < FIRST_PASS_SUMS && sums * SQUARES_PARTIALS < elements)
        sums *= 2;
    const tensor_id first_pass = graph_scratch(l->graph, STORAGE_F32, SHAPE(sums, 2));

    dispatch d = dispatch_square_sums(l, pairs ? "squares_of_pairs" : "squares", 1, sums, elements);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, first_pass, ACCESS_WRITE);
    TRY(lowering_emit(l, &d));

    d = dispatch_invocations(l, "sum_pairs", SQUARES_PARTIALS);
    dispatch_scalar(&d, SQUARES_PARTIALS);
    dispatch_scalar(&d, SQUARES_PARTIALS);
    dispatch_scalar(&d, (uint32_t)sums);
    dispatch_constant(&d, 0); // no mean
    dispatch_constant(&d, tensor_is(previous));
    dispatch_bind(&d, first_pass, ACCESS_READ);
    dispatch_bind(&d, tensor_is(previous) ? previous : first_pass, ACCESS_READ);
    if (tensor_is(previous))
        dispatch_bind_in_place(&d, n->outputs[0], 1);
    else
        dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    TRY(lowering_emit(l, &d));
done:
    return status;
}

static node_cost squares_cost(const graph *g, const node *n) {
    node_cost cost = elementwise_cost(g, n, 0);
    cost.flops = 2.0 * (double)shape_elements(shape_of(g, n->inputs[0]));
    return cost;
}

const operator squares_operator = {
    .name = "squares",
    .shapes = squares_shapes,
    .lower = squares_lower,
    .cost = squares_cost,
};

tensor_id op_squares(graph *g, tensor_id chunk, tensor_id previous) {
    const tensor_id inputs[] = {chunk, previous};
    return graph_node(g, &squares_operator, NULL, inputs, 2);
}

// ---- gradient_norm: steps, partials, guard, metrics -> norm [NORM_WORDS]; guard and metrics assigned ------------

enum { NORM_STEPS, NORM_PARTIALS, NORM_GUARD, NORM_METRICS, NORM_INPUTS };

static igvk_status gradient_norm_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, NORM_STEPS));
    TRY(check_shape(g, n, NORM_PARTIALS, "partials", STORAGE_F32, PARTIALS_SHAPE));
    TRY(check_shape(g, n, NORM_GUARD, "guard", STORAGE_U32, SHAPE(GUARD_WORDS)));
    TRY(check_metrics(g, n, NORM_METRICS));
    add_output(out, STORAGE_F32, SHAPE(NORM_WORDS));
    add_output(out, STORAGE_U32, SHAPE(GUARD_WORDS));
    add_output(out, STORAGE_F32, input_shape(g, n, NORM_METRICS));
done:
    return status;
}

static igvk_status gradient_norm_lower(lowering *l, const node *n) {
    const bool *scaled = n->attributes;
    dispatch d = dispatch_invocations(l, "gradient_norm", 1);
    dispatch_scalar(&d, SQUARES_PARTIALS);
    dispatch_constant(&d, *scaled);
    dispatch_bind(&d, n->inputs[NORM_STEPS], ACCESS_READ);
    dispatch_bind(&d, n->inputs[NORM_PARTIALS], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    dispatch_bind(&d, n->outputs[1], ACCESS_UPDATE);
    dispatch_bind(&d, n->outputs[2], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

const operator gradient_norm_operator = {
    .name = "gradient_norm",
    .attributes_size = sizeof(bool), // scaled
    .shapes = gradient_norm_shapes,
    .lower = gradient_norm_lower,
    .cost = copy_cost,
};

tensor_id op_gradient_norm(graph *g, tensor_id steps, tensor_id partials, tensor_id guard, tensor_id metrics,
                           bool scaled) {
    const tensor_id inputs[NORM_INPUTS] = {
        [NORM_STEPS] = steps, [NORM_PARTIALS] = partials, [NORM_GUARD] = guard, [NORM_METRICS] = metrics};
    const tensor_id assigns[] = {NO_TENSOR, guard, metrics};
    return graph_node_assign(g, &gradient_norm_operator, &scaled, inputs, NORM_INPUTS, assigns, 3);
}

// ---- loss_scale: guard -> [1] ----------------------------------------------------------------------------------

static igvk_status loss_scale_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_shape(g, n, 0, "guard", STORAGE_U32, SHAPE(GUARD_WORDS));
    if (status == IGVK_OK)
        add_output(out, STORAGE_F32, SHAPE(1));
    return status;
}

static igvk_status loss_scale_lower(lowering *l, const node *n) {
    dispatch d = dispatch_invocations(l, "loss_scale", 1);
    dispatch_scalar(&d, 1);
    dispatch_bind(&d, n->inputs[0], ACCESS_READ);
    dispatch_bind(&d, n->outputs[0], ACCESS_WRITE);
    return lowering_emit(l, &d);
}

const operator loss_scale_operator = {
    .name = "loss_scale",
    .shapes = loss_scale_shapes,
    .lower = loss_scale_lower,
    .cost = copy_cost,
};

tensor_id op_loss_scale(graph *g, tensor_id guard) {
    return graph_node(g, &loss_scale_operator, NULL, &guard, 1);
}

// ---- adamw_ema: steps, norm [NORM_WORDS], segments u32 [E / PARAMETER_GRANULE], five states [E], all assigned --------------------------

enum { ADAMW_STEPS, ADAMW_NORM, ADAMW_SEGMENTS, ADAMW_STATES };
#define ADAMW_STATE_COUNT 5

static igvk_status adamw_ema_shapes(const graph *g, const node *n, output_shapes *out) {
    static const char *const names[ADAMW_STATE_COUNT] = {"parameter", "gradient", "moment1", "moment2", "ema"};
    char text[64];
    igvk_status status = IGVK_OK;
    TRY(check_steps(g, n, ADAMW_STEPS));
    TRY(check_shape(g, n, ADAMW_NORM, "norm", STORAGE_F32, SHAPE(NORM_WORDS)));
    TRY(check_input(g, n, ADAMW_STATES, names[0], STORAGE_F32));
    tensor_shape chunk = input_shape(g, n, ADAMW_STATES);
    if (chunk.rank != 1 || chunk.dim[0] % PARAMETER_GRANULE)
        THROW(IGVK_ERROR_INVALID, "adamw_ema: input 'parameter' is %s, must be a chunk of a multiple of %d elements",
              shape_text(text, chunk), PARAMETER_GRANULE);
    TRY(check_shape(g, n, ADAMW_SEGMENTS, "segments", STORAGE_U32, SHAPE(chunk.dim[0] / PARAMETER_GRANULE)));
    for (uint32_t k = 0; k < ADAMW_STATE_COUNT; k++) {
        TRY(check_shape(g, n, ADAMW_STATES + k, names[k], STORAGE_F32, chunk));
        add_output(out, STORAGE_F32, chunk);
    }
done:
    return status;
}

static igvk_status adamw_ema_lower(lowering *l, const node *n) {
    const uint64_t elements = shape_elements(shape_of(l->graph, n->outputs[0])); // whole granules
    dispatch d = l->capabilities->pairs ? dispatch_elements(l, "adamw_ema_of_pairs", elements / 2)
                                        : dispatch_elements(l, "adamw_ema", elements);
    dispatch_constant(&d, PARAMETER_GRANULE);
    dispatch_constant(&d, *(const bool *)n->attributes);
    for (uint32_t i = 0; i < ADAMW_STATES; i++)
        dispatch_bind(&d, n->inputs[i], ACCESS_READ);
    for (uint32_t k = 0; k < ADAMW_STATE_COUNT; k++)
        dispatch_bind(&d, n->outputs[k], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

static node_cost adamw_ema_cost(const graph *g, const node *n) { return elementwise_cost(g, n, 40); }

const operator adamw_ema_operator = {
    .name = "adamw_ema",
    .attributes_size = sizeof(bool), // zeroes
    .shapes = adamw_ema_shapes,
    .lower = adamw_ema_lower,
    .cost = adamw_ema_cost,
};

tensor_id op_adamw_ema(graph *g, tensor_id steps, tensor_id norm, tensor_id segments, const adamw_states *s,
                       bool zeroes) {
    const tensor_id inputs[] = {steps,       norm,       segments,   s->parameter,
                                s->gradient, s->moment1, s->moment2, s->ema};
    return graph_node_assign(g, &adamw_ema_operator, &zeroes, inputs, ADAMW_STATES + ADAMW_STATE_COUNT, inputs + ADAMW_STATES,
                      ADAMW_STATE_COUNT);
}

// ---- advance: steps assigned -----------------------------------------------------------------------------------

static igvk_status advance_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = check_steps(g, n, 0);
    if (status == IGVK_OK)
        add_output(out, STORAGE_U32, input_shape(g, n, 0));
    return status;
}

static igvk_status advance_lower(lowering *l, const node *n) {
    dispatch d = dispatch_invocations(l, "advance", 1);
    dispatch_bind(&d, n->outputs[0], ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

const operator advance_operator = {
    .name = "advance",
    .shapes = advance_shapes,
    .lower = advance_lower,
    .cost = copy_cost,
};

void op_advance(graph *g, tensor_id steps) {
    graph_node_assign(g, &advance_operator, NULL, &steps, 1, &steps, 1);
}
