// SPDX-License-Identifier: MIT
// SiT with the auxiliary head (method, chapters 1 and 2; official code: SiT/models/sit.py, class SiT).
//
// Shapes: N samples, T = (H/p)(W/p) tokens, D = hidden. The residual stream x is [N, T, D].
#include "models/model.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define TIME_FEATURES 256
#define NORM_EPSILON 1e-6f    // blocks and final layers
#define QK_NORM_EPSILON 1e-5f // q_norm, k_norm

static const struct sit_preset {
    const char *size;
    uint32_t depth, hidden, heads;
} presets[] = {{"S", 12, 384, 6}, {"B", 12, 768, 12}, {"L", 24, 1024, 16}, {"XL", 28, 1152, 16}};

static const char *const preset_names[] = {"SiT-S/2", "SiT-S/4", "SiT-S/8", "SiT-B/2",  "SiT-B/4",  "SiT-B/8", "SiT-L/2",
                                           "SiT-L/4", "SiT-L/8", "SiT-XL/2", "SiT-XL/4", "SiT-XL/8", NULL};

static bool sit_preset(const char *name, model_config *c) {
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        for (uint32_t patch = 2; patch <= 8; patch *= 2) {
            char full[16];
            snprintf(full, sizeof full, "SiT-%s/%u", presets[i].size, patch);
            if (strcmp(full, name) != 0)
                continue;
            c->depth = presets[i].depth;
            c->hidden = presets[i].hidden;
            c->heads = presets[i].heads;
            c->patch = patch;
            // The paper's depths: 4 of 12 (B), 8 of 28 (XL); a third for the others.
            c->head_after = presets[i].depth == 28 ? 8 : presets[i].depth / 3;
            return true;
        }
    return false;
}

static igvk_status sit_check(const model_config *c) {
    if (c->patch == 0 || c->height == 0 || c->width == 0 || c->height % c->patch || c->width % c->patch)
        return fail(IGVK_ERROR_INVALID, "input %ux%u is not divisible by the patch %u: choose another --patch or image size",
                    c->height, c->width, c->patch);
    if (c->heads == 0 || c->hidden == 0 || c->hidden % c->heads)
        return fail(IGVK_ERROR_INVALID, "width %u is not divisible by %u heads: change --width or --heads", c->hidden, c->heads);
    if (c->hidden / c->heads > 128)
        return fail(IGVK_ERROR_INVALID, "head dimension %u is above 128: raise --heads", c->hidden / c->heads);
    if (c->hidden % 4)
        return fail(IGVK_ERROR_INVALID, "width %u is not a multiple of 4, which the position table needs", c->hidden);
    if (c->depth == 0 || c->head_after == 0 || c->head_after > c->depth)
        return fail(IGVK_ERROR_INVALID, "--head-after %u: must be between 1 and the depth %u", c->head_after, c->depth);
    if (c->channels == 0 || !(c->mlp_ratio > 0))
        return fail(IGVK_ERROR_INVALID, "a model needs at least one channel and a positive mlp ratio");
    return IGVK_OK;
}

static uint32_t mlp_hidden(const model_config *c) { return (uint32_t)(c->hidden * c->mlp_ratio); }

// ---- configuration ---------------------------------------------------------------------------------

#define SIT_FIELD(name, least, most)                                                                                   \
    {.key = #name, .type = CONFIG_WHOLE, .offset = offsetof(model_config, name), .low = least, .high = most,           \
     .required = true}
static const config_field fields[] = {
    SIT_FIELD(patch, 1, 1 << 10),
    SIT_FIELD(hidden, 4, 1 << 16),
    SIT_FIELD(depth, 1, 1 << 10),
    SIT_FIELD(heads, 1, 1 << 12),
    SIT_FIELD(head_after, 1, 1 << 10),
    {.key = "qk_norm", .type = CONFIG_FLAG, .offset = offsetof(model_config, qk_norm)},
    {.key = "mlp_ratio", .type = CONFIG_NUMBER, .offset = offsetof(model_config, mlp_ratio), .low = 0.01, .high = 64,
     .otherwise = 4},
};

// ---- parameters ------------------------------------------------------------------------------------

static void add(parameter_layout *l, parameter_init init, double scale, tensor_shape shape, const char *name) {
    parameter_layout_add(l, &(parameter){.name = name, .shape = shape, .init = init, .scale = scale});
}

// PREFIX.weight [out, in] and PREFIX.bias [out]; biases start at zero everywhere.
static void add_linear(parameter_layout *l, const char *prefix, uint32_t out, uint32_t in, parameter_init init) {
    char name[96];
    snprintf(name, sizeof name, "%s.weight", prefix);
    add(l, init, 0.02, SHAPE(out, in), name);
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(l, INIT_ZERO, 0, SHAPE(out), name);
}

static void fill_position_table(const void *context, uint64_t first, uint64_t count, float *out) {
    const model_config *c = context;
    position_table(c->width / c->patch, c->hidden, first, count, out);
}

static void add_qk_norm(parameter_layout *l, uint32_t block, uint32_t head_dimension) {
    static const char *const names[] = {"q_norm", "k_norm"};
    for (int i = 0; i < 2; i++) {
        char name[96];
        snprintf(name, sizeof name, "blocks.%u.attn.%s.weight", block, names[i]);
        add(l, INIT_ONE, 0, SHAPE(head_dimension), name);
        snprintf(name, sizeof name, "blocks.%u.attn.%s.bias", block, names[i]);
        add(l, INIT_ZERO, 0, SHAPE(head_dimension), name);
    }
}

static void add_block(parameter_layout *l, const model_config *c, uint32_t block) {
    uint32_t d = c->hidden;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "blocks.%u.attn.qkv", block);
    add_linear(l, prefix, 3 * d, d, INIT_XAVIER_UNIFORM);
    if (c->qk_norm)
        add_qk_norm(l, block, d / c->heads);
    snprintf(prefix, sizeof prefix, "blocks.%u.attn.proj", block);
    add_linear(l, prefix, d, d, INIT_XAVIER_UNIFORM);
    snprintf(prefix, sizeof prefix, "blocks.%u.mlp.fc1", block);
    add_linear(l, prefix, mlp_hidden(c), d, INIT_XAVIER_UNIFORM);
    snprintf(prefix, sizeof prefix, "blocks.%u.mlp.fc2", block);
    add_linear(l, prefix, d, mlp_hidden(c), INIT_XAVIER_UNIFORM);
    snprintf(prefix, sizeof prefix, "blocks.%u.adaLN_modulation.1", block);
    add_linear(l, prefix, 6 * d, d, INIT_ZERO);
}

static void add_final_layer(parameter_layout *l, const model_config *c, const char *name) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.linear", name);
    add_linear(l, prefix, c->patch * c->patch * c->channels, c->hidden, INIT_ZERO);
    snprintf(prefix, sizeof prefix, "%s.adaLN_modulation.1", name);
    add_linear(l, prefix, 2 * c->hidden, c->hidden, INIT_ZERO);
}

// In the order of the official state dict.
static void sit_parameters(const model_config *c, parameter_layout *l) {
    uint32_t d = c->hidden;
    model_config *kept = arena_alloc(parameter_layout_arena(l), sizeof *kept);
    if (kept)
        *kept = *c;
    parameter_layout_add(l, &(parameter){.name = "pos_embed", .shape = SHAPE(1, model_tokens(c), d), .frozen = true,
                                         .init = INIT_TABLE, .fill = fill_position_table, .context = kept});
    add(l, INIT_XAVIER_UNIFORM, 0, SHAPE(d, c->channels, c->patch, c->patch), "x_embedder.proj.weight");
    add(l, INIT_ZERO, 0, SHAPE(d), "x_embedder.proj.bias");
    add_linear(l, "t_embedder.mlp.0", d, TIME_FEATURES, INIT_NORMAL);
    add_linear(l, "t_embedder.mlp.2", d, d, INIT_NORMAL);
    if (c->classes)
        add(l, INIT_NORMAL, 0.02, SHAPE(c->classes + c->null_class, d), "y_embedder.embedding_table.weight");
    for (uint32_t i = 0; i < c->depth; i++)
        add_block(l, c, i);
    add_final_layer(l, c, "final_layer_xr");
    add_final_layer(l, c, "final_layer");
}

// ---- graph -----------------------------------------------------------------------------------------

typedef struct builder {
    graph *g;
    const model_config *c;
    const parameter_set *p;
    tensor_id conditioning; // SiLU(c) [N, D]: what every adaLN linear reads
} builder;

static tensor_id weight(builder *b, const char *format, uint32_t block, const char *suffix) {
    char prefix[64], name[96];
    snprintf(prefix, sizeof prefix, format, block); // formats without %u ignore the block
    snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    return parameter_tensor(b->g, b->p, name);
}

// y = residual + gate * activation(x W^T + b) with the parameters PREFIX.weight, PREFIX.bias.
static tensor_id linear(builder *b, tensor_id x, const char *format, uint32_t block, linear_options o) {
    o.bias = weight(b, format, block, "bias");
    return op_linear(b->g, x, weight(b, format, block, "weight"), &o);
}

// Tokens [N, T, D]: patch embedding (a convolution of kernel and stride p) plus the position table.
static tensor_id embed_patches(builder *b, tensor_id x) {
    uint32_t d = b->c->hidden, inner = b->c->channels * b->c->patch * b->c->patch;
    tensor_id kernel = graph_view(b->g, parameter_tensor(b->g, b->p, "x_embedder.proj.weight"), 0, SHAPE(d, inner), NULL);
    tensor_id table = graph_view(b->g, parameter_tensor(b->g, b->p, "pos_embed"), 0, SHAPE(model_tokens(b->c), d), NULL);
    tensor_id patches = op_patchify(b->g, x, b->c->patch, PATCH_CHANNEL_FIRST);
    return op_linear(b->g, patches, kernel,
                     &(linear_options){.bias = parameter_tensor(b->g, b->p, "x_embedder.proj.bias"), .residual = table});
}

// c [N, D] = time embedding + label row.
static tensor_id embed_conditions(builder *b, tensor_id t, tensor_id labels) {
    graph *g = b->g;
    tensor_id features = graph_label(g, op_timestep_features(g, t, TIME_FEATURES), "t_freq");
    tensor_id hidden = linear(b, features, "t_embedder.mlp.0", 0, (linear_options){.activation = ACTIVATION_SILU});
    tensor_id time = graph_label(g, linear(b, hidden, "t_embedder.mlp.2", 0, (linear_options){0}), "t_emb");
    if (b->c->classes == 0)
        return time;
    tensor_id label = op_embedding(g, labels, parameter_tensor(g, b->p, "y_embedder.embedding_table.weight"));
    return graph_label(g, op_add(g, time, label), "c");
}

static tensor_id attend(builder *b, tensor_id x, uint32_t block) {
    tensor_id qkv = linear(b, x, "blocks.%u.attn.qkv", block, (linear_options){0});
    if (b->c->qk_norm) {
        qk_norm_weights w = {.q_weight = weight(b, "blocks.%u.attn.q_norm", block, "weight"),
                             .q_bias = weight(b, "blocks.%u.attn.q_norm", block, "bias"),
                             .k_weight = weight(b, "blocks.%u.attn.k_norm", block, "weight"),
                             .k_bias = weight(b, "blocks.%u.attn.k_norm", block, "bias")};
        qkv = op_qk_norm(b->g, qkv, &w, b->c->heads, QK_NORM_EPSILON);
    }
    return op_attention(b->g, qkv, b->c->heads);
}

// adaLN-Zero: shift, scale, gate for attention, then for the MLP.
static tensor_id block(builder *b, tensor_id x, uint32_t i) {
    graph *g = b->g;
    tensor_id m = op_split_columns(g, linear(b, b->conditioning, "blocks.%u.adaLN_modulation.1", i, (linear_options){0}), 6);
    tensor_id h = op_layer_norm_modulate(g, x, graph_output(g, m, 0), graph_output(g, m, 1), NORM_EPSILON);
    x = linear(b, attend(b, h, i), "blocks.%u.attn.proj", i, (linear_options){.gate = graph_output(g, m, 2), .residual = x});
    h = op_layer_norm_modulate(g, x, graph_output(g, m, 3), graph_output(g, m, 4), NORM_EPSILON);
    h = linear(b, h, "blocks.%u.mlp.fc1", i, (linear_options){.activation = ACTIVATION_GELU_TANH});
    x = linear(b, h, "blocks.%u.mlp.fc2", i, (linear_options){.gate = graph_output(g, m, 5), .residual = x});
    return graph_label(g, x, "block.%u", i);
}

// [N, C, H, W] from tokens; `name` is final_layer or final_layer_xr.
static tensor_id final_layer(builder *b, tensor_id x, const char *name) {
    graph *g = b->g;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.adaLN_modulation.1", name);
    tensor_id m = op_split_columns(g, linear(b, b->conditioning, prefix, 0, (linear_options){0}), 2);
    tensor_id h = op_layer_norm_modulate(g, x, graph_output(g, m, 0), graph_output(g, m, 1), NORM_EPSILON);
    snprintf(prefix, sizeof prefix, "%s.linear", name);
    h = linear(b, h, prefix, 0, (linear_options){0});
    return op_unpatchify(g, h, b->c->patch, b->c->channels, b->c->height, b->c->width, PATCH_CHANNEL_LAST);
}

static model_outputs sit_build(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in) {
    builder b = {.g = g, .c = c, .p = p};
    model_outputs out = {NO_TENSOR, NO_TENSOR};
    tensor_id x = graph_label(g, embed_patches(&b, in->x), "tokens");
    b.conditioning = op_activation(g, embed_conditions(&b, in->t, in->labels), ACTIVATION_SILU);
    for (uint32_t i = 0; i < c->depth; i++) {
        x = block(&b, x, i);
        if (i + 1 == c->head_after)
            out.intermediate = graph_label(g, final_layer(&b, x, "final_layer_xr"), "D_i");
    }
    out.final_output = graph_label(g, final_layer(&b, x, "final_layer"), "D_f");
    return out;
}

const model_kind sit_kind = {.name = "sit", .fields = fields, .field_count = sizeof fields / sizeof *fields, .check = sit_check, .preset = sit_preset, .parameters = sit_parameters,
                             .build = sit_build, .preset_names = preset_names};
