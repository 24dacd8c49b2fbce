// SPDX-License-Identifier: MIT
// Shapes: N samples, T = (H/p)(W/p) tokens, D = hidden. The residual stream x is [N, T, D].
#include "models/adaln.h"

#include <stdio.h>
#include <string.h>

#define TIME_FEATURES 256
#define NORM_EPSILON 1e-6f          // blocks and final layers; RMSNorm of q and k
#define QK_LAYER_NORM_EPSILON 1e-5f // LayerNorm of q and k

bool adaln_preset(const char *name, const char *family, const adaln_size *sizes, size_t count, const uint32_t *patches,
                  model_config *c) {
    if (strcmp(name, family) == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        for (const uint32_t *patch = patches; *patch; patch++) {
            char full[32];
            snprintf(full, sizeof full, "%s-%s/%u", family, sizes[i].name, *patch);
            if (strcmp(full, name) != 0)
                continue;
            c->depth = sizes[i].depth;
            c->hidden = sizes[i].hidden;
            c->heads = sizes[i].heads;
            c->patch = *patch;
            // The paper's depths: 4 of 12 (B), 8 of 28 (XL); a third for the others.
            c->head_after = c->depth == 28 ? 8 : c->depth / 3;
            return true;
        }
    return false;
}

igvk_status adaln_check(const model_config *c) {
    if (c->patch == 0 || c->height == 0 || c->width == 0 || c->height % c->patch || c->width % c->patch)
        return fail(IGVK_ERROR_INVALID,
                    "input %ux%u is not divisible by the patch %u: choose another --patch or image size", c->height,
                    c->width, c->patch);
    if (c->heads == 0 || c->hidden == 0 || c->hidden % c->heads)
        return fail(IGVK_ERROR_INVALID, "width %u is not divisible by %u heads: change --width or --heads", c->hidden,
                    c->heads);
    if (c->hidden / c->heads > 128)
        return fail(IGVK_ERROR_INVALID, "head dimension %u is above 128: raise --heads", c->hidden / c->heads);
    if (c->hidden % 4)
        return fail(IGVK_ERROR_INVALID, "width %u is not a multiple of 4, which the position table needs", c->hidden);
    if (c->depth == 0 || c->head_after > c->depth)
        return fail(IGVK_ERROR_INVALID, "--head-after %u: must be between 1 and the depth %u, or 0 for no head",
                    c->head_after, c->depth);
    if (c->channels == 0 || !(c->mlp_ratio > 0))
        return fail(IGVK_ERROR_INVALID, "a model needs at least one channel and a positive mlp ratio");
    return IGVK_OK;
}

#define WHOLE_FIELD(name, least, most)                                                                                 \
    {                                                                                                                  \
        .key = #name, .type = CONFIG_WHOLE, .offset = offsetof(model_config, name), .low = least, .high = most,        \
        .required = true                                                                                               \
    }
#define FLAG_FIELD(name)                                                                                               \
    { .key = #name, .type = CONFIG_FLAG, .offset = offsetof(model_config, name) }
static const char *const paths[] = {[PATH_LINEAR] = "linear", [PATH_COSINE] = "cosine", NULL};
const config_field adaln_fields[] = {
    {.key = "learn_sigma", .type = CONFIG_FLAG, .offset = offsetof(model_config, learn_sigma), .otherwise = 1},
    WHOLE_FIELD(patch, 1, 1 << 10),
    WHOLE_FIELD(hidden, 4, 1 << 16),
    WHOLE_FIELD(depth, 1, 1 << 10),
    WHOLE_FIELD(heads, 1, 1 << 12),
    WHOLE_FIELD(head_after, 0, 1 << 10),
    FLAG_FIELD(qk_norm),
    {.key = "mlp_ratio",
     .type = CONFIG_NUMBER,
     .offset = offsetof(model_config, mlp_ratio),
     .low = 0.01,
     .high = 64,
     .otherwise = 4},
    {.key = "path", .type = CONFIG_CHOICE, .offset = offsetof(model_config, path), .choices = paths},
    FLAG_FIELD(rms_norm),
    FLAG_FIELD(swiglu),
    FLAG_FIELD(rotary),
    FLAG_FIELD(no_shift),
};

static uint32_t mlp_hidden(const model_config *c) {
    uint32_t hidden = (uint32_t)(c->hidden * c->mlp_ratio);
    return c->swiglu ? (uint32_t)(2.0 / 3.0 * hidden) : hidden; // as the official code truncates
}

static uint32_t modulations(const model_config *c) {
    return c->no_shift ? 4 : 6;
}

// ---- parameters ------------------------------------------------------------------------------------

static const char *block_name(char name[32], uint32_t i) {
    snprintf(name, 32, "blocks.%u", i);
    return name;
}

static void add(parameter_layout *l, parameter_init init, double scale, tensor_shape shape, const char *name) {
    parameter_layout_add(l, &(parameter){.name = name, .shape = shape, .init = init, .scale = scale});
}

// Biases start at zero everywhere.
static void add_linear(parameter_layout *l, const char *prefix, uint32_t out, uint32_t in, parameter_init init,
                       bool product) {
    char name[96];
    snprintf(name, sizeof name, "%s.weight", prefix);
    parameter_layout_add(
        l, &(parameter){.name = name, .shape = SHAPE(out, in), .product = product, .init = init, .scale = 0.02});
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(l, INIT_ZERO, 0, SHAPE(out), name);
}

void adaln_add_linear(parameter_layout *l, const char *prefix, uint32_t out, uint32_t in, parameter_init init) {
    add_linear(l, prefix, out, in, init, true);
}

// What all blocks start from and the outputs themselves: few weights, whose rounding everything would show.
static void add_exact_linear(parameter_layout *l, const char *prefix, uint32_t out, uint32_t in, parameter_init init) {
    add_linear(l, prefix, out, in, init, false);
}

// PREFIX.weight [size], and PREFIX.bias where `bias`.
static void add_norm(parameter_layout *l, const char *prefix, uint32_t size, bool bias) {
    char name[96];
    snprintf(name, sizeof name, "%s.weight", prefix);
    add(l, INIT_ONE, 0, SHAPE(size), name);
    snprintf(name, sizeof name, "%s.bias", prefix);
    if (bias)
        add(l, INIT_ZERO, 0, SHAPE(size), name);
}

static void fill_position_table(const void *context, uint64_t first, uint64_t count, float *out) {
    const model_config *c = context;
    position_table(c->width / c->patch, c->hidden, first, count, out);
}

static void fill_cosines(const void *context, uint64_t first, uint64_t count, float *out) {
    const model_config *c = context;
    rotary_table(c->width / c->patch, c->hidden / c->heads, false, first, count, out);
}

static void fill_sines(const void *context, uint64_t first, uint64_t count, float *out) {
    const model_config *c = context;
    rotary_table(c->width / c->patch, c->hidden / c->heads, true, first, count, out);
}

static void add_table(parameter_layout *l, const model_config *c, const char *name, tensor_shape shape, bool decays,
                      void (*fill)(const void *context, uint64_t first, uint64_t count, float *out)) {
    model_config *kept = arena_alloc(parameter_layout_arena(l), sizeof *kept);
    if (kept)
        *kept = *c;
    parameter_layout_add(l, &(parameter){.name = name,
                                         .shape = shape,
                                         .frozen = true,
                                         .decays = decays,
                                         .init = INIT_TABLE,
                                         .fill = fill,
                                         .context = kept});
}

void adaln_add_attention(parameter_layout *l, const model_config *c, const char *block) {
    uint32_t d = c->hidden;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.attn.qkv", block);
    adaln_add_linear(l, prefix, 3 * d, d, INIT_XAVIER_UNIFORM);
    for (int k = 0; c->qk_norm && k < 2; k++) {
        snprintf(prefix, sizeof prefix, "%s.attn.%c_norm", block, "qk"[k]);
        add_norm(l, prefix, d / c->heads, !c->rms_norm);
    }
    snprintf(prefix, sizeof prefix, "%s.attn.proj", block);
    adaln_add_linear(l, prefix, d, d, INIT_XAVIER_UNIFORM);
}

void adaln_add_mlp(parameter_layout *l, const model_config *c, const char *block) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.mlp.%s", block, c->swiglu ? "w12" : "fc1");
    adaln_add_linear(l, prefix, (c->swiglu ? 2 : 1) * mlp_hidden(c), c->hidden, INIT_XAVIER_UNIFORM);
    snprintf(prefix, sizeof prefix, "%s.mlp.%s", block, c->swiglu ? "w3" : "fc2");
    adaln_add_linear(l, prefix, c->hidden, mlp_hidden(c), INIT_XAVIER_UNIFORM);
}

void adaln_add_modulation(parameter_layout *l, const model_config *c, const char *block) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.adaLN_modulation.1", block);
    adaln_add_linear(l, prefix, modulations(c) * c->hidden, c->hidden, INIT_ZERO);
}

static void add_block(parameter_layout *l, const model_config *c, const char *block) {
    char prefix[64];
    for (int k = 1; c->rms_norm && k <= 2; k++) {
        snprintf(prefix, sizeof prefix, "%s.norm%d", block, k);
        add_norm(l, prefix, c->hidden, false);
    }
    adaln_add_attention(l, c, block);
    adaln_add_mlp(l, c, block);
    adaln_add_modulation(l, c, block);
}

void adaln_add_final_layer(parameter_layout *l, const model_config *c, const char *name, parameter_init init) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.norm_final", name);
    if (c->rms_norm)
        add_norm(l, prefix, c->hidden, false);
    snprintf(prefix, sizeof prefix, "%s.linear", name);
    add_exact_linear(l, prefix, c->patch * c->patch * model_output_channels(c), c->hidden, init);
    snprintf(prefix, sizeof prefix, "%s.adaLN_modulation.1", name);
    add_exact_linear(l, prefix, 2 * c->hidden, c->hidden, init);
}

void adaln_add_embedders(parameter_layout *l, const model_config *c) {
    const uint32_t d = c->hidden;
    add(l, INIT_XAVIER_UNIFORM, 0, SHAPE(d, c->channels, c->patch, c->patch), "x_embedder.proj.weight");
    add(l, INIT_ZERO, 0, SHAPE(d), "x_embedder.proj.bias");
    add_exact_linear(l, "t_embedder.mlp.0", d, TIME_FEATURES, INIT_NORMAL);
    add_exact_linear(l, "t_embedder.mlp.2", d, d, INIT_NORMAL);
    if (c->classes)
        add(l, INIT_NORMAL, 0.02, SHAPE(c->classes + c->null_class, d), "y_embedder.embedding_table.weight");
}

// In the order of the official state dicts.
void adaln_parameters(const model_config *c, parameter_layout *l) {
    const uint32_t d = c->hidden, tokens = model_tokens(c);
    // Officially a parameter without a gradient, where the rotary tables are none.
    add_table(l, c, "pos_embed", SHAPE(1, tokens, d), true, fill_position_table);
    adaln_add_embedders(l, c);
    if (c->rotary) {
        add_table(l, c, "feat_rope.freqs_cos", SHAPE(tokens, d / c->heads), false, fill_cosines);
        add_table(l, c, "feat_rope.freqs_sin", SHAPE(tokens, d / c->heads), false, fill_sines);
    }
    for (uint32_t i = 0; i < c->depth; i++)
        add_block(l, c, block_name((char[32]){0}, i));
    // LightningDiT's official code zeroes the last layer alone.
    const bool keeps = model_kind_find(c->kind)->time == MODEL_DATA_AT_ONE;
    if (c->head_after)
        adaln_add_final_layer(l, c, "final_layer_xr", keeps ? INIT_XAVIER_UNIFORM : INIT_ZERO);
    adaln_add_final_layer(l, c, "final_layer", INIT_ZERO);
}

// ---- graph -----------------------------------------------------------------------------------------

tensor_id adaln_weight(adaln_builder *b, const char *format, const char *block, const char *suffix) {
    char prefix[64], name[96];
    snprintf(prefix, sizeof prefix, format, block); // formats without %s ignore the block
    snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    return parameter_tensor(b->g, b->p, name);
}

void adaln_condition(adaln_builder *b, tensor_id t, tensor_id labels) {
    b->conditioning = op_activation(b->g, adaln_embed_conditions(b, t, labels), ACTIVATION_SILU);
    // Once for all blocks.
    b->rounded_conditioning = b->p->copies ? op_convert(b->g, b->conditioning, b->p->copies_type) : b->conditioning;
}

// In mixed precision what a copied weight multiplies is rounded to its type.
static tensor_id operand_for(adaln_builder *b, tensor_id x, tensor_id weight) {
    const storage_type type = tensor_of(b->g, weight)->type;
    if (!b->p->copies || type != b->p->copies_type)
        return x;
    return tensor_same(x, b->conditioning) ? b->rounded_conditioning : op_convert(b->g, x, type);
}

tensor_id adaln_linear(adaln_builder *b, tensor_id x, const char *format, const char *block, linear_options o) {
    const tensor_id weight = adaln_weight(b, format, block, "weight");
    o.bias = adaln_weight(b, format, block, "bias");
    return op_linear(b->g, operand_for(b, x, weight), weight, &o);
}

tensor_id adaln_embed_patches(adaln_builder *b, tensor_id x, tensor_id positions) {
    uint32_t d = b->c->hidden, inner = b->c->channels * b->c->patch * b->c->patch;
    tensor_id kernel =
        graph_view(b->g, parameter_tensor(b->g, b->p, "x_embedder.proj.weight"), 0, SHAPE(d, inner), NULL);
    tensor_id patches = op_patchify(b->g, x, b->c->patch, PATCH_CHANNEL_FIRST);
    return op_linear(
        b->g, patches, kernel,
        &(linear_options){.bias = parameter_tensor(b->g, b->p, "x_embedder.proj.bias"), .residual = positions});
}

tensor_id adaln_embed_conditions(adaln_builder *b, tensor_id t, tensor_id labels) {
    graph *g = b->g;
    tensor_id features = graph_label(g, op_timestep_features(g, t, TIME_FEATURES), "t_freq");
    tensor_id hidden =
        adaln_linear(b, features, "t_embedder.mlp.0", NULL, (linear_options){.activation = ACTIVATION_SILU});
    tensor_id time = graph_label(g, adaln_linear(b, hidden, "t_embedder.mlp.2", NULL, (linear_options){0}), "t_emb");
    if (b->c->classes == 0)
        return time;
    tensor_id label = op_embedding(g, labels, parameter_tensor(g, b->p, "y_embedder.embedding_table.weight"));
    return graph_label(g, op_add(g, time, label), "c");
}

// norm(x) (1 + scale) + shift; `format` names an RMSNorm's weight.
static tensor_id modulate(adaln_builder *b, tensor_id x, const char *format, const char *block, tensor_id shift,
                          tensor_id scale) {
    norm_options o = {.shift = shift, .scale = scale, .epsilon = NORM_EPSILON};
    if (b->c->rms_norm) {
        o.kind = NORM_RMS;
        o.weight = adaln_weight(b, format, block, "weight");
    }
    return op_norm_modulate(b->g, x, &o);
}

static tensor_id attend(adaln_builder *b, tensor_id x, const char *block) {
    const model_config *c = b->c;
    tensor_id qkv = adaln_linear(b, x, "%s.attn.qkv", block, (linear_options){0});
    if (c->qk_norm) {
        qk_norm_options o = {.kind = c->rms_norm ? NORM_RMS : NORM_LAYER,
                             .heads = c->heads,
                             .epsilon = c->rms_norm ? NORM_EPSILON : QK_LAYER_NORM_EPSILON,
                             .q_weight = adaln_weight(b, "%s.attn.q_norm", block, "weight"),
                             .k_weight = adaln_weight(b, "%s.attn.k_norm", block, "weight")};
        if (!c->rms_norm) {
            o.q_bias = adaln_weight(b, "%s.attn.q_norm", block, "bias");
            o.k_bias = adaln_weight(b, "%s.attn.k_norm", block, "bias");
        }
        qkv = op_qk_norm(b->g, qkv, &o);
    }
    if (c->rotary)
        qkv = op_rotary(b->g, qkv, parameter_tensor(b->g, b->p, "feat_rope.freqs_cos"),
                        parameter_tensor(b->g, b->p, "feat_rope.freqs_sin"), c->heads);
    return b->attend ? b->attend(b, qkv, block) : op_attention(b->g, qkv, c->heads);
}

// x + gate * mlp(h)
static tensor_id mlp(adaln_builder *b, tensor_id h, const char *block, tensor_id gate, tensor_id x) {
    const linear_options out = {.gate = gate, .residual = x};
    if (b->c->swiglu) {
        h = op_swiglu(b->g, adaln_linear(b, h, "%s.mlp.w12", block, (linear_options){0}));
        return adaln_linear(b, h, "%s.mlp.w3", block, out);
    }
    h = adaln_linear(b, h, "%s.mlp.fc1", block, (linear_options){.activation = ACTIVATION_GELU_TANH});
    return adaln_linear(b, h, "%s.mlp.fc2", block, out);
}

// adaLN-Zero: shift, scale, gate for attention, then for the MLP; or without the shifts.
tensor_id adaln_block(adaln_builder *b, tensor_id x, const char *block) {
    graph *g = b->g;
    const uint32_t parts = modulations(b->c), half = parts / 2, scale = half - 2, gate = half - 1;
    tensor_id m = op_split_columns(
        g, adaln_linear(b, b->conditioning, "%s.adaLN_modulation.1", block, (linear_options){0}), parts);
    const bool shifts = !b->c->no_shift;
    tensor_id h =
        modulate(b, x, "%s.norm1", block, shifts ? graph_output(g, m, 0) : NO_TENSOR, graph_output(g, m, scale));
    x = adaln_linear(b, attend(b, h, block), "%s.attn.proj", block,
                     (linear_options){.gate = graph_output(g, m, gate), .residual = x});
    h = modulate(b, x, "%s.norm2", block, shifts ? graph_output(g, m, half) : NO_TENSOR,
                 graph_output(g, m, half + scale));
    return mlp(b, h, block, graph_output(g, m, half + gate), x);
}

tensor_id adaln_final_layer(adaln_builder *b, tensor_id x, const char *name) {
    graph *g = b->g;
    const model_config *c = b->c;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.adaLN_modulation.1", name);
    tensor_id m = op_split_columns(g, adaln_linear(b, b->conditioning, prefix, NULL, (linear_options){0}), 2);
    snprintf(prefix, sizeof prefix, "%s.norm_final", name);
    tensor_id h = modulate(b, x, prefix, NULL, graph_output(g, m, 0), graph_output(g, m, 1));
    snprintf(prefix, sizeof prefix, "%s.linear", name);
    h = adaln_linear(b, h, prefix, NULL, (linear_options){0});
    return op_unpatchify(g, h, c->patch, model_output_channels(c), c->height, c->width, PATCH_CHANNEL_LAST);
}

model_outputs adaln_build(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in) {
    adaln_builder b = {.g = g, .c = c, .p = p};
    model_outputs out = {NO_TENSOR, NO_TENSOR};
    const bool keeps = graph_keeps_for_gradient(g);
    graph_keep_for_gradient(g, keeps && !in->head_only);
    tensor_id table = graph_view(g, parameter_tensor(g, p, "pos_embed"), 0, SHAPE(model_tokens(c), c->hidden), NULL);
    tensor_id x = graph_label(g, adaln_embed_patches(&b, in->x, table), "tokens");
    adaln_condition(&b, in->t, in->labels);
    for (uint32_t i = 0; i < c->depth; i++) {
        graph_segment_begin(g);
        x = graph_label(g, adaln_block(&b, x, block_name((char[32]){0}, i)), "block.%u", i);
        graph_segment_end(g);
        if (i + 1 != c->head_after)
            continue;
        graph_keep_for_gradient(g, keeps);
        out.intermediate = graph_label(g, adaln_final_layer(&b, x, "final_layer_xr"), "D_i");
        if (in->head_only)
            return out;
    }
    out.final_output = graph_label(g, adaln_final_layer(&b, x, "final_layer"), "D_f");
    return out;
}
