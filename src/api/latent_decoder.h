// SPDX-License-Identifier: MIT
// Latents to pictures: an autoencoder's decoder on a device, one image at a time, whole or in overlapping tiles.
#ifndef IGVK_API_LATENT_DECODER_H
#define IGVK_API_LATENT_DECODER_H

#include "models/model.h"
#include "vulkan/device.h"

typedef struct latent_decoder_options {
    const char *path;          // the autoencoder's file
    const char *statistics;    // of VA-VAE's latents (method, chapter 3); empty: SD-VAE's scale, 0.18215
    const model_config *model; // whose latents are decoded
    uint32_t tile;             // pixels a side of the picture, a multiple of the autoencoder's factor; 0: whole images
} latent_decoder_options;

typedef struct latent_decoder latent_decoder;
// Reads what describes the autoencoder and refuses what does not fit the model, without a device.
igvk_status latent_decoder_open(const latent_decoder_options *o, latent_decoder **out);
void latent_decoder_close(latent_decoder **d); // takes null; before the device
// The pictures' channels and sides, in a configuration like the model's.
const model_config *latent_decoder_pictures(const latent_decoder *d);
// Weights and program on the device. Refuses, with the need and what is free, what does not fit.
igvk_status latent_decoder_load(latent_decoder *d, device *on);
uint64_t latent_decoder_bytes(const latent_decoder *d); // of the device's memory, once loaded
// Latents [count, C, h, w] of the model -> pictures [count, channels, H, W], values that data/sheet.h's pixel_byte
// makes the official sampler's bytes of.
igvk_status latent_decoder_run(latent_decoder *d, const float *latents, uint64_t count, float *pictures);

// Where there is no autoencoder: three channels of a latent as colours, the same pixels.
void latent_preview(const model_config *c, const float *latents, uint64_t count, float *pictures);

#endif
