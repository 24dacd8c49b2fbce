// SPDX-License-Identifier: MIT
// An autoencoder's file, open: safetensors or torch.save's, in any naming; tensors of other things beside it (losses,
// foundation models) are passed over.
#ifndef IGVK_MODELS_AUTOENCODER_WEIGHTS_H
#define IGVK_MODELS_AUTOENCODER_WEIGHTS_H

#include "models/autoencoder.h"
#include "models/weights.h"

typedef struct autoencoder_file {
    weights_file *weights;
    const char *path; // the caller's
    autoencoder_config config;
} autoencoder_file;

// Recognises the configuration and checks that all tensors of `parts` are there, with their shapes; the line names up
// to three that are not.
igvk_status autoencoder_open(const char *path, int parts, autoencoder_file *out);
void autoencoder_close(autoencoder_file *f); // takes a zeroed one
// The `read` of a parameter_source whose user is the autoencoder_file.
igvk_status autoencoder_read(void *file, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                             float *out);

// Statistics of a training set's latents by channel (LightningDiT's latents_stats.pt, or safetensors): tensors "mean"
// and "std" of `channels` numbers each.
igvk_status latent_statistics_read(const char *path, uint32_t channels, float *mean, float *deviation);

#endif
