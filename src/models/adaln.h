// SPDX-License-Identifier: MIT
// The transformer with adaptive layer norm (adaLN-Zero) and the auxiliary head that SiT, DiT and LightningDiT are, each
// with its presets and choices among: qk-norm, RMSNorm, SwiGLU, rotary embedding, adaLN without shifts, learned sigma
// (method, chapters 1, 2, 4 and 5).
#ifndef IGVK_MODELS_ADALN_H
#define IGVK_MODELS_ADALN_H

#include "models/model.h"

typedef struct adaln_size {
    const char *name; // of presets: "FAMILY-NAME/PATCH"
    uint32_t depth, hidden, heads;
} adaln_size;

// Fills depth, hidden, heads, patch and head_after where `name` is "FAMILY-SIZE/PATCH" of one of the sizes and a patch
// of `patches` (ended by 0). True also of "FAMILY" alone, whose sizes are left as they are.
bool adaln_preset(const char *name, const char *family, const adaln_size *sizes, size_t count, const uint32_t *patches,
                  model_config *c);
// Refuses what no model of this skeleton can be.
igvk_status adaln_check(const model_config *c);

// Keys of the configuration: learn_sigma, what all have, path, LightningDiT's choices. DiT's are the first
// ADALN_DIT_FIELDS; SiT's and LightningDiT's start at ADALN_WITH_PATH.
extern const config_field adaln_fields[];
#define ADALN_DIT_FIELDS 8
#define ADALN_WITH_PATH 1
#define ADALN_SIT_FIELDS 8
#define ADALN_LIGHTNINGDIT_FIELDS 12

void adaln_parameters(const model_config *c, parameter_layout *l);
// Parts, for models of another arrangement. `block` is a block's name, "blocks.3".
void adaln_add_embedders(parameter_layout *l, const model_config *c);                     // of patches, time, labels
void adaln_add_attention(parameter_layout *l, const model_config *c, const char *block);  // BLOCK.attn.*
void adaln_add_mlp(parameter_layout *l, const model_config *c, const char *block);        // BLOCK.mlp.*
void adaln_add_modulation(parameter_layout *l, const model_config *c, const char *block); // BLOCK.adaLN_modulation.1
void adaln_add_final_layer(parameter_layout *l, const model_config *c, const char *name, parameter_init init);
// PREFIX.weight [out, in] and PREFIX.bias [out].
void adaln_add_linear(parameter_layout *l, const char *prefix, uint32_t out, uint32_t in, parameter_init init);

typedef struct adaln_builder adaln_builder;
struct adaln_builder {
    graph *g;
    const model_config *c;
    const parameter_set *p;
    tensor_id conditioning, rounded_conditioning; // SiLU(c) [N, D], what every adaLN linear reads: adaln_condition
    // Attention of qkv [N, T, 3 D] in a block; null: plain.
    tensor_id (*attend)(adaln_builder *b, tensor_id qkv, const char *block);
    const void *user; // attend's
};
// The parameter PREFIX.suffix; PREFIX is `format` with the block's name in place of its %s, if it has one.
tensor_id adaln_weight(adaln_builder *b, const char *format, const char *block, const char *suffix);
// y = residual + gate * activation(x W^T + b) with the parameters PREFIX.weight, PREFIX.bias.
tensor_id adaln_linear(adaln_builder *b, tensor_id x, const char *format, const char *block, linear_options o);
// Tokens [N, T, D]: patch embedding (a convolution of kernel and stride p) plus positions [T, D] or [N, T, D].
tensor_id adaln_embed_patches(adaln_builder *b, tensor_id x, tensor_id positions);
// c [N, D] = time embedding + label row.
tensor_id adaln_embed_conditions(adaln_builder *b, tensor_id t, tensor_id labels);
void adaln_condition(adaln_builder *b, tensor_id t, tensor_id labels); // the builder's conditioning, SiLU of that
tensor_id adaln_block(adaln_builder *b, tensor_id x, const char *block);
// [N, output channels, H, W] from tokens; `name` is final_layer or final_layer_xr.
tensor_id adaln_final_layer(adaln_builder *b, tensor_id x, const char *name);

model_outputs adaln_build(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in);

#endif
