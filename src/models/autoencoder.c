// SPDX-License-Identifier: MIT
// Shapes: x [N, C, H, W] throughout.
#include "models/autoencoder.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GROUPS 32
#define NORM_EPSILON 1e-6f

igvk_status autoencoder_preset(const char *name, autoencoder_config *c) {
    static const autoencoder_config sd = {.image_channels = 3,
                                          .channels = 128,
                                          .levels = 4,
                                          .multiplier = {1, 2, 4, 4},
                                          .blocks = 2,
                                          .inner_channels = 4,
                                          .latent_channels = 4};
    static const autoencoder_config va = {.image_channels = 3,
                                          .channels = 128,
                                          .levels = 5,
                                          .multiplier = {1, 1, 2, 2, 4},
                                          .attention = {[4] = true},
                                          .blocks = 2,
                                          .inner_channels = 32,
                                          .latent_channels = 32};
    if (strcmp(name, "sd-vae") != 0 && strcmp(name, "va-vae") != 0)
        return fail(IGVK_ERROR_INVALID, "no autoencoder is called '%.40s': there are sd-vae and va-vae", name);
    *c = name[0] == 's' ? sd : va;
    return IGVK_OK;
}

igvk_status autoencoder_check(const autoencoder_config *c) {
    if (c->levels == 0 || c->levels > AUTOENCODER_MAX_LEVELS)
        return fail(IGVK_ERROR_INVALID, "an autoencoder of %u levels: must have 1 to %d", c->levels,
                    AUTOENCODER_MAX_LEVELS);
    for (uint32_t i = 0; i < c->levels; i++) {
        const uint64_t width = (uint64_t)c->channels * c->multiplier[i];
        if (width == 0 || width % GROUPS || width > 1 << 14)
            return fail(IGVK_ERROR_INVALID, "an autoencoder of %llu channels at level %u: must be a multiple of %d",
                        (unsigned long long)width, i, GROUPS);
    }
    if (c->blocks == 0 || c->blocks > 16 || c->channels % GROUPS)
        return fail(IGVK_ERROR_INVALID, "an autoencoder of %u channels and %u blocks a level", c->channels, c->blocks);
    if (!c->image_channels || !c->inner_channels || !c->latent_channels || c->image_channels > 1 << 10 ||
        c->inner_channels > 1 << 12 || c->latent_channels > 1 << 12)
        return fail(IGVK_ERROR_INVALID, "an autoencoder from %u channels to %u, by %u", c->image_channels,
                    c->latent_channels, c->inner_channels);
    return IGVK_OK;
}

static uint32_t width_of(const autoencoder_config *c, uint32_t level) {
    return c->channels * c->multiplier[level];
}

// ---- parameters ----------------------------------------------------------------------------------------

typedef struct name_text {
    char text[AUTOENCODER_NAME];
} name_text;

static name_text name_of(const char *format, ...) PRINTF_LIKE(1, 2);
static name_text name_of(const char *format, ...) {
    name_text name;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name.text, sizeof name.text, format, arguments);
    va_end(arguments);
    return name;
}

static void add(parameter_layout *l, const char *prefix, const char *suffix, tensor_shape shape) {
    const name_text name = name_of("%s.%s", prefix, suffix);
    parameter_layout_add(l, &(parameter){.name = name.text, .shape = shape});
}

static void add_convolution(parameter_layout *l, const char *prefix, uint32_t out, uint32_t in, uint32_t kernel) {
    add(l, prefix, "weight", SHAPE(out, in, kernel, kernel));
    add(l, prefix, "bias", SHAPE(out));
}

static void add_norm(parameter_layout *l, const char *prefix, uint32_t channels) {
    add(l, prefix, "weight", SHAPE(channels));
    add(l, prefix, "bias", SHAPE(channels));
}

static void add_residual_block(parameter_layout *l, const char *prefix, uint32_t in, uint32_t out) {
    add_norm(l, name_of("%s.norm1", prefix).text, in);
    add_convolution(l, name_of("%s.conv1", prefix).text, out, in, 3);
    add_norm(l, name_of("%s.norm2", prefix).text, out);
    add_convolution(l, name_of("%s.conv2", prefix).text, out, out, 3);
    if (in != out)
        add_convolution(l, name_of("%s.nin_shortcut", prefix).text, out, in, 1);
}

static void add_attention(parameter_layout *l, const char *prefix, uint32_t channels) {
    static const char *const parts[] = {"q", "k", "v", "proj_out"};
    add_norm(l, name_of("%s.norm", prefix).text, channels);
    for (int i = 0; i < 4; i++)
        add_convolution(l, name_of("%s.%s", prefix, parts[i]).text, channels, channels, 1);
}

static void add_middle(parameter_layout *l, const char *side, uint32_t channels) {
    add_residual_block(l, name_of("%s.mid.block_1", side).text, channels, channels);
    add_attention(l, name_of("%s.mid.attn_1", side).text, channels);
    add_residual_block(l, name_of("%s.mid.block_2", side).text, channels, channels);
}

// The residual blocks and attentions of a level; its output's channels.
static uint32_t add_level(parameter_layout *l, const autoencoder_config *c, const char *prefix, uint32_t level,
                          uint32_t blocks, uint32_t in) {
    const uint32_t out = width_of(c, level);
    for (uint32_t j = 0; j < blocks; j++)
        add_residual_block(l, name_of("%s.%u.block.%u", prefix, level, j).text, j ? out : in, out);
    for (uint32_t j = 0; c->attention[level] && j < blocks; j++)
        add_attention(l, name_of("%s.%u.attn.%u", prefix, level, j).text, out);
    return out;
}

static void add_encoder(parameter_layout *l, const autoencoder_config *c) {
    uint32_t width = c->channels;
    add_convolution(l, "encoder.conv_in", width, c->image_channels, 3);
    for (uint32_t i = 0; i < c->levels; i++) {
        width = add_level(l, c, "encoder.down", i, c->blocks, width);
        if (i + 1 < c->levels)
            add_convolution(l, name_of("encoder.down.%u.downsample.conv", i).text, width, width, 3);
    }
    add_middle(l, "encoder", width);
    add_norm(l, "encoder.norm_out", width);
    add_convolution(l, "encoder.conv_out", 2 * c->inner_channels, width, 3);
    add_convolution(l, "quant_conv", 2 * c->latent_channels, 2 * c->inner_channels, 1);
}

static void add_decoder(parameter_layout *l, const autoencoder_config *c) {
    uint32_t width = width_of(c, c->levels - 1);
    add_convolution(l, "post_quant_conv", c->inner_channels, c->latent_channels, 1);
    add_convolution(l, "decoder.conv_in", width, c->inner_channels, 3);
    add_middle(l, "decoder", width);
    for (uint32_t i = c->levels; i-- > 0;) {
        width = add_level(l, c, "decoder.up", i, c->blocks + 1, width);
        if (i > 0)
            add_convolution(l, name_of("decoder.up.%u.upsample.conv", i).text, width, width, 3);
    }
    add_norm(l, "decoder.norm_out", width);
    add_convolution(l, "decoder.conv_out", c->image_channels, width, 3);
}

void autoencoder_parameters(const autoencoder_config *c, int parts, parameter_layout *l) {
    if (parts & AUTOENCODER_ENCODER)
        add_encoder(l, c);
    if (parts & AUTOENCODER_DECODER)
        add_decoder(l, c);
}

// ---- graph -----------------------------------------------------------------------------------------------

typedef struct builder {
    graph *g;
    const parameter_set *p;
} builder;

static tensor_id weight(builder *b, const char *prefix, const char *suffix) {
    return parameter_tensor(b->g, b->p, name_of("%s.%s", prefix, suffix).text);
}

static tensor_id convolve(builder *b, tensor_id x, const char *prefix, convolution_options o) {
    o.bias = weight(b, prefix, "bias");
    return op_convolution(b->g, x, weight(b, prefix, "weight"), &o);
}

#define SAME_SIZE .pad_before = 1, .pad_after = 1 // of a 3x3 kernel

static tensor_id normalise(builder *b, tensor_id x, const char *prefix, bool silu) {
    const group_norm_options o = {.weight = weight(b, prefix, "weight"),
                                  .bias = weight(b, prefix, "bias"),
                                  .groups = GROUPS,
                                  .epsilon = NORM_EPSILON,
                                  .silu = silu};
    return op_group_norm(b->g, x, &o);
}

static tensor_id residual_block(builder *b, tensor_id x, const char *prefix) {
    const name_text shortcut = name_of("%s.nin_shortcut", prefix);
    tensor_id h = normalise(b, x, name_of("%s.norm1", prefix).text, true);
    h = convolve(b, h, name_of("%s.conv1", prefix).text, (convolution_options){SAME_SIZE});
    h = normalise(b, h, name_of("%s.norm2", prefix).text, true);
    if (parameter_find(b->p->layout, name_of("%s.weight", shortcut.text).text))
        x = convolve(b, x, shortcut.text, (convolution_options){0});
    return convolve(b, h, name_of("%s.conv2", prefix).text, (convolution_options){SAME_SIZE, .residual = x});
}

static tensor_id attend(builder *b, tensor_id x, const char *prefix) {
    const convolution_options plain = {0};
    const tensor_id h = normalise(b, x, name_of("%s.norm", prefix).text, false);
    const tensor_id q = convolve(b, h, name_of("%s.q", prefix).text, plain);
    const tensor_id k = convolve(b, h, name_of("%s.k", prefix).text, plain);
    const tensor_id v = convolve(b, h, name_of("%s.v", prefix).text, plain);
    return convolve(b, op_spatial_attention(b->g, q, k, v), name_of("%s.proj_out", prefix).text,
                    (convolution_options){.residual = x});
}

static tensor_id middle(builder *b, tensor_id x, const char *side) {
    x = residual_block(b, x, name_of("%s.mid.block_1", side).text);
    x = attend(b, x, name_of("%s.mid.attn_1", side).text);
    return residual_block(b, x, name_of("%s.mid.block_2", side).text);
}

static tensor_id level_blocks(builder *b, const autoencoder_config *c, tensor_id x, const char *prefix, uint32_t level,
                              uint32_t blocks) {
    for (uint32_t j = 0; j < blocks; j++) {
        x = residual_block(b, x, name_of("%s.%u.block.%u", prefix, level, j).text);
        if (c->attention[level])
            x = attend(b, x, name_of("%s.%u.attn.%u", prefix, level, j).text);
    }
    return x;
}

tensor_id autoencoder_encode(graph *g, const autoencoder_config *c, const parameter_set *p, tensor_id image) {
    builder b = {g, p};
    // Rows below and columns to the right alone, as the official code pads before halving.
    const convolution_options halve = {.stride = 2, .pad_after = 1};
    tensor_id x = convolve(&b, image, "encoder.conv_in", (convolution_options){SAME_SIZE});
    for (uint32_t i = 0; i < c->levels; i++) {
        x = level_blocks(&b, c, x, "encoder.down", i, c->blocks);
        if (i + 1 < c->levels)
            x = convolve(&b, x, name_of("encoder.down.%u.downsample.conv", i).text, halve);
    }
    x = normalise(&b, middle(&b, x, "encoder"), "encoder.norm_out", true);
    x = convolve(&b, x, "encoder.conv_out", (convolution_options){SAME_SIZE});
    return graph_label(g, convolve(&b, x, "quant_conv", (convolution_options){0}), "moments");
}

tensor_id autoencoder_decode(graph *g, const autoencoder_config *c, const parameter_set *p, tensor_id latent) {
    builder b = {g, p};
    const convolution_options twice = {SAME_SIZE, .upsample = true};
    tensor_id x = convolve(&b, latent, "post_quant_conv", (convolution_options){0});
    x = convolve(&b, x, "decoder.conv_in", (convolution_options){SAME_SIZE});
    x = middle(&b, x, "decoder");
    for (uint32_t i = c->levels; i-- > 0;) {
        x = level_blocks(&b, c, x, "decoder.up", i, c->blocks + 1);
        if (i > 0)
            x = convolve(&b, x, name_of("decoder.up.%u.upsample.conv", i).text, twice);
    }
    x = normalise(&b, x, "decoder.norm_out", true);
    return graph_label(g, convolve(&b, x, "decoder.conv_out", (convolution_options){SAME_SIZE}), "image");
}

// ---- the latent distribution -----------------------------------------------------------------------------

float autoencoder_clamp_log_variance(float value) {
    return value < -30 ? -30 : value > 20 ? 20 : value;
}

void autoencoder_sample(const float *moments, const float *noise, uint64_t count, float *out) {
    for (uint64_t i = 0; i < count; i++) {
        const double deviation = exp(0.5 * (double)autoencoder_clamp_log_variance(moments[count + i]));
        out[i] = (float)((double)moments[i] + deviation * (double)noise[i]);
    }
}
