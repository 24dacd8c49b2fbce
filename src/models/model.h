// SPDX-License-Identifier: MIT
// What a model is: a configuration, a list of parameters under official names with their initialisation, and
// a function that builds its graph. One file per model; nothing above this floor knows a model by name.
#ifndef IGVK_MODELS_MODEL_H
#define IGVK_MODELS_MODEL_H

#include "graph/parameters.h"
#include "ops/ops.h"

typedef struct model_config {
    char kind[16];             // "sit"
    uint32_t height, width;    // of the input, in its own pixels; multiples of patch
    uint32_t channels;
    uint32_t patch;
    uint32_t hidden;           // D
    uint32_t depth;            // L
    uint32_t heads;
    uint32_t head_after;       // the auxiliary head reads the output of this many blocks, 1 .. depth
    uint32_t classes;          // 0: unconditional
    bool null_class;           // the label table has one row more, the no-class index `classes` (label dropout > 0)
    bool qk_norm;
    double mlp_ratio;
    path_kind path;            // the interpolant it was trained on
} model_config;

typedef struct model_inputs {
    tensor_id x;      // [N, C, H, W]
    tensor_id t;      // [N]
    tensor_id labels; // u32 [N]; NO_TENSOR where classes is 0
} model_inputs;

typedef struct model_outputs {
    tensor_id final_output; // D_f [N, C, H, W]
    tensor_id intermediate; // D_i, after head_after blocks
} model_outputs;

typedef struct model_kind {
    const char *name;
    // Refuses what cannot run, naming the option.
    igvk_status (*check)(const model_config *c);
    // Fills hidden, depth, heads, patch of "SiT-B/2"; false where the name is not one of its presets.
    bool (*preset)(const char *name, model_config *c);
    void (*parameters)(const model_config *c, parameter_layout *l);
    // Appends the model; intermediate tensors are labelled (tokens, c, block.K) for parity and traces.
    model_outputs (*build)(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in);
    const char *const *preset_names; // null-terminated
} model_kind;

extern const model_kind sit_kind;

const model_kind *model_kind_find(const char *name); // null where none
// By preset name over all kinds; the error lists what there is.
igvk_status model_config_preset(const char *name, model_config *c);
igvk_status model_config_check(const model_config *c);
uint32_t model_tokens(const model_config *c);
uint64_t model_elements(const model_config *c); // C H W

// As JSON, as it stands in checkpoints. The text is malloc'd, null where memory is out.
char *model_config_to_json(const model_config *c);
// Strict: unknown or missing keys, wrong types and values beyond sane ranges are refused. `where` names the file.
igvk_status model_config_from_json(const char *where, const char *text, model_config *c);

// Official initial values of parameter i of the layout, from the run's seed (STREAM_INITIALISATION, item i).
void parameter_initialise(const parameter_layout *l, size_t i, uint64_t seed, float *out);

// The table [sin(k w), cos(k w), sin(r w), cos(r w)] of chapter 1, rows of tokens: f64, rounded once.
void position_table(uint32_t rows, uint32_t columns, uint32_t hidden, float *out);

#endif
