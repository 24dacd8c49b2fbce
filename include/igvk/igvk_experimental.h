// SPDX-License-Identifier: MIT
// igvk, the parts that may still change: data makers, parity with reference numbers, benchmarks, export.
#ifndef IGVK_EXPERIMENTAL_H
#define IGVK_EXPERIMENTAL_H

#include "igvk/igvk.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- data ------------------------------------------------------------------------------------------

typedef struct igvk_glyph_options {
    char out[IGVK_TEXT];
    char characters[IGVK_TEXT]; // "A-Z", "0-9", "A-Za-z0-9", or the characters themselves
    char fonts[IGVK_TEXT];      // comma-separated files or folders; empty: upright DejaVu, Liberation, FreeFont of the system
    uint64_t size, variants, seed;
    double held_out; // share
} igvk_glyph_options;
const igvk_option_list *igvk_glyph_option_list(void);
void igvk_glyph_options_default(igvk_glyph_options *o);
igvk_status igvk_data_glyphs(const igvk_glyph_options *o, const igvk_events *events);

typedef struct igvk_image_options {
    char from[IGVK_TEXT]; // a folder per class, or images directly (unconditional)
    char out[IGVK_TEXT];
    uint64_t size, channels;
    double held_out;
    bool flips;
} igvk_image_options;
const igvk_option_list *igvk_image_option_list(void);
void igvk_image_options_default(igvk_image_options *o);
igvk_status igvk_data_images(const igvk_image_options *o, const igvk_events *events);

typedef struct igvk_latents_options {
    char data[IGVK_TEXT]; // dataset of pictures
    char vae[IGVK_TEXT];  // autoencoder
    char out[IGVK_TEXT];
    char device[IGVK_TEXT];
    double max_submit_ms; // 0: by the kind of device
    bool gentle;          // short submissions and pauses: the display keeps its share
    uint32_t vector_width; // of Mesa's software driver: 0 as it comes, 1 128, 2 256, 3 512 bits
    bool no_flips;
    uint32_t layout; // 0 the autoencoder's usual one, 1 .npy files of moments, 2 safetensors shards and statistics
    uint64_t seed;
} igvk_latents_options;
const igvk_option_list *igvk_latents_option_list(void);
void igvk_latents_options_default(igvk_latents_options *o);
// An interrupted `out` folder is gone on with.
igvk_status igvk_data_latents(const igvk_latents_options *o, const igvk_events *events);

typedef struct igvk_show_options {
    char data[IGVK_TEXT];
    char out[IGVK_TEXT]; // PNG
    uint64_t per_class, seed;
} igvk_show_options;
const igvk_option_list *igvk_show_option_list(void);
void igvk_show_options_default(igvk_show_options *o);
igvk_status igvk_data_show(const igvk_show_options *o, const igvk_events *events);

// ---- export: the EMA weights of a checkpoint alone, f32 or f16; or EMA and model for PyTorch ---------------

typedef struct igvk_export_options {
    char model[IGVK_TEXT], out[IGVK_TEXT];
    bool half, torch; // torch: {"ema", "model"} as torch.save writes it instead of the EMA's safetensors
} igvk_export_options;
const igvk_option_list *igvk_export_option_list(void);
void igvk_export_options_default(igvk_export_options *o);
igvk_status igvk_export(const igvk_export_options *o, const igvk_events *events);

// ---- import: weights of the official training scripts as a file of igvk --------------------------------

typedef struct igvk_import_options {
    char from[IGVK_TEXT], out[IGVK_TEXT];
    uint32_t weights; // 0 ema (model where there is none), 1 model
    // What the file does not tell; empty, 0: found in it.
    char kind[IGVK_TEXT], classes[IGVK_TEXT];
    uint64_t heads, head_after, height, width;
    uint32_t path; // 0 stored, 1 linear, 2 cosine
} igvk_import_options;
const igvk_option_list *igvk_import_option_list(void);
void igvk_import_options_default(igvk_import_options *o);
// Streams: memory for the file's list of tensors and a few MiB.
igvk_status igvk_import(const igvk_import_options *o, const igvk_events *events);

// ---- inspect: what a file of weights holds ------------------------------------------------------------

typedef struct igvk_inspect_row {
    const char *name;  // of a tensor or value; places in a tree joined by '/'
    const char *type;  // of a tensor "F32", ...; else "text", "integer", "number", "bool", "none", "list", ...
    const char *shape; // "[3, 4]"; null where it is no tensor
    const char *value; // as text, safe for a terminal; null for tensors of more than 8 elements
} igvk_inspect_row;

typedef struct igvk_inspect_result {
    const char *format; // "PyTorch checkpoint (zip)", ...
    uint64_t tensors, values, bytes;
} igvk_inspect_result;
// A .safetensors file or one of torch.save, which is read as data: nothing in it is executed. The whole structure
// is checked before the first call of `row`; both `row` and `result` may be null.
igvk_status igvk_inspect(const char *path, void (*row)(void *user, const igvk_inspect_row *r), void *user,
                         igvk_inspect_result *result);

// ---- parity ----------------------------------------------------------------------------------------

typedef struct igvk_parity_line {
    const char *folder, *tensor; // tensor as in outputs.safetensors
    double error, tolerance;     // largest absolute error; tolerance NaN where none is given
    double relative_l2;
    bool within;
    const char *note; // why out, where not by its error: "not computed", "not finite", "no tolerance"; else null
} igvk_parity_line;

typedef struct igvk_parity_options {
    char tolerances[IGVK_TEXT]; // a tolerances.json; empty: the folder's or its parent's
    char out[IGVK_TEXT];        // writes the computed outputs here
    char device[IGVK_TEXT];
    double max_submit_ms; // 0: by the kind of device
    bool gentle;          // short submissions and pauses: the display keeps its share
    uint32_t vector_width; // of Mesa's software driver: 0 as it comes, 1 128, 2 256, 3 512 bits
    uint32_t precision; // of the weights of products: 0 f32, 1 f16, 2 bf16; held to that precision's tolerances
} igvk_parity_options;
const igvk_option_list *igvk_parity_option_list(void);
void igvk_parity_options_default(igvk_parity_options *o);

typedef struct igvk_parity_result {
    uint64_t within, out; // tensors
    uint64_t unusable;    // folders
} igvk_parity_result;
// Runs each folder (none: the built-in cases) and calls `line` for every tensor. OK also where some are out:
// see `result`. Of several folders an unusable one is told by events->message and passed over; the status is
// IGVK_ERROR_INVALID in the end. What goes wrong with the device or the host's memory ends the run at once.
igvk_status igvk_parity(const igvk_parity_options *o, const char *const *folders, size_t count,
                        void (*line)(void *user, const igvk_parity_line *l), void *user, const igvk_events *events,
                        igvk_parity_result *result);

// ---- bench -----------------------------------------------------------------------------------------

typedef struct igvk_bench_options {
    char device[IGVK_TEXT];
    double max_submit_ms; // 0: by the kind of device
    bool gentle;          // short submissions and pauses: the display keeps its share
    uint32_t vector_width; // of Mesa's software driver: 0 as it comes, 1 128, 2 256, 3 512 bits
    char model[IGVK_TEXT];   // preset: its products' shapes, forward, training step and sampling steps
    char json[IGVK_TEXT];    // file to write
    char compare[IGVK_TEXT]; // a file of an earlier run
    uint32_t only;           // 0 all, 1 operators, 2 forward, 3 training, 4 sampling, 5 kernels
    uint64_t batch, rows, input, output; // of products M, K, N; 0: the model's, in four shapes
    uint64_t image; // side of the model's input
    uint32_t precision; // of the training step: 0 f32, 1 f16, 2 bf16
    double seconds; // per measurement, about
} igvk_bench_options;
const igvk_option_list *igvk_bench_option_list(void);
void igvk_bench_options_default(igvk_bench_options *o);

typedef struct igvk_bench_row {
    const char *name;    // "linear forward 1024x768x768", "training step", ...
    double milliseconds; // best
    double median;       // milliseconds
    double spread;       // milliseconds between the quartiles
    double gflops;       // 0: does not apply
    double gigabytes;    // per second; 0: does not apply
    double share;        // of the peak measured last in this run; 0: does not apply
    double joules;       // of the whole processor in one run, where the system counts them; 0: not told
    double value;        // of rows that measure no time: in `unit`, else null
    const char *unit;
    const char *note; // of rows that are words only (--only kernels), else null
    double before; // --compare: the earlier median; 0: not there
    double noise;  // both runs' spreads together, as a share of the median: smaller changes are none
} igvk_bench_row;
igvk_status igvk_bench(const igvk_bench_options *o, void (*row)(void *user, const igvk_bench_row *r), void *user,
                       const igvk_events *events);

#ifdef __cplusplus
}
#endif

#endif
