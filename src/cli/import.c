// SPDX-License-Identifier: MIT
// `igvk import`: weights of others.
#include "cli/arguments.h"
#include "cli/console.h"

static int run(const arguments *a) {
    igvk_import_options o;
    igvk_import_options_default(&o);
    int code = arguments_apply(a, &o);
    return code ? code : console_end(igvk_import(&o, console_events()));
}

static const char *const examples[] = {"import model.safetensors --out imported.safetensors", NULL};

const command import_command = {
    .name = "import",
    .summary = "take over weights of the official training scripts",
    .about = "Reads a PyTorch checkpoint (or a safetensors file), finds out by its tensors and options which model it "
             "holds, and writes that model's weights with its configuration, ready for `igvk sample --model`. What the "
             "file does not tell is asked for by name. Nothing in the file is ever executed. Sampling also takes such "
             "a file directly where it tells all.",
    .bare = "FILE",
    .bare_option = "from",
    .options = igvk_import_option_list,
    .after = "export",
    .examples = examples,
    .run = run,
};
