// SPDX-License-Identifier: MIT
// `igvk data images`: a dataset of the user's own images.
#include "cli/arguments.h"
#include "cli/console.h"

static int run(const arguments *a) {
    igvk_image_options o;
    igvk_image_options_default(&o);
    int code = arguments_apply(a, &o);
    return code ? code : console_end(igvk_data_images(&o, console_events()));
}

static const char *const examples[] = {"data images samples --size 16 --channels 1 --out own", NULL};

const command data_images_command = {
    .name = "data images",
    .summary = "make a dataset of a folder of images",
    .about = "Reads PNG and JPEG files from one folder a class (DIR/cat/1.jpg, DIR/dog/1.jpg, ...), or from DIR itself "
             "for a dataset without classes. Images are cropped to the middle square and resized as ADM does. Files "
             "that cannot be read are named, counted and left out.",
    .bare = "DIR",
    .bare_option = "from",
    .options = igvk_image_option_list,
    .after = "sample",
    .examples = examples,
    .run = run,
};
