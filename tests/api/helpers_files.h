// SPDX-License-Identifier: MIT
// Scratch folders (data/helpers.h), and a small autoencoder in one.
#ifndef TESTS_API_HELPERS_FILES_H
#define TESTS_API_HELPERS_FILES_H

#include "data/helpers.h"

// SCRATCH/vae.safetensors: 3 channels to latents of 4, half the sides, random weights; malloc'd.
char *write_autoencoder(void);

#endif
