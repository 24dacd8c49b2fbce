// SPDX-License-Identifier: MIT
// `igvk sample`: images from a trained model.
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/recipes.h"

static int run(const arguments *a) {
    igvk_sample_options o;
    igvk_sample_options_default(&o);
    int code = arguments_apply(a, &o);
    if (code == EXIT_FINE && o.recipes) {
        recipes_print(igvk_sample_option_list());
        return EXIT_FINE;
    }
    return code ? code : console_end(igvk_sample(&o, console_events()));
}

static const char *const examples[] = {
    "sample --model run --mode ode --heun --num-steps 18 --cfg-scale 1.5 --ig-scale 1.5 --sheet-rows "
    "none,cfg,ig,ig+cfg "
    "--sheet sheet.png",
    "sample --model run --mode ode --num-steps 36 --ig-scale 1.5 --classes balanced --count 52 --out samples",
    NULL,
};

const command sample_command = {
    .name = "sample",
    .summary = "draw images with a trained model",
    .about =
        "Draws images from noise, with no guidance, classifier-free guidance (CFG), Internal Guidance (IG) or both. "
        "Each image has its own seed, so it is the same in any batch and on any later run.\n"
        "Ask for at least one of --out, --npz and --sheet.",
    .options = igvk_sample_option_list,
    .after = "train",
    .examples = examples,
    .run = run,
};
