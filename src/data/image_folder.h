// SPDX-License-Identifier: MIT
// `igvk data images`: a dataset of a folder of PNG and JPEG files. A folder of folders gives one class for
// each (named as the folder, in byte order); a folder of files an unconditional dataset; a mix is refused.
// Each image is cut to a square as ADM's loader does (formats/image.h). Hidden names are passed over, files
// of other endings counted, files that are no image told by name and counted.
#ifndef IGVK_DATA_IMAGE_FOLDER_H
#define IGVK_DATA_IMAGE_FOLDER_H

#include "data/maker.h"

typedef struct image_folder_options {
    const char *source; // the folder of images
    const char *folder; // the dataset to make
    uint32_t size;      // side of the square, 1 to 4096
    uint32_t channels;  // 1 or 3
    bool flips;         // training may mirror them
    double held_out;    // share kept for validation, chosen by `seed`
    uint64_t seed;
    uint64_t shard_bytes;      // 0: the dataset's default
    const char *made_by;       // the command line, for people
    maker_callbacks callbacks; // `source` is told of what is left out alone
} image_folder_options;

typedef struct image_folder_result {
    uint64_t images, held_out; // written; held-out ones among them
    uint64_t broken;           // files that could not be read as an image
    uint64_t ignored;          // files of other endings
    uint32_t classes;
} image_folder_result;

// Memory: one source image, one shard and the names of one folder. Refuses before writing: a source without
// images, and whatever dataset_writer_create refuses.
igvk_status image_folder_make(const image_folder_options *o, image_folder_result *result);

#endif
