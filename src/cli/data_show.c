// SPDX-License-Identifier: MIT
// `igvk data show`: what a dataset looks like.
#include "cli/arguments.h"
#include "cli/console.h"

static int run(const arguments *a) {
    igvk_show_options o;
    igvk_show_options_default(&o);
    int code = arguments_apply(a, &o);
    return code ? code : console_end(igvk_data_show(&o, console_events()));
}

static const char *const examples[] = {"data show glyphs --out glyphs.png", NULL};

const command data_show_command = {
    .name = "data show",
    .summary = "draw a sheet of a dataset's images",
    .about = "Writes a PNG sheet, one row a class.",
    .bare = "DATASET",
    .bare_option = "data",
    .options = igvk_show_option_list,
    .after = "data glyphs",
    .examples = examples,
    .run = run,
};
