// SPDX-License-Identifier: MIT
// igvk: train and sample diffusion transformers with Internal Guidance on any Vulkan device.
//
// The stable contract. Nothing here prints, exits or installs handlers. Every fallible function returns an
// igvk_status and leaves one line of text for igvk_error_text(). Long work reports through igvk_events and
// stops where a callback asks it to. Not thread-safe: one thread at a time per object, texts are per thread.
//
//     igvk_sample_options o;
//     igvk_sample_options_default(&o);
//     igvk_option_set(igvk_sample_option_list(), &o, "model", "demo.safetensors");
//     igvk_option_set(igvk_sample_option_list(), &o, "ig-scale", "1.5");
//     if (igvk_sample(&o, NULL) != IGVK_OK)
//         fprintf(stderr, "%s\n", igvk_error_text());
#ifndef IGVK_H
#define IGVK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IGVK_VERSION "0.1.0"

typedef enum igvk_status {
    IGVK_OK = 0,
    IGVK_ERROR_INVALID,       // an argument, file or number given is wrong or does not fit
    IGVK_ERROR_IO,            // a file could not be read or written
    IGVK_ERROR_MEMORY,        // host memory
    IGVK_ERROR_DEVICE,        // no loader, no driver, no usable device, or the driver refused
    IGVK_ERROR_DEVICE_MEMORY, // does not fit the device's memory
    IGVK_ERROR_DEVICE_LOST,   // the device was reset; state since the last checkpoint is gone
    IGVK_ERROR_NOT_FINITE,    // a loss or gradient became infinite or not a number
    IGVK_ERROR_INTERNAL,      // a fault of igvk itself
    IGVK_INTERRUPTED,         // stopped on request; what was done is saved
} igvk_status;

// The line that goes with this thread's last failed call. Valid until the thread's next failure.
const char *igvk_error_text(void);
// "invalid", "device lost", ...: a word for a status.
const char *igvk_status_name(igvk_status status);
const char *igvk_version(void);

// ---- events ----------------------------------------------------------------------------------------

#define IGVK_LOSS_TERMS 8

// A part of a training loss, its mean before weighting.
typedef struct igvk_loss_term {
    const char *name; // "final", "auxiliary", ...: what the kind of model learns; lives as long as the program
    double value;
} igvk_loss_term;

typedef struct igvk_progress {
    const char *what;      // "train", "sample", ...
    uint64_t done, total;  // steps, images, ...; total 0: unknown
    uint32_t step, steps;  // sampling: within the batch at work; 0: between batches
    double seconds;        // since the start
    double seconds_left;   // negative: unknown
    double rate;           // images a second; 0: unknown
    // training, else 0:
    double loss, gradient_norm, learning_rate;
    uint32_t term_count;
    igvk_loss_term terms[IGVK_LOSS_TERMS]; // of the loss; the first is the final output's own
    uint64_t device_bytes; // device memory in use
} igvk_progress;

// Device memory that a job would take, by what it is for.
typedef struct igvk_plan_row {
    const char *kind; // "weights", "activations", ...; then "in all", the most at one time, and "free"
    uint64_t bytes;
} igvk_plan_row;

typedef struct igvk_events {
    void *user;
    // One line for people (a warning, where a file was written). May be null.
    void (*message)(void *user, const char *text);
    // Called after each step or image batch. May be null.
    void (*progress)(void *user, const igvk_progress *p);
    // Asked between steps; true stops the work cleanly: it saves and returns IGVK_INTERRUPTED. May be null.
    bool (*stop)(void *user);
    // With `plan` among the options: called for each kind of memory. May be null.
    void (*plan)(void *user, const igvk_plan_row *row);
} igvk_events;

// ---- options ---------------------------------------------------------------------------------------
// Options are plain structs; a table tells each field's name, range, default and help, so that command lines,
// configuration files and bindings come from one place.

#define IGVK_TEXT 1024 // bytes of a text option, zero included

typedef enum igvk_option_kind {
    IGVK_OPTION_FLAG,     // bool
    IGVK_OPTION_INTEGER,  // uint64_t in [low, high]
    IGVK_OPTION_NUMBER,   // double in [low, high]
    IGVK_OPTION_DURATION, // double, seconds: "90s", "15m", "8h", "2d"; 0 for none
    IGVK_OPTION_CHOICE,   // uint32_t, index into words
    IGVK_OPTION_TEXT,     // char[IGVK_TEXT]
    IGVK_OPTION_PATH,     // char[IGVK_TEXT], completed as a file or folder
} igvk_option_kind;

typedef struct igvk_option {
    const char *name;         // "cfg-scale": --cfg-scale on a command line, "cfg-scale" in a configuration
    const char *value;        // what help shows for its value: "N", "FILE"; null for flags
    igvk_option_kind kind;
    size_t offset;            // of the field in its struct
    double low, high;         // INTEGER, NUMBER
    const char *const *words; // CHOICE: null-terminated
    const char *standard;     // default, as text
    const char *group;        // heading in help
    const char *help;         // one line
    bool may_change;          // training: may differ on a resumed run
} igvk_option;

typedef struct igvk_option_list {
    const igvk_option *options;
    size_t count;
    size_t struct_size;
} igvk_option_list;

// Sets a field from text, checked against its kind and range; unknown names suggest the nearest.
igvk_status igvk_option_set(const igvk_option_list *list, void *options, const char *name, const char *text);
// The field as text that igvk_option_set reads back; false where `size` is too small.
bool igvk_option_get(const igvk_option *option, const void *options, char *out, size_t size);

// A published configuration: options of sampling or of training, by name and text.
typedef struct igvk_recipe {
    const char *name;            // "sit-xl2-ig"
    const char *model;           // the preset that it is of, "SiT-XL/2"
    const char *const *settings; // option, text, option, text, ..., null
    const char *figure, *source; // what was published for it, and where
} igvk_recipe;
// All of igvk_sample_option_list() or igvk_train_option_list(); null and 0 of another list.
const igvk_recipe *igvk_recipes(const igvk_option_list *list, size_t *count);
// Sets the recipe's options, `recipe` among them; what is set afterwards overrides it. Of a model whose file does not
// say them, igvk_sample then takes its heads, the auxiliary head's place, its path and its time from the recipe.
igvk_status igvk_recipe_apply(const igvk_option_list *list, void *options, const char *name);

// ---- devices ---------------------------------------------------------------------------------------

typedef struct igvk_device_path {
    const char *name, *what;
    bool present, compiled, enabled;
} igvk_device_path;

typedef struct igvk_device_info {
    uint32_t index;
    char name[256], driver[256];
    const char *kind; // "discrete", "integrated", "virtual", "cpu", "other"
    bool usable, chosen; // chosen: what an empty `device` option takes
    char why_not[256];
    uint32_t api_major, api_minor, api_patch;
    uint32_t subgroup_size, subgroup_min, subgroup_max;
    uint64_t memory_bytes, free_bytes, max_storage_range, max_allocation;
    uint32_t max_invocations, max_shared_bytes;
    igvk_device_path paths[16];
    size_t path_count;
} igvk_device_info;
// All devices, usable or not, best first. Free with igvk_free.
igvk_status igvk_device_list(igvk_device_info **devices, size_t *count);
void igvk_free(void *p);

// ---- sampling --------------------------------------------------------------------------------------

typedef struct igvk_sample_options {
    char model[IGVK_TEXT];   // a checkpoint, an exported model or a run folder (its newest checkpoint)
    char recipe[IGVK_TEXT];  // as igvk_recipe_apply set it; alone it sets no other option
    bool recipes;            // the program lists igvk_recipes and ends; igvk_sample does not read it
    char out[IGVK_TEXT];     // folder for numbered PNG files; empty: none
    char npz[IGVK_TEXT];     // ADM's layout: arr_0, N,H,W,C bytes
    char sheet[IGVK_TEXT];   // contact sheet, PNG
    char sheet_rows[IGVK_TEXT]; // "none,cfg,ig,ig+cfg": one row each with the same seeds
    char grid[IGVK_TEXT];    // "ig=1,1.4,1.8 cfg=1,1.5": a sheet over two scales, or over one
    char compare[IGVK_TEXT]; // a second model, drawn below the first in the sheet
    char vae[IGVK_TEXT];          // the autoencoder that makes pictures of latents; empty: previews in false colours
    char latent_stats[IGVK_TEXT]; // statistics of its latents (VA-VAE)
    uint64_t tile;                // decode in tiles of so many pixels a side; 0: whole pictures
    char autoguidance[IGVK_TEXT]; // a second, weaker model in the place of Internal Guidance's head; empty: none
    double autoguidance_scale;    // with it: final + (scale - 1)(final - the weak model's), 1: off; ig_low and ig_high
    char classes[IGVK_TEXT]; // "A,B", "3-7", "all", "random", "balanced"
    char device[IGVK_TEXT];
    double max_submit_ms; // 0: by the kind of device
    bool gentle;          // short submissions and pauses: the display keeps its share
    uint32_t vector_width; // of Mesa's software driver: 0 as it comes, 1 128, 2 256, 3 512 bits
    bool plan; // tells events->plan what memory sampling would take and ends; nothing is written or allocated
    char against[IGVK_TEXT]; // dataset: report how many samples' nearest training image has the asked class
    char nearest_sheet[IGVK_TEXT]; // PNG: each sample and, below it, its nearest training image of `against`
    uint32_t weights;        // 0 EMA, 1 model
    uint32_t precision;      // of the weights of matrix products on the device: 0 f32, 1 f16, 2 bf16; sums are f32
    uint32_t mode;           // 0 the model's usual one, 1 SDE, 2 ODE
    uint32_t solver;         // of an ODE: 0 Euler, or Heun by `heun`; 1 Euler, 2 Heun, 3 midpoint, 4 dopri5; of
                             // discrete times (DiT, MDTv2): 0 or 5 DDPM, 6 DDIM
    uint32_t spacing;        // of discrete times: 0 in equal parts, 1 every k-th of the 1000 steps
    double eta;              // of DDIM: 0 no noise, 1 as much as DDPM's least
    bool clip_denoised;      // of discrete times: the prediction of the image is kept in [-1, 1]
    uint32_t cfg_channels;   // of discrete times: CFG acts on 0 the first three channels, 1 all
    double cfg_power;        // of discrete times: CFG grows from 1 at the noise, MDT's power-cosine; 0: constant
    double absolute_tolerance, relative_tolerance; // of dopri5, which chooses its steps
    uint32_t path;           // 0 as the checkpoint says, 1 linear, 2 cosine
    bool heun;
    double timestep_shift; // LightningDiT alone: time t becomes s t / (1 + (s - 1) t); 0: as it is
    uint64_t count, seed, batch, steps;
    double cfg_scale, cfg_low, cfg_high;
    double ig_scale, ig_low, ig_high;
} igvk_sample_options;
const igvk_option_list *igvk_sample_option_list(void);
void igvk_sample_options_default(igvk_sample_options *o);
// Samples as asked and writes the files asked for; an interrupted `out` folder is continued where it stopped.
igvk_status igvk_sample(const igvk_sample_options *o, const igvk_events *events);

// ---- training --------------------------------------------------------------------------------------

typedef struct igvk_train_options {
    char data[IGVK_TEXT];   // dataset folder
    char out[IGVK_TEXT];    // run folder, made
    char resume[IGVK_TEXT]; // run folder to go on with
    char recipe[IGVK_TEXT]; // as igvk_recipe_apply set it; alone it sets no other option
    bool recipes;           // the program lists igvk_recipes and ends; igvk_train does not read it
    char model[IGVK_TEXT];  // preset "SiT-B/2", or empty with width, depth, heads, patch
    char init[IGVK_TEXT];   // weights to start from, in place of `model`: a checkpoint, an export or a run folder
    uint32_t init_weights;  // which of its weights: 0 EMA, 1 model
    bool train_head_only;   // with `init`: all but the auxiliary head stays as it is, and the head may be new
    char device[IGVK_TEXT];
    double max_submit_ms; // 0: by the kind of device
    bool gentle;          // short submissions and pauses: the display keeps its share
    uint32_t vector_width; // of Mesa's software driver: 0 as it comes, 1 128, 2 256, 3 512 bits
    uint64_t width, depth, heads, patch, head_after; // 0: the preset's
    bool qk_norm, no_shift;
    uint32_t rms_norm, swiglu, rotary; // 0 the model's, 1 on, 2 off
    uint32_t path;  // 0 linear, 1 cosine
    uint32_t times; // 0 uniform, 1 lognormal
    double auxiliary_weight, label_dropout;
    double guided_target, guided_low, guided_high; // 1: off
    uint64_t batch, micro_batch; // micro_batch 0: the largest that fits
    bool plan;      // tells events->plan what memory training would take and ends; nothing is written or allocated
    uint32_t precision; // of what matrix products multiply: 0 f32, 1 f16 with a scaled loss, 2 bf16
    bool recompute; // blocks are computed again in the backward pass instead of kept: the same bits, less memory
    uint32_t optimizer;                               // 0 the model's, 1 AdamW, 2 Muon
    double learning_rate, beta1, beta2, epsilon, weight_decay, clip; // learning_rate, beta2: 0 the optimizer's
    double muon_momentum, muon_decay;
    bool muon_rounding; // Newton-Schulz steps rounded to bf16
    uint64_t warmup;
    double ema;
    bool ema_warmup;
    uint64_t steps, seed;
    double time; // seconds; 0: no limit
    uint64_t validate_every, sheet_every, save_every, keep, log_every;
    double save_interval; // seconds
    double sheet_cfg_scale, sheet_ig_scale;
    uint64_t sheet_steps;
} igvk_train_options;
const igvk_option_list *igvk_train_option_list(void);
void igvk_train_options_default(igvk_train_options *o);
// The resolved options a run was started with (RUN/config.json).
igvk_status igvk_train_options_load(const char *run, igvk_train_options *o);
igvk_status igvk_train(const igvk_train_options *o, const igvk_events *events);

#ifdef __cplusplus
}
#endif

#endif
