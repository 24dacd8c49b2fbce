// SPDX-License-Identifier: MIT
// The options of sampling. Names and defaults of guidance and solver are the official sampling script's.
#include "api/options.h"

#define OPTIONS igvk_sample_options

static const char *const weights[] = {"ema", "model", NULL};
static const char *const precisions[] = {"f32", "f16", "bf16", NULL};
static const char *const modes[] = {"auto", "sde", "ode", NULL};
static const char *const solvers[] = {"auto", "euler", "heun", "midpoint", "dopri5", "ddpm", "ddim", NULL};
static const char *const spacings[] = {"even", "stride", NULL};
static const char *const cfg_channels[] = {"3", "all", NULL};
static const char *const paths[] = {"stored", "linear", "cosine", NULL};

// A scale under 1 would do nothing (guidance is on above 1), so it is refused.
#define SCALE(field) OPTION_NUMBER(field, 1, 1000, "1")
#define TIME(field, default_text) OPTION_NUMBER(field, 0, 1, default_text)

static const igvk_option table[] = {
    {"model", "PATH", OPTION_PATH(model), "Model", "checkpoint, exported model, or run folder (its newest checkpoint)"},
    {"weights", "WHICH", OPTION_CHOICE(weights, weights, "ema"), "Model", "which of a checkpoint's weights"},
    {"precision", "TYPE", OPTION_CHOICE(precision, precisions, "f32"), "Model",
     "of the weights of matrix products on the device; 16 bits take half the memory. All else, and all sums, f32"},

    {"recipe", "NAME", OPTION_TEXT(recipe, ""), "Model",
     "settings as published; other flags override them, and what the file does not tell of its model it tells"},
    {"recipes", NULL, OPTION_FLAG(recipes), "Model", "list the recipes, their settings, sources and figures, and end"},

    {"classes", "LIST", OPTION_TEXT(classes, "all"), "Images",
     "names or numbers and ranges of them (A,B or 0,3-7), all, random (by the seed), or balanced (all in turn)"},
    {"count", "N", OPTION_INTEGER(count, 0, 1e9, "0"), "Images", "how many images; 0: one of each class listed"},
    {"seed", "N", OPTION_INTEGER(seed, 0, OPTION_LARGEST, "0"), "Images",
     "of the first image; each next one has the next seed"},

    {"cfg-scale", "W", SCALE(cfg_scale), "Guidance", "classifier-free guidance (CFG); 1: none"},
    {"guidance-low", "T", TIME(cfg_low, "0"), "Guidance", "CFG acts from this time (0: image)"},
    {"guidance-high", "T", TIME(cfg_high, "1"), "Guidance", "CFG acts up to this time (1: noise)"},
    {"cfg-channels", "WHICH", OPTION_CHOICE(cfg_channels, cfg_channels, "3"), "Guidance",
     "of DiT and MDTv2: CFG acts on the first three channels, as their official code has it, or on all"},
    {"cfg-power", "P", OPTION_NUMBER(cfg_power, 0, 100, "0"), "Guidance",
     "of DiT and MDTv2: CFG grows from 1 at the noise to its scale, faster for small P; 4 as published for MDTv2; "
     "0: constant"},
    {"ig-scale", "W", SCALE(ig_scale), "Guidance", "Internal Guidance (IG); 1: none"},
    {"ig-guidance-low", "T", TIME(ig_low, "0"), "Guidance", "IG acts from this time (0: image)"},
    {"ig-guidance-high", "T", TIME(ig_high, "1"), "Guidance", "IG acts up to this time (1: noise)"},

    {"autoguidance", "PATH", OPTION_PATH(autoguidance), "Guidance",
     "a second, weaker model that guides as the auxiliary head does, within IG's times"},
    {"autoguidance-scale", "W", SCALE(autoguidance_scale), "Guidance", "its scale; 1: none"},

    {"mode", "MODE", OPTION_CHOICE(mode, modes, "auto"), "Solver",
     "sde (Euler-Maruyama), ode, or the model's usual one: sde of SiT, ode of LightningDiT"},
    {"solver", "SOLVER", OPTION_CHOICE(solver, solvers, "auto"), "Solver",
     "of an ODE; dopri5 chooses its own steps, by default an image at a time. auto: Euler, or --heun. Of DiT and MDTv2 "
     "ddpm (auto) or ddim"},
    {"spacing", "HOW", OPTION_CHOICE(spacing, spacings, "even"), "Solver",
     "of DiT and MDTv2: --num-steps of the 1000 steps in equal parts, or every k-th (official ddimN)"},
    {"eta", "E", OPTION_NUMBER(eta, 0, 1, "0"), "Solver", "ddim's noise; 0: none"},
    {"clip-denoised", NULL, OPTION_FLAG(clip_denoised), "Solver",
     "of DiT and MDTv2: keep each step's prediction of the image in [-1, 1], for models of pixels"},
    {"atol", "E", OPTION_NUMBER(absolute_tolerance, 1e-12, 1, "1e-6"), "Solver", "dopri5's absolute tolerance"},
    {"rtol", "E", OPTION_NUMBER(relative_tolerance, 1e-7, 1, "1e-3"), "Solver", "dopri5's relative tolerance"},
    {"num-steps", "N", OPTION_INTEGER(steps, 1, 1e5, "250"), "Solver",
     "steps from noise to image; of LightningDiT points of the grid, one more than steps"},
    {"heun", NULL, OPTION_FLAG(heun), "Solver", "Heun instead of Euler, two model calls a step; with --mode ode"},
    {"timestep-shift", "S", OPTION_NUMBER(timestep_shift, 0, 100, "0"), "Solver",
     "LightningDiT's shift of the times, 0.3 in its published settings; 0: none"},
    {"path-type", "PATH", OPTION_CHOICE(path, paths, "stored"), "Solver",
     "interpolant between image and noise; stored: the one that the model was trained on"},

    {"vae", "FILE", OPTION_PATH(vae), "Latents",
     "autoencoder that makes pictures of latents: SD-VAE or VA-VAE, safetensors or torch.save"},
    {"latent-stats", "FILE", OPTION_PATH(latent_stats), "Latents",
     "statistics of its latents: VA-VAE's latents_stats.pt"},
    {"tile", "N", OPTION_INTEGER(tile, 0, 16384, "0"), "Latents",
     "decode in overlapping tiles of N pixels a side, for little memory; 0: whole pictures"},

    {"out", "DIR", OPTION_PATH(out), "Output", "folder for 000000.png, ...; goes on where an interrupted one stopped"},
    {"npz", "FILE", OPTION_PATH(npz), "Output",
     "all images as ADM's evaluation reads them: arr_0, N,H,W,C bytes; of latents without --vae f32 N,C,H,W, and "
     "labels"},
    {"sheet", "FILE", OPTION_PATH(sheet), "Output", "labelled contact sheet, PNG"},
    {"sheet-rows", "LIST", OPTION_TEXT(sheet_rows, ""), "Output",
     "rows of the sheet over the same seeds, of none, cfg, ig, ig+cfg; empty: one row, guided as asked"},
    {"grid", "SCALES", OPTION_TEXT(grid, ""), "Output",
     "the sheet over one scale or two, such as \"ig=1,1.4,1.8 cfg=1,1.5\""},
    {"compare", "PATH", OPTION_PATH(compare), "Output", "a second model, drawn below the first in the sheet"},
    {"against", "DIR", OPTION_PATH(against), "Output",
     "dataset: tell how many images' nearest training image is of the class asked for"},
    {"nearest-sheet", "FILE", OPTION_PATH(nearest_sheet), "Output",
     "with --against: each image and, below it, its nearest training image, PNG"},

    {"batch", "N", OPTION_INTEGER(batch, 0, 65536, "0"), "Device",
     "images at a time, the same images at any; 0: chosen"},
    OPTION_DEVICE_ROWS(false),
    {"plan", NULL, OPTION_FLAG(plan), "Device", "print the memory that it would take, by kind, and end"},
};

static const igvk_option_list list = OPTION_LIST(table);
const igvk_option_list *igvk_sample_option_list(void) {
    return &list;
}
void igvk_sample_options_default(igvk_sample_options *o) {
    options_default(&list, o);
}
