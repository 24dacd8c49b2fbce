// SPDX-License-Identifier: MIT
// What a model is: a configuration, a list of parameters under official names with their initialisation, and
// a function that builds its graph. One file per model; nothing above this floor knows a model by name.
#ifndef IGVK_MODELS_MODEL_H
#define IGVK_MODELS_MODEL_H

#include "graph/parameters.h"
#include "ops/ops.h"

// The union of what all kinds need; which members a kind has, its `fields` and the common ones of config.c tell.
typedef struct model_config {
    char kind[16];          // a name of the table of models: "sit"
    uint32_t height, width; // of the input, in its own pixels; multiples of patch
    uint32_t channels;
    uint32_t patch;
    uint32_t hidden; // D
    uint32_t depth;  // L
    uint32_t heads;
    uint32_t head_after; // the auxiliary head reads the output of this many blocks, 1 .. depth; 0: there is no head
    uint32_t classes;    // 0: unconditional
    bool null_class;     // the label table has one row more, the no-class index `classes` (label dropout > 0)
    bool qk_norm;
    bool rms_norm, swiglu, rotary, no_shift; // in place of LayerNorm, of GELU; no_shift: adaLN scales and gates only
    bool learn_sigma;                        // the outputs have a second half of channels, for the variance
    uint32_t decode_layers;                  // MDTv2: the last blocks, which see all tokens
    double mask_ratio; // MDTv2: of the tokens hidden in training's masked pass; up to 0.2 more are
    double mlp_ratio;
    path_kind path; // the interpolant it was trained on; linear and of no meaning with MODEL_DISCRETE
} model_config;

typedef struct model_inputs {
    tensor_id x;              // [N, C, H, W]
    tensor_id t;              // [N]
    tensor_id labels;         // u32 [N]; NO_TENSOR where classes is 0
    const token_order *order; // which tokens a masked model sees; null: all
    bool head_only;           // the graph ends at the auxiliary head, whose parameters alone will get a gradient
} model_inputs;

typedef struct model_outputs {
    tensor_id final_output; // NO_TENSOR with head_only; D_f [N, C, H, W], or [N, 2C, H, W] with learn_sigma: noise,
                            // then variance
    tensor_id intermediate; // D_i, after head_after blocks; NO_TENSOR without a head
} model_outputs;

// One key of a configuration's JSON and the member it is kept in. Fields can be added at any time: files without the
// key take `otherwise`, which must mean what such files meant; a required field makes older files unreadable.
typedef enum config_type {
    CONFIG_WHOLE /* uint32_t */,
    CONFIG_FLAG /* bool */,
    CONFIG_NUMBER /* double */,
    CONFIG_CHOICE /* an enum: its index in `choices` */
} config_type;
typedef struct config_field {
    const char *key;
    config_type type;
    size_t offset;    // in model_config
    double low, high; // WHOLE, NUMBER: sane ranges; no product of two of them overflows 64 bits
    bool required;
    double otherwise;           // where the key is missing and not required
    const char *const *choices; // CHOICE: null-terminated
} config_field;

// What a kind's times are.
typedef enum model_time {
    MODEL_NOISE_AT_ONE, // 0 is data, 1 noise: SiT
    MODEL_DATA_AT_ONE,  // 0 is noise, 1 data: LightningDiT
    MODEL_DISCRETE,     // steps 0 (cleanest) .. 999 of a noising process, unscaled: DiT
} model_time;

struct model_objective; // models/objective.h

typedef struct model_kind {
    const char *name;
    const config_field *fields; // its own, beside those that all kinds have (config.c)
    size_t field_count;
    model_time time;
    // Refuses what cannot run, naming the option.
    igvk_status (*check)(const model_config *c);
    // Fills hidden, depth, heads, patch of "SiT-B/2"; false where the name is not one of its presets.
    bool (*preset)(const char *name, model_config *c);
    void (*parameters)(const model_config *c, parameter_layout *l);
    // Appends the model; intermediate tensors are labelled (tokens, c, block.K) for parity and traces.
    model_outputs (*build)(graph *g, const model_config *c, const parameter_set *p, const model_inputs *in);
    const char *const *preset_names;         // null-terminated
    const struct model_objective *objective; // null: not trained
} model_kind;

extern const model_kind sit_kind, dit_kind, lightningdit_kind, mdtv2_kind;

const model_kind *model_kind_find(const char *name); // null where none
// By preset name over all kinds, or by a kind's name alone ("LightningDiT"), which leaves the sizes as they are; the
// error lists what there is.
igvk_status model_config_preset(const char *name, model_config *c);
igvk_status model_config_check(const model_config *c);
bool model_is_head(const char *parameter); // of the auxiliary head
uint32_t model_tokens(const model_config *c);
uint64_t model_elements(const model_config *c); // C H W
static inline uint32_t model_output_channels(const model_config *c) {
    return c->channels << c->learn_sigma;
}

// As JSON, as it stands in checkpoints: "version", "kind", the common fields, the kind's own. The text is malloc'd,
// null where memory is out.
#define MODEL_CONFIG_VERSION 1 // raised where a key changes its meaning; files without "version" are of version 1
char *model_config_to_json(const model_config *c);
// Strict: unknown keys, missing required ones, wrong types, values beyond sane ranges and later versions are refused by
// name. `where` names the file.
igvk_status model_config_from_json(const char *where, const char *text, model_config *c);

// Official initial values, from the run's seed (STREAM_INITIALISATION, item i): the `read` of a parameter_source whose
// user is a const uint64_t *, the seed.
igvk_status parameter_initialise(void *seed, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                 float *out);

// The table [sin(k w), cos(k w), sin(r w), cos(r w)] of chapter 1, rows of tokens: f64, rounded once. `count` elements
// from `first` on.
void position_table(uint32_t columns, uint32_t hidden, uint64_t first, uint64_t count, float *out);
// Likewise cos or sin of chapter 4's rotary angles, rows of tokens, `dimension` of a head wide: neighbouring pairs
// share an angle; the first half of a head turns with the row, the second with the column.
void rotary_table(uint32_t columns, uint32_t dimension, bool sines, uint64_t first, uint64_t count, float *out);

#endif
