// SPDX-License-Identifier: MIT
// What sampling writes: numbered PNG files that carry their parameters, and ADM's npz. A folder that an earlier,
// interrupted job of the same parameters left is gone on with; one of other parameters is refused.
#ifndef IGVK_API_SAMPLE_FILES_H
#define IGVK_API_SAMPLE_FILES_H

#include "api/class_list.h"
#include "formats/image.h"
#include "models/model.h"

typedef struct sample_files_options {
    const char *folder; // null or empty: no PNG files
    const char *npz;    // likewise
    const model_config *config;  // of the pictures
    const model_config *latents; // the npz holds these outputs of the model, f32 [count, C, H, W]; null: the pictures
    const json_t *class_names;
    const char *parameters; // the settings common to all images, one line
    const image_request *requests;
    uint64_t count;
} sample_files_options;

typedef struct sample_files sample_files;
igvk_status sample_files_create(const sample_files_options *o, sample_files **out);
void sample_files_destroy(sample_files **f);
uint64_t sample_files_done(const sample_files *f); // images that are there already, from the first on
// Those images as floats in [-1, 1], for a sheet; they went through bytes.
igvk_status sample_files_read_present(const sample_files *f, float *images);
// The next `count` pictures, in [-1, 1], and the model's outputs that they came from.
igvk_status sample_files_add(sample_files *f, uint32_t count, const float *pictures, const float *outputs);
igvk_status sample_files_finish(sample_files *f);

// C,H,W floats in [-1, 1] as an image (data/sheet.h, pixel_byte). Channels 1 or 3.
igvk_status image_of_floats(const float *values, const model_config *c, image *out);

#endif
