// SPDX-License-Identifier: MIT
// `igvk export`: a model to keep or give away.
#include "cli/arguments.h"
#include "cli/console.h"

static int run(const arguments *a) {
    igvk_export_options o;
    igvk_export_options_default(&o);
    int code = arguments_apply(a, &o);
    return code ? code : console_end(igvk_export(&o, console_events()));
}

static const char *const examples[] = {"export --model run --half --out model.safetensors",
                                       "export --model run --torch --out model.pt", NULL};

const command export_command = {
    .name = "export",
    .summary = "write a checkpoint's EMA weights alone",
    .about = "A checkpoint holds all that training needs to go on. Sampling needs the averaged (EMA) weights and the "
             "configuration alone, a quarter of that, or an eighth as f16.\n"
             "--torch writes EMA and model as torch.save does, under the official names: torch.load(weights_only=True) "
             "and the official sampling scripts read it.",
    .options = igvk_export_option_list,
    .after = "train",
    .examples = examples,
    .run = run,
};
