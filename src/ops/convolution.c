// SPDX-License-Identifier: MIT
// convolution: y = residual + bias + x * weight over images [N, C, H, W], implicit: neither a matrix of patches nor the
// image upsampled or padded is ever in memory. Forward alone: autoencoders are not trained here.
#include "core/text.h"
#include "ops/common.h"
#include "ops/ops.h"

enum { IN_X, IN_WEIGHT, IN_BIAS, IN_RESIDUAL, IN_COUNT };

extern const operator convolution_operator;

typedef struct convolution_attributes {
    uint32_t stride, pad_before, pad_after;
    bool upsample;
} convolution_attributes;

#define LARGEST_KERNEL 3 // its taps are unrolled

// ---- shapes --------------------------------------------------------------------------------------------

// Rows or columns of the output, 0 where there are none.
static uint64_t output_side(const convolution_attributes *a, uint64_t side, uint64_t kernel) {
    const uint64_t padded = (side << a->upsample) + a->pad_before + a->pad_after;
    return padded < kernel ? 0 : (padded - kernel) / a->stride + 1;
}

static igvk_status convolution_shapes(const graph *g, const node *n, output_shapes *out) {
    const convolution_attributes *a = n->attributes;
    char x_text[64], weight_text[64];
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, IN_X, "x", STORAGE_F32));
    TRY(check_input(g, n, IN_WEIGHT, "weight", STORAGE_F32));
    const tensor_shape x = input_shape(g, n, IN_X), weight = input_shape(g, n, IN_WEIGHT);
    if (x.rank != 4 || weight.rank != 4 || x.dim[1] != weight.dim[1] || weight.dim[2] != weight.dim[3])
        THROW(IGVK_ERROR_INVALID, "convolution: input 'x' is %s, the weight %s: must be [N, C, H, W] and [O, C, K, K]",
              shape_text(x_text, x), shape_text(weight_text, weight));
    if (weight.dim[2] > LARGEST_KERNEL)
        THROW(IGVK_ERROR_INVALID, "convolution: the weight is %s, kernels have a side of at most %d",
              shape_text(weight_text, weight), LARGEST_KERNEL);
    const tensor_shape y = SHAPE(x.dim[0], weight.dim[0], output_side(a, x.dim[2], weight.dim[2]),
                                 output_side(a, x.dim[3], weight.dim[2]));
    if (shape_elements(y) == 0)
        THROW(IGVK_ERROR_INVALID, "convolution: input 'x' is %s, smaller than the kernel of %llu",
              shape_text(x_text, x), (unsigned long long)weight.dim[2]);
    TRY(check_count("convolution", shape_elements(y)));
    if (tensor_is(n->inputs[IN_BIAS]))
        TRY(check_shape(g, n, IN_BIAS, "bias", STORAGE_F32, SHAPE(weight.dim[0])));
    if (tensor_is(n->inputs[IN_RESIDUAL]))
        TRY(check_shape(g, n, IN_RESIDUAL, "residual", STORAGE_F32, y));
    add_output(out, STORAGE_F32, y);
done:
    return status;
}

// ---- lowering ------------------------------------------------------------------------------------------

typedef struct convolution_kernel {
    const char *shader;
    uint32_t local_size;
    uint32_t tile_channels, tile_pixels;
    uint32_t vectors, channels_per_turn; // convolution.comp's constants
    bool fixed;                          // the tile's size is not told to the shader
} convolution_kernel;

#define REGISTER_ROWS 8 // convolution.comp: with two vectors 16 sums, what 32 registers hold beside operands
#define TALLEST_TILE 64

// Input channels of one turn: what unrolls about eight steps of a 1x1 kernel.
static uint32_t channels_per_turn(uint64_t channels, uint64_t kernel) {
    uint32_t count = kernel > 1 ? 1 : 8;
    while (channels % count)
        count /= 2;
    return count;
}

// From the device and the shapes of one image, never from the batch.
static convolution_kernel choose_kernel(const capabilities *c, tensor_shape x, tensor_shape weight, tensor_shape y) {
    if (!c->register_tile)
        return (convolution_kernel){
            .shader = "convolution_tile", .local_size = 128, .tile_channels = 64, .tile_pixels = 64, .fixed = true};
    const uint64_t tiles = (weight.dim[0] + TALLEST_TILE - 1) / TALLEST_TILE;
    const uint64_t balanced = align_up((weight.dim[0] + tiles - 1) / tiles, REGISTER_ROWS);
    convolution_kernel k = {.shader = "convolution", .local_size = c->vector_width};
    k.tile_channels = (uint32_t)(balanced < weight.dim[0] ? balanced : weight.dim[0]);
    k.vectors = c->vector_width >= 16 || y.dim[2] * y.dim[3] <= c->vector_width ? 1 : 2;
    k.tile_pixels = k.vectors * c->vector_width;
    k.channels_per_turn = channels_per_turn(x.dim[1], weight.dim[2]);
    return k;
}

static void add_constants(dispatch *d, const node *n, tensor_shape x, tensor_shape weight, tensor_shape y) {
    const convolution_attributes *a = n->attributes;
    const uint64_t constants[] = {x.dim[1], x.dim[2],      x.dim[3],  y.dim[1],      y.dim[2],
                                  y.dim[3], weight.dim[2], a->stride, a->pad_before, a->upsample};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        dispatch_constant(d, (uint32_t)constants[i]);
    dispatch_constant(d, tensor_is(n->inputs[IN_BIAS]));
    dispatch_constant(d, tensor_is(n->inputs[IN_RESIDUAL]));
}

// For a bias or a residual that is not there another tensor stands in, which the kernel does not touch.
static void bind_tensors(dispatch *d, const node *n) {
    dispatch_bind(d, n->inputs[IN_X], ACCESS_READ);
    dispatch_bind(d, n->inputs[IN_WEIGHT], ACCESS_READ);
    dispatch_bind(d, n->inputs[tensor_is(n->inputs[IN_BIAS]) ? IN_BIAS : IN_WEIGHT], ACCESS_READ);
    if (tensor_is(n->inputs[IN_RESIDUAL])) {
        dispatch_bind(d, n->inputs[IN_RESIDUAL], ACCESS_READ);
        dispatch_bind_in_place(d, n->outputs[0], IN_RESIDUAL);
    } else {
        dispatch_bind(d, n->inputs[IN_WEIGHT], ACCESS_READ);
        dispatch_bind(d, n->outputs[0], ACCESS_WRITE);
    }
}

static igvk_status convolution_lower(lowering *l, const node *n) {
    const tensor_shape x = input_shape(l->graph, n, IN_X), weight = input_shape(l->graph, n, IN_WEIGHT),
                       y = shape_of(l->graph, n->outputs[0]);
    const convolution_kernel k = choose_kernel(l->capabilities, x, weight, y);
    const uint64_t pixels = y.dim[2] * y.dim[3];
    dispatch d = {
        .shader = k.shader,
        .local_size = k.local_size,
        .groups = {(uint32_t)((pixels + k.tile_pixels - 1) / k.tile_pixels),
                   (uint32_t)((y.dim[1] + k.tile_channels - 1) / k.tile_channels), (uint32_t)y.dim[0]},
    };
    add_constants(&d, n, x, weight, y);
    if (!k.fixed) {
        dispatch_constant(&d, k.tile_channels);
        dispatch_constant(&d, k.vectors);
        dispatch_constant(&d, k.channels_per_turn);
        dispatch_constant(&d, REGISTER_ROWS);
    }
    bind_tensors(&d, n);
    return lowering_emit(l, &d);
}

static node_cost convolution_cost(const graph *g, const node *n) {
    const tensor_shape weight = input_shape(g, n, IN_WEIGHT);
    return elementwise_cost(g, n, 2.0 * (double)(weight.dim[1] * weight.dim[2] * weight.dim[3]));
}

const operator convolution_operator = {
    .name = "convolution",
    .attributes_size = sizeof(convolution_attributes),
    .shapes = convolution_shapes,
    .lower = convolution_lower,
    .cost = convolution_cost,
};

tensor_id op_convolution(graph *g, tensor_id x, tensor_id weight, const convolution_options *o) {
    const convolution_attributes a = {o->stride ? o->stride : 1, o->pad_before, o->pad_after, o->upsample};
    const tensor_id inputs[IN_COUNT] = {x, weight, o->bias, o->residual};
    return graph_node(g, &convolution_operator, &a, inputs, IN_COUNT);
}
