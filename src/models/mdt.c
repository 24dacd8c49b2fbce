// SPDX-License-Identifier: MIT
// MDTv2 with the auxiliary head (method, chapter 6; official code: sail-sg/MDT, masked_diffusion/models.py): DiT's
// blocks in an encoder whose second half reads the first's outputs, and a decoder that reads the embedded input; a
// learned bias of attention by relative position, learned positions. In training's masked pass the encoder sees some
// tokens alone, and a side block guesses the others from a mask token.
#include "models/adaln.h"
#include "models/objective.h"

#include <stdio.h>
#include <string.h>

#define DECODE_LAYERS 4 // as published
#define MASK_RATIO 0.3

static const adaln_size sizes[] = {{"S", 12, 384, 6}, {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}};
static const uint32_t patches[] = {2, 0};
static const char *const preset_names[] = {"MDTv2-S/2", "MDTv2-B/2", "MDTv2-L/2", "MDTv2-XL/2", NULL};

#define WHOLE(name, least, most, standard)                                                                             \
    {                                                                                                                  \
        .key = #name, .type = CONFIG_WHOLE, .offset = offsetof(model_config, name), .low = least, .high = most,        \
        .required = !(standard), .otherwise = standard                                                                 \
    }
#define NUMBER(name, least, most, standard)                                                                            \
    {                                                                                                                  \
        .key = #name, .type = CONFIG_NUMBER, .offset = offsetof(model_config, name), .low = least, .high = most,       \
        .otherwise = standard                                                                                          \
    }
static const config_field fields[] = {
    {.key = "learn_sigma", .type = CONFIG_FLAG, .offset = offsetof(model_config, learn_sigma), .otherwise = 1},
    WHOLE(patch, 1, 1 << 10, 0),
    WHOLE(hidden, 4, 1 << 16, 0),
    WHOLE(depth, 1, 1 << 10, 0),
    WHOLE(heads, 1, 1 << 12, 0),
    WHOLE(head_after, 0, 1 << 10, 0),
    WHOLE(decode_layers, 0, 1 << 10, DECODE_LAYERS),
    NUMBER(mask_ratio, 0.01, 0.79, MASK_RATIO),
    NUMBER(mlp_ratio, 0.01, 64, 4),
};

static bool mdt_preset(const char *name, model_config *c) {
    if (!adaln_preset(name, "MDTv2", sizes, sizeof sizes / sizeof *sizes, patches, c))
        return false;
    c->learn_sigma = true;
    c->decode_layers = DECODE_LAYERS;
    c->mask_ratio = MASK_RATIO;
    return true;
}

// Blocks in either half of the encoder.
static uint32_t half_depth(const model_config *c) {
    return (c->depth - c->decode_layers) / 2;
}

static igvk_status mdt_check(const model_config *c) {
    igvk_status status = adaln_check(c);
    if (status != IGVK_OK)
        return status;
    if (!c->learn_sigma)
        return fail(IGVK_ERROR_INVALID,
                    "an MDTv2 without the variance among its outputs (learn_sigma is off): only such "
                    "that learn it can be run");
    if (c->decode_layers + 2 > c->depth || (c->depth - c->decode_layers) % 2)
        return fail(IGVK_ERROR_INVALID,
                    "depth %u: less %u blocks of the decoder it must leave two halves of an encoder: change --depth",
                    c->depth, c->decode_layers);
    if (c->head_after > 2 * half_depth(c))
        return fail(IGVK_ERROR_INVALID, "--head-after %u: must be among the %u blocks of the encoder", c->head_after,
                    2 * half_depth(c));
    if (c->qk_norm || !(c->mask_ratio > 0 && c->mask_ratio < 0.8))
        return fail(IGVK_ERROR_INVALID, "an MDTv2 has no --qk-norm, and hides more than none and less than 0.8 of its "
                                        "tokens in training");
    return IGVK_OK;
}

// ---- parameters ------------------------------------------------------------------------------------

static void fill_positions(const void *context, uint64_t first, uint64_t count, float *out) {
    const model_config *c = context;
    position_table(c->width / c->patch, c->hidden, first, count, out);
}

// Starts as SiT's table, and learns.
static void add_positions(parameter_layout *l, const model_config *c, const char *name) {
    model_config *kept = arena_alloc(parameter_layout_arena(l), sizeof *kept);
    if (kept)
        *kept = *c;
    parameter_layout_add(l, &(parameter){.name = name,
                                         .shape = SHAPE(1, model_tokens(c), c->hidden),
                                         .init = INIT_TABLE,
                                         .fill = fill_positions,
                                         .context = kept});
}

static uint32_t grid_rows(const model_config *c) {
    return c->height / c->patch;
}
static uint32_t grid_columns(const model_config *c) {
    return c->width / c->patch;
}

static void add_block(parameter_layout *l, const model_config *c, const char *block, bool skip) {
    const uint64_t table = (2ull * grid_rows(c) - 1) * (2ull * grid_columns(c) - 1) + 3;
    char name[96];
    adaln_add_attention(l, c, block);
    snprintf(name, sizeof name, "%s.attn.rel_pos_bias.relative_position_bias_table", block);
    parameter_layout_add(
        l, &(parameter){.name = name, .shape = SHAPE(table, c->heads), .init = INIT_NORMAL, .scale = 0.02});
    adaln_add_mlp(l, c, block);
    adaln_add_modulation(l, c, block);
    snprintf(name, sizeof name, "%s.skip_linear", block);
    if (skip)
        adaln_add_linear(l, name, c->hidden, 2 * c->hidden, INIT_XAVIER_UNIFORM);
}

static const char *block_name(char name[32], const char *stack, uint32_t i) {
    snprintf(name, 32, "%s.%u", stack, i);
    return name;
}

static void mdt_parameters(const model_config *c, parameter_layout *l) {
    char name[32];
    add_positions(l, c, "pos_embed");
    add_positions(l, c, "decoder_pos_embed");
    parameter_layout_add(
        l, &(parameter){.name = "mask_token", .shape = SHAPE(1, 1, c->hidden), .init = INIT_NORMAL, .scale = 0.02});
    adaln_add_embedders(l, c);
    for (uint32_t i = 0; i < half_depth(c); i++)
        add_block(l, c, block_name(name, "en_inblocks", i), false);
    for (uint32_t i = 0; i < half_depth(c); i++)
        add_block(l, c, block_name(name, "en_outblocks", i), true);
    for (uint32_t i = 0; i < c->decode_layers; i++)
        add_block(l, c, block_name(name, "de_blocks", i), true);
    add_block(l, c, "sideblocks.0", false);
    if (c->head_after)
        adaln_add_final_layer(l, c, "final_layer_xr", INIT_ZERO);
    adaln_add_final_layer(l, c, "final_layer", INIT_ZERO);
}

// ---- graph -----------------------------------------------------------------------------------------

static tensor_id attend(adaln_builder *b, tensor_id qkv, const char *block) {
    return op_attention_bias(b->g, qkv,
                             &(attention_bias_options){.heads = b->c->heads,
                                                       .rows = grid_rows(b->c),
                                                       .columns = grid_columns(b->c),
                                                       .table = adaln_weight(b, "%s.attn.rel_pos_bias", block,
                                                                             "relative_position_bias_table"),
                                                       .order = b->user});
}

// [N, T, D] of a learned table [1, T, D].
static tensor_id positions(adaln_builder *b, const char *name, uint64_t images) {
    return op_repeat(b->g, parameter_tensor(b->g, b->p, name), (uint32_t)images);
}

// skip_linear([x, skip]).
static tensor_id join_skip(adaln_builder *b, tensor_id x, tensor_id skip, const char *block) {
    const tensor_shape s = shape_of(b->g, x);
    const tensor_shape rows = SHAPE(s.dim[0] * s.dim[1], s.dim[2]), joined = SHAPE(s.dim[0], s.dim[1], 2 * s.dim[2]);
    const tensor_id parts[] = {graph_view(b->g, x, 0, rows, NULL), graph_view(b->g, skip, 0, rows, NULL)};
    const tensor_id both = graph_view(b->g, op_join_columns(b->g, parts, 2), 0, joined, NULL);
    return adaln_linear(b, both, "%s.skip_linear", block, (linear_options){0});
}

// All tokens: those seen in their places, the mask token in the others'.
static tensor_id put_back(adaln_builder *b, tensor_id x, const token_order *order) {
    const tensor_id token = graph_view(b->g, parameter_tensor(b->g, b->p, "mask_token"), 0, SHAPE(b->c->hidden), NULL);
    return op_select_tokens(b->g, op_put_tokens_back(b->g, x, order), token, order);
}

static tensor_id auxiliary(adaln_builder *b, tensor_id x) {
    if (b->user)
        x = put_back(b, x, b->user);
    return graph_label(b->g, adaln_final_layer(b, x, "final_layer_xr"), "D_i");
}

// Both halves of the encoder on the tokens seen; the second half's blocks read the first's outputs, last one first.
static tensor_id encode(adaln_builder *b, tensor_id x, bool head_only, model_outputs *out) {
    const uint32_t half = half_depth(b->c);
    tensor_id skips[1 << 9];
    char name[32];
    for (uint32_t i = 0; i < 2 * half; i++) {
        const uint32_t own = i % half;
        const bool second = i >= half;
        block_name(name, second ? "en_outblocks" : "en_inblocks", own);
        graph_segment_begin(b->g);
        if (second)
            x = join_skip(b, x, skips[half - 1 - own], name);
        x = graph_label(b->g, adaln_block(b, x, name), second ? "en_out.%u" : "en_in.%u", own);
        graph_segment_end(b->g);
        if (!second)
            skips[own] = x;
        if (i + 1 == b->c->head_after)
            out->intermediate = auxiliary(b, x);
        if (head_only && tensor_is(out->intermediate))
            break;
    }
    return x;
}

// What the decoder starts from: with tokens hidden, the side block's guess in their places.
static tensor_id interpolate(adaln_builder *b, tensor_id x, const token_order *order, uint64_t images) {
    if (order)
        x = put_back(b, x, order);
    x = op_add(b->g, x, positions(b, "decoder_pos_embed", images));
    graph_segment_begin(b->g);
    if (order)
        x = op_select_tokens(b->g, x, adaln_block(b, x, "sideblocks.0"), order);
    graph_segment_end(b->g);
    return graph_label(b->g, x, "dec_in");
}

static model_outputs mdt_build(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in) {
    const uint64_t images = shape_of(g, in->x).dim[0];
    adaln_builder b = {.g = g, .c = c, .p = p, .attend = attend, .user = in->order};
    model_outputs out = {NO_TENSOR, NO_TENSOR};
    char name[32];
    const tensor_id embedded =
        graph_label(g, adaln_embed_patches(&b, in->x, positions(&b, "pos_embed", images)), "tokens");
    adaln_condition(&b, in->t, in->labels);
    tensor_id x = embedded;
    if (in->order)
        x = op_take_tokens(g, x, in->order, tokens_kept_at_most(model_tokens(c), c->mask_ratio));
    x = encode(&b, x, in->head_only, &out);
    if (in->head_only)
        return out;
    b.user = NULL; // from here on all tokens are there
    x = interpolate(&b, x, in->order, images);
    for (uint32_t i = 0; i < c->decode_layers; i++) {
        block_name(name, "de_blocks", i);
        graph_segment_begin(g);
        x = graph_label(g, adaln_block(&b, join_skip(&b, x, embedded, name), name), "de.%u", i);
        graph_segment_end(g);
    }
    out.final_output = graph_label(g, adaln_final_layer(&b, x, "final_layer"), "D_f");
    return out;
}

const model_kind mdtv2_kind = {.name = "mdtv2",
                               .fields = fields,
                               .field_count = sizeof fields / sizeof *fields,
                               .time = MODEL_DISCRETE,
                               .check = mdt_check,
                               .preset = mdt_preset,
                               .parameters = mdt_parameters,
                               .build = mdt_build,
                               .preset_names = preset_names,
                               .objective = &masked_diffusion_objective};
