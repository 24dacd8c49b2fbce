// SPDX-License-Identifier: MIT
// Autoencoders on disk: the namings of their tensors, and what a file's shapes tell of its configuration.
#include "models/autoencoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- namings -----------------------------------------------------------------------------------------------

enum { ORIGINAL, DIFFUSERS, OLDER_DIFFUSERS, NAMINGS };

// Parts of a name between dots, in each naming; all others are the same.
static const char *const words[][NAMINGS] = {
    {"down", "down_blocks", "down_blocks"},
    {"up", "up_blocks", "up_blocks"}, // counted from the other end
    {"block", "resnets", "resnets"},
    {"attn", "attentions", "attentions"},
    {"downsample", "downsamplers.0", "downsamplers.0"},
    {"upsample", "upsamplers.0", "upsamplers.0"},
    {"mid", "mid_block", "mid_block"},
    {"block_1", "resnets.0", "resnets.0"},
    {"block_2", "resnets.1", "resnets.1"},
    {"attn_1", "attentions.0", "attentions.0"},
    {"norm_out", "conv_norm_out", "conv_norm_out"},
    {"nin_shortcut", "conv_shortcut", "conv_shortcut"},
    {"norm", "group_norm", "group_norm"},
    {"q", "to_q", "query"},
    {"k", "to_k", "key"},
    {"v", "to_v", "value"},
    {"proj_out", "to_out.0", "proj_attn"},
};

static const char *word_in(const char *word, int naming) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][ORIGINAL], word) == 0)
            return words[i][naming];
    return word;
}

bool autoencoder_alias(const autoencoder_config *c, const char *name, int naming, char out[AUTOENCODER_NAME]) {
    char copy[AUTOENCODER_NAME], number[16];
    size_t length = 0;
    bool after_up = false;
    if (naming < 0 || naming >= NAMINGS || strlen(name) >= sizeof copy)
        return false;
    memcpy(copy, name, strlen(name) + 1);
    for (char *word = copy, *next; word; word = next) {
        next = strchr(word, '.');
        if (next)
            *next++ = 0;
        const char *other = word_in(word, naming);
        if (after_up && naming != ORIGINAL) {
            snprintf(number, sizeof number, "%u", c->levels - 1 - (uint32_t)strtoul(word, NULL, 10));
            other = number;
        }
        after_up = strcmp(word, "up") == 0;
        length += (size_t)snprintf(out + length, AUTOENCODER_NAME - length, "%s%s", length ? "." : "", other);
        if (length >= AUTOENCODER_NAME)
            return false;
    }
    return true;
}

// ---- recognising a file ------------------------------------------------------------------------------------

typedef struct finder {
    autoencoder_find find;
    void *user;
    const autoencoder_config *c; // with `levels` set, once names count levels
} finder;

// Dimension k of the tensor, in any naming; 0 where there is none.
static uint32_t dimension(const finder *f, const char *name, uint32_t k) {
    char alias[AUTOENCODER_NAME];
    tensor_shape shape;
    for (int naming = 0; autoencoder_alias(f->c, name, naming, alias); naming++)
        if (f->find(f->user, alias, &shape))
            return k < shape.rank && shape.dim[k] <= 1 << 20 ? (uint32_t)shape.dim[k] : 0;
    return 0;
}

// "decoder.up.LEVEL.REST", REST with a number or none.
static uint32_t level_dimension(const finder *f, uint32_t level, const char *rest, uint32_t number) {
    char name[AUTOENCODER_NAME];
    const int length = snprintf(name, sizeof name, "decoder.up.%u.", level);
    snprintf(name + length, sizeof name - (size_t)length, rest, number);
    return dimension(f, name, 0);
}

// Levels are in another order in each naming, but as many.
static uint32_t count_levels(const finder *f) {
    static const char *const first[] = {"decoder.up.%u.block.0.norm1.weight",
                                        "decoder.up_blocks.%u.resnets.0.norm1.weight"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        uint32_t levels = 0;
        bool there = true;
        for (; there && levels <= AUTOENCODER_MAX_LEVELS; levels += there) {
            char name[AUTOENCODER_NAME];
            tensor_shape shape;
            snprintf(name, sizeof name, first[i], levels);
            there = f->find(f->user, name, &shape);
        }
        if (levels)
            return levels;
    }
    return 0;
}

igvk_status autoencoder_recognise(autoencoder_find find, void *user, autoencoder_config *out) {
    autoencoder_config c = {0};
    const finder f = {find, user, &c};
    c.levels = count_levels(&f);
    if (c.levels == 0 || c.levels > AUTOENCODER_MAX_LEVELS)
        return fail(IGVK_ERROR_INVALID,
                    "holds no autoencoder: no tensors 'decoder.up.0.block.0.norm1.weight', ..., nor those of "
                    "diffusers' naming");
    c.image_channels = dimension(&f, "decoder.conv_out.weight", 0);
    c.channels = dimension(&f, "decoder.norm_out.weight", 0);
    c.inner_channels = dimension(&f, "post_quant_conv.weight", 0);
    c.latent_channels = dimension(&f, "post_quant_conv.weight", 1);
    while (c.blocks < 16 && level_dimension(&f, 0, "block.%u.norm1.weight", c.blocks + 1))
        c.blocks++;
    // The image's own level has multiplier 1 in all that were published.
    for (uint32_t i = 0; i < c.levels && c.channels; i++) {
        c.multiplier[i] = level_dimension(&f, i, "block.%u.conv1.weight", 0) / c.channels;
        c.attention[i] = level_dimension(&f, i, "attn.%u.norm.weight", 0) > 0;
    }
    *out = c;
    return autoencoder_check(&c);
}
