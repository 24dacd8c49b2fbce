// SPDX-License-Identifier: MIT
// spatial_attention: each pixel of q attends to all pixels of k; one head as wide as the channels (512 in the official
// autoencoders, beyond what attention.c keeps in registers). q, k, v and y [N, C, H, W], T = H W pixels:
//
//     y[n, :, i] = sum over j of softmax_j(q[n, :, i] . k[n, :, j] / sqrt(C)) v[n, :, j]
//
// Made of linear products over a bounded chunk of scores at a time: they are a hundredth of an autoencoder's work.
#include "ops/common.h"
#include "ops/linear_product.h"

#include <math.h>

extern const operator spatial_attention_operator;

#define SCORES_BYTES (16u << 20) // of a chunk, but for images whose least chunk is larger
#define LEAST_ROWS 64            // of a chunk; chunks then start where descriptors may

typedef struct attention_sizes {
    uint64_t images, channels, tokens;
    uint64_t rows; // of a chunk of scores
} attention_sizes;

static attention_sizes sizes_of(tensor_shape q) {
    attention_sizes s = {.images = q.dim[0], .channels = q.dim[1], .tokens = q.dim[2] * q.dim[3]};
    s.rows = SCORES_BYTES / (4 * s.tokens) / LEAST_ROWS * LEAST_ROWS;
    s.rows = s.rows < LEAST_ROWS ? LEAST_ROWS : s.rows;
    s.rows = s.rows > s.tokens ? s.tokens : s.rows;
    return s;
}

static igvk_status spatial_attention_shapes(const graph *g, const node *n, output_shapes *out) {
    igvk_status status = IGVK_OK;
    TRY(check_input(g, n, 0, "q", STORAGE_F32));
    const tensor_shape q = input_shape(g, n, 0);
    char text[64];
    if (q.rank != 4)
        THROW(IGVK_ERROR_INVALID, "spatial_attention: input 'q' is %s, must be [N, C, H, W]", shape_text(text, q));
    TRY(check_shape(g, n, 1, "k", STORAGE_F32, q));
    TRY(check_shape(g, n, 2, "v", STORAGE_F32, q));
    const attention_sizes s = sizes_of(q);
    TRY(check_count("spatial_attention", s.rows * s.tokens));
    if (s.images > 1 && s.channels * s.tokens % LEAST_ROWS)
        THROW(
            IGVK_ERROR_INVALID,
            "spatial_attention: input 'q' is %s, several images must have a multiple of %d numbers each: one image at "
            "a time",
            shape_text(text, q), LEAST_ROWS);
    add_output(out, STORAGE_F32, q);
done:
    return status;
}

// scores [rows, T] = q^T k of the rows' pixels
static igvk_status lower_scores(lowering *l, const attention_sizes *s, tensor_id q, tensor_id k, tensor_id scores,
                                uint64_t rows) {
    const linear_product p = {.rows = rows,
                              .columns = s->tokens,
                              .depth = s->channels,
                              .a = q,
                              .a_row = 1,
                              .a_step = s->tokens,
                              .b = k,
                              .b_column = 1,
                              .b_step = s->tokens,
                              .y = scores};
    return linear_product_lower(l, &p);
}

static igvk_status lower_softmax(lowering *l, const attention_sizes *s, tensor_id scores, uint64_t rows) {
    dispatch d = {.shader = "softmax_rows", .local_size = l->capabilities->vector_width};
    dispatch_groups_linear(&d, l->capabilities, rows, 1);
    dispatch_constant(&d, (uint32_t)s->tokens);
    dispatch_scalar(&d, (uint32_t)rows);
    dispatch_scalar_f32(&d, (float)(1.0 / sqrt((double)s->channels)));
    dispatch_bind(&d, scores, ACCESS_UPDATE);
    return lowering_emit(l, &d);
}

// y [rows, C] = scores v^T
static igvk_status lower_values(lowering *l, const attention_sizes *s, tensor_id scores, tensor_id v, tensor_id y,
                                uint64_t rows) {
    const linear_product p = {.rows = rows,
                              .columns = s->channels,
                              .depth = s->tokens,
                              .a = scores,
                              .a_row = s->tokens,
                              .a_step = 1,
                              .b = v,
                              .b_column = s->tokens,
                              .b_step = 1,
                              .y = y};
    return linear_product_lower(l, &p);
}

// [T, C] -> [C, T]
static igvk_status lower_transpose(lowering *l, const attention_sizes *s, tensor_id x, tensor_id y) {
    dispatch d = dispatch_elements(l, "transpose", s->tokens * s->channels);
    dispatch_constant(&d, (uint32_t)s->tokens);
    dispatch_constant(&d, (uint32_t)s->channels);
    dispatch_bind(&d, x, ACCESS_READ);
    dispatch_bind(&d, y, ACCESS_WRITE);
    return lowering_emit(l, &d);
}

// Image `image` of a tensor, from its pixel `first` of the first channel on.
static tensor_id image_of(graph *g, const attention_sizes *s, tensor_id t, uint64_t image, uint64_t first) {
    const uint64_t elements = s->channels * s->tokens;
    return graph_view(g, t, image * elements + first, SHAPE(elements - first), NULL);
}

static igvk_status lower_image(lowering *l, const node *n, const attention_sizes *s, uint64_t image) {
    graph *g = l->graph;
    igvk_status status = IGVK_OK;
    const tensor_id k = image_of(g, s, n->inputs[1], image, 0), v = image_of(g, s, n->inputs[2], image, 0);
    const tensor_id scores = graph_scratch(g, STORAGE_F32, SHAPE(s->rows, s->tokens));
    const tensor_id y = graph_scratch(g, STORAGE_F32, SHAPE(s->tokens, s->channels));
    for (uint64_t first = 0; first < s->tokens; first += s->rows) {
        const uint64_t rows = s->tokens - first < s->rows ? s->tokens - first : s->rows;
        const tensor_id part = graph_view(g, scores, 0, SHAPE(rows, s->tokens), NULL);
        TRY(lower_scores(l, s, image_of(g, s, n->inputs[0], image, first), k, part, rows));
        TRY(lower_softmax(l, s, part, rows));
        TRY(lower_values(l, s, part, v, graph_view(g, y, first * s->channels, SHAPE(rows, s->channels), NULL), rows));
    }
    TRY(lower_transpose(l, s, y, image_of(g, s, n->outputs[0], image, 0)));
done:
    return status;
}

static igvk_status spatial_attention_lower(lowering *l, const node *n) {
    const attention_sizes s = sizes_of(input_shape(l->graph, n, 0));
    const node copy = *n; // views made meanwhile may move nodes
    igvk_status status = IGVK_OK;
    for (uint64_t image = 0; image < s.images; image++)
        TRY(lower_image(l, &copy, &s, image));
done:
    return status;
}

static node_cost spatial_attention_cost(const graph *g, const node *n) {
    const attention_sizes s = sizes_of(input_shape(g, n, 0));
    return elementwise_cost(g, n, 4.0 * (double)s.tokens);
}

const operator spatial_attention_operator = {
    .name = "spatial_attention",
    .shapes = spatial_attention_shapes,
    .lower = spatial_attention_lower,
    .cost = spatial_attention_cost,
};

tensor_id op_spatial_attention(graph *g, tensor_id q, tensor_id k, tensor_id v) {
    const tensor_id inputs[] = {q, k, v};
    return graph_node(g, &spatial_attention_operator, NULL, inputs, 3);
}
