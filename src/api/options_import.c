// SPDX-License-Identifier: MIT
// The options of import: which weights, and what their file does not tell of the model.
#include "api/options.h"
#include "igvk/igvk_experimental.h"

#define OPTIONS igvk_import_options
static const char *const weights[] = {"ema", "model", NULL};
static const char *const paths[] = {"stored", "linear", "cosine", NULL};

static const igvk_option table[] = {
    {"from", "FILE", OPTION_PATH(from), "Import", "the .pt, .pth, .ckpt or .safetensors file to read"},
    {"out", "FILE", OPTION_PATH(out), "Import", "safetensors file to write"},
    {"weights", "WHICH", OPTION_CHOICE(weights, weights, "ema"), "Import",
     "which of the file's weights; model where there is no ema"},
    {"kind", "NAME", OPTION_TEXT(kind, ""), "What the file does not tell",
     "the kind of model: sit, dit, mdtv2, lightningdit; empty: by its tensors"},
    {"heads", "N", OPTION_INTEGER(heads, 0, 4096, "0"), "What the file does not tell", "attention heads; 0: found"},
    {"head-after", "K", OPTION_INTEGER(head_after, 0, 1024, "0"), "What the file does not tell",
     "the auxiliary head reads block K's output; 0: found"},
    {"height", "N", OPTION_INTEGER(height, 0, 16384, "0"), "What the file does not tell",
     "rows of the model's input; 0: found"},
    {"width", "N", OPTION_INTEGER(width, 0, 16384, "0"), "What the file does not tell",
     "columns of the model's input; 0: found"},
    {"classes", "N", OPTION_TEXT(classes, ""), "What the file does not tell",
     "classes, the no-class label not counted; empty: found"},
    {"path-type", "PATH", OPTION_CHOICE(path, paths, "stored"), "What the file does not tell",
     "interpolant that the model was trained on; stored: found"},
};
static const igvk_option_list list = OPTION_LIST(table);
#undef OPTIONS
const igvk_option_list *igvk_import_option_list(void) {
    return &list;
}
void igvk_import_options_default(igvk_import_options *o) {
    options_default(&list, o);
}
