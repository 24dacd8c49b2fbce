// SPDX-License-Identifier: MIT
// `igvk data glyphs`: a dataset of letters and digits, for first steps.
#include "cli/arguments.h"
#include "cli/console.h"

static int run(const arguments *a) {
    igvk_glyph_options o;
    igvk_glyph_options_default(&o);
    int code = arguments_apply(a, &o);
    return code ? code : console_end(igvk_data_glyphs(&o, console_events()));
}

static const char *const examples[] = {"data glyphs --out glyphs", NULL};

const command data_glyphs_command = {
    .name = "data glyphs",
    .summary = "make a dataset of letters from the system's fonts",
    .about = "Draws each character in each font several times, at slightly random place, size and weight: grey images, "
             "one class a character. Small enough to train on in minutes.",
    .options = igvk_glyph_option_list,
    .examples = examples,
    .run = run,
};
