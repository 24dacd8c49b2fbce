// SPDX-License-Identifier: MIT
// The options of export, parity and bench.
#include "api/options.h"
#include "igvk/igvk_experimental.h"

// ---- export -----------------------------------------------------------------------------------------------

#define OPTIONS igvk_export_options
static const igvk_option export_table[] = {
    {"model", "PATH", OPTION_PATH(model), "Export", "checkpoint, or run folder (its newest checkpoint)"},
    {"out", "FILE", OPTION_PATH(out), "Export", "file to write: safetensors, or .pt with --torch"},
    {"torch", NULL, OPTION_FLAG(torch), "Export", "a PyTorch checkpoint {\"ema\", \"model\"} for the official scripts"},
    {"half", NULL, OPTION_FLAG(half), "Export", "store f16, half the size; widened to f32 at load"},
};
static const igvk_option_list export_list = OPTION_LIST(export_table);
#undef OPTIONS
const igvk_option_list *igvk_export_option_list(void) { return &export_list; }
void igvk_export_options_default(igvk_export_options *o) { options_default(&export_list, o); }

// ---- parity -----------------------------------------------------------------------------------------------

#define OPTIONS igvk_parity_options
static const char *const precisions[] = {"f32", "f16", "bf16", NULL};
static const igvk_option parity_table[] = {
    {"tolerances", "FILE", OPTION_PATH(tolerances), "Parity", "empty: tolerances.json in the folder or its parent"},
    {"out", "DIR", OPTION_PATH(out), "Parity",
     "writes outputs.safetensors as computed here, in one folder a case where there are several"},
    {"precision", "TYPE", OPTION_CHOICE(precision, precisions, "f32"), "Parity",
     "of what matrix products multiply (sampling: of their weights), held to its own tolerances"},
    OPTION_DEVICE_ROWS(false),
};
static const igvk_option_list parity_list = OPTION_LIST(parity_table);
#undef OPTIONS
const igvk_option_list *igvk_parity_option_list(void) { return &parity_list; }
void igvk_parity_options_default(igvk_parity_options *o) { options_default(&parity_list, o); }

// ---- bench ------------------------------------------------------------------------------------------------

#define OPTIONS igvk_bench_options
static const char *const bench_parts[] = {"all", "operators", "forward", "training", "sampling", "kernels", NULL};
static const igvk_option bench_table[] = {
    {"only", "PART", OPTION_CHOICE(only, bench_parts, "all"), "Parts", "one part of the measurements; kernels: what the driver tells of each, without running it"},

    {"rows", "M", OPTION_INTEGER(rows, 0, 1e6, "0"), "Matrix multiplication", "rows of the input; 0: the model's tokens"},
    {"input", "K", OPTION_INTEGER(input, 0, 1e6, "0"), "Matrix multiplication", "input features; 0: the model's shapes"},
    {"output", "N", OPTION_INTEGER(output, 0, 1e6, "0"), "Matrix multiplication", "output features, with --input"},

    {"model", "PRESET", OPTION_TEXT(model, "SiT-S/2"), "Model", "for operators' shapes, forward, training, sampling"},
    {"image", "N", OPTION_INTEGER(image, 1, 4096, "32"), "Model", "side of the model's input"},
    {"batch", "N", OPTION_INTEGER(batch, 1, 65536, "4"), "Model", "images at a time"},
    {"precision", "TYPE", OPTION_CHOICE(precision, precisions, "f32"), "Model",
     "of the training step, as of igvk train; all else is measured in f32"},

    {"seconds", "S", OPTION_NUMBER(seconds, 0.01, 3600, "1"), "Measurement", "per measurement, about"},
    {"json", "FILE", OPTION_PATH(json), "Measurement", "write the rows and the device's facts here"},
    {"compare", "FILE", OPTION_PATH(compare), "Measurement", "show the changes against an earlier run's --json"},
    OPTION_DEVICE_ROWS(false),
};
static const igvk_option_list bench_list = OPTION_LIST(bench_table);
const igvk_option_list *igvk_bench_option_list(void) { return &bench_list; }
void igvk_bench_options_default(igvk_bench_options *o) { options_default(&bench_list, o); }
