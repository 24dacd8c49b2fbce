// SPDX-License-Identifier: MIT
// The options of the data makers.
#include "api/options.h"
#include "igvk/igvk_experimental.h"

// ---- glyphs -----------------------------------------------------------------------------------------------

#define OPTIONS igvk_glyph_options
static const igvk_option glyph_table[] = {
    {"out", "DIR", OPTION_PATH(out), "Dataset", "folder to make"},
    {"held-out", "SHARE", OPTION_NUMBER(held_out, 0, 0.9, "0.05"), "Dataset", "of the images, for validation"},

    {"characters", "LIST", OPTION_TEXT(characters, "A-Z"), "Glyphs",
     "A-Z, 0-9, A-Za-z0-9, or the characters; one class each"},
    {"fonts", "LIST", OPTION_PATH(fonts), "Glyphs",
     "files or folders, comma-separated; empty: the system's upright DejaVu, Liberation and FreeFont"},
    {"size", "N", OPTION_INTEGER(size, 8, 256, "16"), "Glyphs", "side of an image"},
    {"variants", "N", OPTION_INTEGER(variants, 1, 10000, "8"), "Glyphs",
     "drawings of each character in each font, of random place, size and weight"},
    {"seed", "N", OPTION_INTEGER(seed, 0, OPTION_LARGEST, "0"), "Glyphs", "of the placement"},
};
static const igvk_option_list glyph_list = OPTION_LIST(glyph_table);
#undef OPTIONS
const igvk_option_list *igvk_glyph_option_list(void) { return &glyph_list; }
void igvk_glyph_options_default(igvk_glyph_options *o) { options_default(&glyph_list, o); }

// ---- images -----------------------------------------------------------------------------------------------

#define OPTIONS igvk_image_options
static const igvk_option image_table[] = {
    {"from", "DIR", OPTION_PATH(from), "Images", "folder of PNG and JPEG files, or of one folder a class"},
    {"size", "N", OPTION_INTEGER(size, 1, 4096, "64"), "Images", "side of an image, cropped and resized as ADM does"},
    {"channels", "N", OPTION_INTEGER(channels, 1, 3, "3"), "Images", "1: grey, 3: colour"},

    {"out", "DIR", OPTION_PATH(out), "Dataset", "folder to make"},
    {"held-out", "SHARE", OPTION_NUMBER(held_out, 0, 0.9, "0.05"), "Dataset", "of the images, for validation"},
    {"flips", NULL, OPTION_FLAG(flips), "Dataset", "training may mirror images left to right"},
};
static const igvk_option_list image_list = OPTION_LIST(image_table);
#undef OPTIONS
const igvk_option_list *igvk_image_option_list(void) { return &image_list; }
void igvk_image_options_default(igvk_image_options *o) { options_default(&image_list, o); }

// ---- latents ----------------------------------------------------------------------------------------------

#define OPTIONS igvk_latents_options
static const char *const layouts[] = {"auto", "moments", "shards", NULL};
static const igvk_option latents_table[] = {
    {"data", "DIR", OPTION_PATH(data), "Images", "dataset of pictures, as `igvk data images` makes"},
    {"vae", "FILE", OPTION_PATH(vae), "Images", "autoencoder: SD-VAE or VA-VAE, safetensors or torch.save"},

    {"out", "DIR", OPTION_PATH(out), "Dataset", "folder to make; goes on where an interrupted one stopped"},
    {"no-flips", NULL, OPTION_FLAG(no_flips), "Dataset", "leave the mirrored images away"},
    {"layout", "WHICH", OPTION_CHOICE(layout, layouts, "auto"), "Dataset",
     "moments: .npy files and dataset.json, as SiT's and REPA's scripts read; shards: safetensors and latents_stats.pt, "
     "as LightningDiT's; auto: by the autoencoder"},
    {"seed", "N", OPTION_INTEGER(seed, 0, OPTION_LARGEST, "0"), "Dataset", "of the latents drawn for shards"},
    OPTION_DEVICE_ROWS(false),
};
static const igvk_option_list latents_list = OPTION_LIST(latents_table);
#undef OPTIONS
const igvk_option_list *igvk_latents_option_list(void) { return &latents_list; }
void igvk_latents_options_default(igvk_latents_options *o) { options_default(&latents_list, o); }

// ---- show -------------------------------------------------------------------------------------------------

#define OPTIONS igvk_show_options
static const igvk_option show_table[] = {
    {"data", "DIR", OPTION_PATH(data), "Sheet", "dataset folder"},
    {"out", "FILE", OPTION_PATH(out), "Sheet", "PNG file to write"},
    {"per-class", "N", OPTION_INTEGER(per_class, 1, 1000, "8"), "Sheet", "images of each class"},
    {"seed", "N", OPTION_INTEGER(seed, 0, OPTION_LARGEST, "0"), "Sheet", "of the choice"},
};
static const igvk_option_list show_list = OPTION_LIST(show_table);
const igvk_option_list *igvk_show_option_list(void) { return &show_list; }
void igvk_show_options_default(igvk_show_options *o) { options_default(&show_list, o); }
