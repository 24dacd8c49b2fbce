// SPDX-License-Identifier: MIT
// One half of an autoencoder on a device, as a program over one image of one size: latents to pixels, or pixels to
// moments.
#ifndef IGVK_API_AUTOENCODER_PROGRAM_H
#define IGVK_API_AUTOENCODER_PROGRAM_H

#include "graph/compile.h"
#include "models/autoencoder_weights.h"
#include "vulkan/program.h"

typedef struct autoencoder_program {
    autoencoder_file file; // open: autoencoder_open for the half
    autoencoder_parts half;
    tensor_shape in, out; // known once loaded
    device *device;
    parameter_layout *layout;
    store *store;
    workspace *workspace;
    program *program;
    compiled_graph compiled;
    tensor_id result;
} autoencoder_program;

// `in`: [1, C, H, W] of the latent or of the image. p->file and p->half are set. Refuses what the memory cannot hold;
// `way_out` ends that line.
igvk_status autoencoder_program_load(autoencoder_program *p, device *d, tensor_shape in, const char *way_out);
void autoencoder_program_close(autoencoder_program *p); // takes a zeroed one; before the device
uint64_t autoencoder_program_bytes(const autoencoder_program *p); // of the device's memory in all, once loaded
// One image; `out` has shape p->out.
igvk_status autoencoder_program_run(autoencoder_program *p, const float *in, float *out);

#endif
