// SPDX-License-Identifier: MIT
// `igvk data latents`: a dataset of latents from one of pictures.
#include "cli/arguments.h"
#include "cli/console.h"

static int run(const arguments *a) {
    igvk_latents_options o;
    igvk_latents_options_default(&o);
    int code = arguments_apply(a, &o);
    return code ? code : console_end(igvk_data_latents(&o, console_events()));
}

static const char *const examples[] = {"data latents own --vae vae.safetensors --out own-latents", NULL};

const command data_latents_command = {
    .name = "data latents",
    .summary = "encode a dataset of pictures into latents",
    .about = "Reads a dataset that `igvk data images` made and writes what latent diffusion trains on, in the layouts of "
             "the official scripts: moments in .npy files for SD-VAE, latents in safetensors shards with their "
             "statistics for VA-VAE. `igvk train --data` takes either.",
    .bare = "DATASET",
    .bare_option = "data",
    .options = igvk_latents_option_list,
    .after = "data images",
    .examples = examples,
    .run = run,
};
