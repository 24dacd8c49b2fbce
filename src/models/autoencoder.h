// SPDX-License-Identifier: MIT
// Autoencoders of latent diffusion (method, chapter 8; official code: LightningDiT/tokenizer/autoencoder.py and, of the
// same form, latent-diffusion's AutoencoderKL): SD-VAE (f8, 4 channels) and VA-VAE (f16, 32 channels). Forward alone.
//
// Parameters have the original names ("encoder.down.0.block.0.conv1.weight"); autoencoder_alias gives those of
// diffusers' files for them.
#ifndef IGVK_MODELS_AUTOENCODER_H
#define IGVK_MODELS_AUTOENCODER_H

#include "graph/parameters.h"
#include "ops/ops.h"

#define AUTOENCODER_MAX_LEVELS 8
#define AUTOENCODER_NAME 160 // bytes of a parameter's name, any naming

typedef struct autoencoder_config {
    uint32_t image_channels;
    uint32_t channels;                           // of the level of the image's own size; a multiple of 32
    uint32_t levels;                             // each but the last halves the sides
    uint32_t multiplier[AUTOENCODER_MAX_LEVELS]; // of `channels`, by level
    bool attention[AUTOENCODER_MAX_LEVELS];      // after each residual block of the level
    uint32_t blocks;                             // residual blocks of a level in the encoder; the decoder has one more
    uint32_t inner_channels;                     // between encoder and quant_conv ("z_channels")
    uint32_t latent_channels;                    // of what the diffusion model sees ("embed_dim")
} autoencoder_config;

// The parts that are loaded: decoding needs no encoder.
typedef enum autoencoder_parts { AUTOENCODER_ENCODER = 1, AUTOENCODER_DECODER = 2 } autoencoder_parts;

// "sd-vae" or "va-vae", as published; the error lists them.
igvk_status autoencoder_preset(const char *name, autoencoder_config *c);
// Refuses what cannot be built.
igvk_status autoencoder_check(const autoencoder_config *c);
// Pixels a side of the image for each of the latent's.
static inline uint32_t autoencoder_factor(const autoencoder_config *c) {
    return 1u << (c->levels - 1);
}

// The parameters of `parts`, a sum of them, in the original order.
void autoencoder_parameters(const autoencoder_config *c, int parts, parameter_layout *l);
// The original name of a parameter in another naming: 0 the original, 1 diffusers', 2 older diffusers' (query, key,
// value, proj_attn). Attention's weights, [C, C, 1, 1] in the original, are [C, C] there. False: no such naming.
bool autoencoder_alias(const autoencoder_config *c, const char *name, int naming, char out[AUTOENCODER_NAME]);

// The shape of a stored tensor of that name, false where the file has none.
typedef bool (*autoencoder_find)(void *user, const char *name, tensor_shape *out);
// The configuration of a file by names and shapes of its decoder, in any naming; its encoder's are checked when loaded.
igvk_status autoencoder_recognise(autoencoder_find find, void *user, autoencoder_config *out);

// Image [N, image channels, H, W] in [-1, 1] -> moments [N, 2 latent channels, h, w], mean then log-variance; h is H
// halved once a level but the last, rounded down. Several images at a time where h w inner widths are multiples of 64
// (op_spatial_attention).
tensor_id autoencoder_encode(graph *g, const autoencoder_config *c, const parameter_set *p, tensor_id image);
// Latent [N, latent channels, h, w], unscaled -> image [N, image channels, h factor, w factor].
tensor_id autoencoder_decode(graph *g, const autoencoder_config *c, const parameter_set *p, tensor_id latent);

// The log-variance as distributions take it, in [-30, 20].
float autoencoder_clamp_log_variance(float value);
// mean + exp(log-variance / 2) noise of one image's moments, `count` latent numbers.
void autoencoder_sample(const float *moments, const float *noise, uint64_t count, float *out);

#endif
