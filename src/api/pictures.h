// SPDX-License-Identifier: MIT
// What becomes of a model's outputs: pixels are pictures as they are; latents are decoded by an autoencoder or, where
// none is given, shown in false colours.
#ifndef IGVK_API_PICTURES_H
#define IGVK_API_PICTURES_H

#include "models/model.h"
#include "vulkan/device.h"

typedef struct picture_options {
    const char *vae, *statistics; // empty: none
    uint32_t tile;                // pixels a side of the picture; 0: whole
    const model_config *model;    // copied
    const char *model_path;       // for messages
} picture_options;

typedef struct picture_maker picture_maker;
// Refuses an autoencoder that does not fit the model, without a device.
igvk_status picture_maker_create(const picture_options *o, picture_maker **out);
void picture_maker_destroy(picture_maker **p); // takes null; before the device
const model_config *picture_maker_config(const picture_maker *p); // of the pictures: channels 1 or 3
bool picture_maker_previews(const picture_maker *p);              // false colours
// Once, before picture_maker_run. *bytes: of device memory that decoding takes in all, 0 without an autoencoder.
igvk_status picture_maker_load(picture_maker *p, device *d, uint64_t *bytes);
// The model's outputs [count, C, H, W] -> pictures [count, channels, H, W] in [-1, 1].
igvk_status picture_maker_run(picture_maker *p, const float *outputs, uint64_t count, float *pictures);

#endif
