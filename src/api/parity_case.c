// SPDX-License-Identifier: MIT
#include "api/parity_case.h"

#include "core/file.h"
#include "training/training_state.h"
#include "vulkan/parameter_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JSON_LIMIT (32u << 20)

// ---- opening ---------------------------------------------------------------------------------------

static igvk_status load_json(const char *path, json_t **out) {
    char *text = NULL;
    size_t size = 0;
    json_error_t error;
    igvk_status status = file_read(path, JSON_LIMIT, &text, &size);
    if (status != IGVK_OK)
        return status;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return fail(IGVK_ERROR_INVALID, "%s: line %d: %s", path, error.line,
                    error.text[0] ? error.text : "not a JSON object");
    }
    return IGVK_OK;
}

static igvk_status load_part(const char *folder, const char *name, bool optional, safetensors_file **out) {
    char *path = path_join(folder, name);
    if (!path)
        return fail_memory(name, 0);
    igvk_status status = optional && !path_exists(path) ? IGVK_OK : safetensors_open(path, out);
    free(path);
    return status;
}

// DIR/tolerances.json, else its parent's.
static igvk_status find_tolerances(const char *folder, char **out) {
    *out = path_join(folder, "tolerances.json");
    if (*out && !path_exists(*out)) {
        free(*out);
        *out = path_join(folder, "../tolerances.json");
    }
    return *out ? IGVK_OK : fail_memory("a path", 0);
}

static igvk_status load_tolerances(parity_case *c, const char *given) {
    igvk_status status = IGVK_OK;
    char *path = given ? strdup(given) : NULL;
    if (!given)
        TRY(find_tolerances(c->folder, &path));
    if (!path || !path_exists(path))
        THROW(IGVK_ERROR_INVALID, "%s: no tolerances.json in it or beside it: name one with --tolerances FILE",
              c->folder);
    TRY(load_json(path, &c->tolerances));
    c->bounds = json_object_get(c->tolerances, c->name);
    if (!json_is_object(c->bounds))
        THROW(IGVK_ERROR_INVALID, "%s: has no tolerances for the case '%s'", path, c->name);
done:
    free(path);
    return status;
}

static igvk_status resolve_name(parity_case *c) {
    char *full = realpath(c->folder, NULL);
    if (!full || !path_is_folder(full)) {
        free(full);
        return fail(IGVK_ERROR_INVALID, "%s: no such folder", c->folder);
    }
    const char *last = strrchr(full, '/');
    snprintf(c->name, sizeof c->name, "%s", last ? last + 1 : full);
    free(full);
    return IGVK_OK;
}

igvk_status parity_case_open(const char *folder, const char *tolerances, parity_case *out) {
    igvk_status status = IGVK_OK;
    char *path = NULL;
    memset(out, 0, sizeof *out);
    out->folder = folder;
    TRY(resolve_name(out));
    path = path_join(folder, "case.json");
    if (!path || !path_exists(path))
        THROW(IGVK_ERROR_INVALID, "%s: has no case.json: not a folder of reference numbers", folder);
    TRY(load_json(path, &out->root));
    out->runs = json_object_get(out->root, "runs");
    if (!json_is_string(json_object_get(out->root, "kind")) || !json_is_array(out->runs))
        THROW(IGVK_ERROR_INVALID, "%s: needs a text 'kind' and a list 'runs'", path);
    bool files_alone = strcmp(json_string_value(json_object_get(out->root, "kind")), "checkpoint_pt") == 0;
    TRY(load_part(folder, "inputs.safetensors", files_alone, &out->inputs));
    TRY(load_part(folder, "outputs.safetensors", false, &out->outputs));
    TRY(load_part(folder, "weights.safetensors", true, &out->weights));
    TRY(load_tolerances(out, tolerances));
    out->computed = calloc(safetensors_count(out->outputs) + 1, sizeof *out->computed);
    out->exact = calloc(safetensors_count(out->outputs) + 1, sizeof *out->exact);
    if (!out->computed || !out->exact)
        status = fail_memory("outputs", 0);
done:
    free(path);
    if (status != IGVK_OK)
        parity_case_close(out);
    // An unusable folder is the user's to mend, whatever was wrong inside.
    return status == IGVK_OK || status == IGVK_ERROR_MEMORY ? status : IGVK_ERROR_INVALID;
}

void parity_case_close(parity_case *c) {
    for (size_t i = 0; c->computed && i < safetensors_count(c->outputs); i++)
        free(c->computed[i]);
    for (size_t i = 0; c->exact && i < safetensors_count(c->outputs); i++)
        free(c->exact[i]);
    free(c->computed);
    free(c->exact);
    safetensors_close(&c->inputs);
    safetensors_close(&c->outputs);
    safetensors_close(&c->weights);
    json_decref(c->root);
    json_decref(c->tolerances);
    memset(c, 0, sizeof *c);
}

// ---- outputs ---------------------------------------------------------------------------------------

static const safetensors_entry *output_of(const parity_case *c, const char *format, va_list arguments) {
    char name[256];
    vsnprintf(name, sizeof name, format, arguments);
    return safetensors_find(c->outputs, name);
}

bool parity_wants(const parity_case *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool found = output_of(c, format, arguments) != NULL;
    va_end(arguments);
    return found;
}

static bool holds_integers(const safetensors_entry *e) {
    return e->type >= ELEMENT_I64;
}

// The slot of the output where it takes `count` values of that sort; null where it does not.
static void **slot_of(parity_case *c, const safetensors_entry *e, uint64_t count, bool integers) {
    if (!e || e->elements != count || holds_integers(e) != integers)
        return NULL;
    for (size_t i = 0; i < safetensors_count(c->outputs); i++)
        if (safetensors_at(c->outputs, i) == e)
            return &c->computed[i];
    return NULL;
}

igvk_status parity_give(parity_case *c, const float *values, uint64_t count, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    void **slot = slot_of(c, output_of(c, format, arguments), count, false);
    va_end(arguments);
    if (!slot)
        return IGVK_OK;
    free(*slot);
    *slot = malloc(count * sizeof(float) + 1);
    if (!*slot)
        return fail_memory("an output", count * sizeof(float));
    memcpy(*slot, values, count * sizeof(float));
    return IGVK_OK;
}

igvk_status parity_give_words(parity_case *c, const uint32_t *values, uint64_t count, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    void **slot = slot_of(c, output_of(c, format, arguments), count, true);
    va_end(arguments);
    if (!slot)
        return IGVK_OK;
    free(*slot);
    int64_t *wide = *slot = malloc(count * sizeof *wide + 1);
    if (!wide)
        return fail_memory("an output", count * sizeof *wide);
    for (uint64_t i = 0; i < count; i++)
        wide[i] = values[i];
    return IGVK_OK;
}

// ---- inputs ----------------------------------------------------------------------------------------

igvk_status parity_floats(safetensors_file *f, const char *name, float **values, const safetensors_entry **entry) {
    const safetensors_entry *e = safetensors_find(f, name);
    *values = NULL;
    if (!e || holds_integers(e))
        return fail(IGVK_ERROR_INVALID, "input '%s' is missing or holds no floats", name);
    if (entry)
        *entry = e;
    *values = malloc(e->elements * sizeof **values + 1);
    if (!*values)
        return fail_memory(name, e->elements * sizeof **values);
    igvk_status status = safetensors_read_f32(f, e, 0, e->elements, *values);
    if (status != IGVK_OK) {
        free(*values);
        *values = NULL;
    }
    return status;
}

igvk_status parity_words(safetensors_file *f, const char *name, uint32_t **values, const safetensors_entry **entry) {
    igvk_status status = IGVK_OK;
    int64_t *wide = NULL;
    const safetensors_entry *e = safetensors_find(f, name);
    *values = NULL;
    if (!e || !holds_integers(e))
        THROW(IGVK_ERROR_INVALID, "input '%s' is missing or holds no integers", name);
    if (entry)
        *entry = e;
    wide = malloc(e->elements * sizeof *wide + 1);
    *values = malloc(e->elements * sizeof **values + 1);
    if (!wide || !*values) {
        status = fail_memory(name, e->elements * sizeof *wide);
        goto done;
    }
    TRY(safetensors_read_i64(f, e, 0, e->elements, wide));
    for (uint64_t i = 0; i < e->elements; i++) {
        if (wide[i] < 0 || wide[i] > UINT32_MAX)
            THROW(IGVK_ERROR_INVALID, "input '%s': element %llu is not a 32-bit count", name, (unsigned long long)i);
        (*values)[i] = (uint32_t)wide[i];
    }
done:
    free(wide);
    if (status != IGVK_OK) {
        free(*values);
        *values = NULL;
    }
    return status;
}

// ---- configuration ---------------------------------------------------------------------------------

igvk_status parity_number(const parity_case *c, const json_t *object, const char *key, double *out) {
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v))
        return fail(IGVK_ERROR_INVALID, "%s: case.json: '%s' is missing or not a number", c->folder, key);
    *out = json_number_value(v);
    return IGVK_OK;
}

double parity_number_or(const json_t *object, const char *key, double standard) {
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : standard;
}

const char *parity_text_or(const json_t *object, const char *key, const char *standard) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : standard;
}

igvk_status parity_whole(const parity_case *c, const json_t *config, const char *key, uint32_t low, uint32_t high,
                         uint32_t *out) {
    double value = 0;
    igvk_status status = parity_number(c, config, key, &value);
    if (status != IGVK_OK)
        return status;
    if (!(value >= low && value <= high && floor(value) == value))
        return fail(IGVK_ERROR_INVALID, "%s: case.json: '%s' is %g: must be a whole number from %u to %u", c->folder,
                    key, value, low, high);
    *out = (uint32_t)value;
    return IGVK_OK;
}

igvk_status parity_count(const parity_case *c, const json_t *object, const char *key, uint32_t low, uint32_t high,
                         uint32_t standard, uint32_t *out) {
    *out = standard;
    return json_object_get(object, key) ? parity_whole(c, object, key, low, high, out) : IGVK_OK;
}

igvk_status parity_check_labels(const parity_case *c, const model_config *m, const uint32_t *labels, uint64_t count) {
    uint32_t end = m->classes + (m->null_class ? 1 : 0);
    for (uint64_t i = 0; i < count; i++)
        if (labels[i] >= end)
            return fail(IGVK_ERROR_INVALID, "%s: label %u of the inputs is no class of a model of %u", c->folder,
                        labels[i], m->classes);
    return IGVK_OK;
}

igvk_status parity_model_config(const parity_case *c, const json_t *config, uint64_t height, uint64_t width,
                                model_config *out) {
    igvk_status status = IGVK_OK;
    uint32_t decoder = 0;
    const uint32_t most = 1 << 20;
    memset(out, 0, sizeof *out);
    const char *kind = parity_text_or(c->root, "kind", "");
    const bool lightning = strncmp(kind, "lightningdit", 12) == 0;
    strcpy(out->kind, lightning ? "lightningdit" : strncmp(kind, "sit", 3) == 0 ? "sit" : model_kind_find(kind)->name);
    TRY(parity_whole(c, config, "patch_size", 0, most, &out->patch));
    TRY(parity_whole(c, config, "in_channels", 0, most, &out->channels));
    TRY(parity_whole(c, config, "hidden_size", 0, most, &out->hidden));
    TRY(parity_whole(c, config, "depth", 0, most, &out->depth));
    TRY(parity_whole(c, config, "encoder_depth", 0, most, &out->head_after));
    TRY(parity_whole(c, config, "num_heads", 0, most, &out->heads));
    TRY(parity_whole(c, config, "num_classes", 0, most, &out->classes));
    TRY(parity_count(c, config, "decoder_hidden_size", 0, most, out->hidden, &decoder));
    if (decoder != out->hidden)
        THROW(IGVK_ERROR_INVALID, "%s: decoder_hidden_size %u differs from hidden_size %u", c->folder, decoder,
              out->hidden);
    if (height == 0 || width == 0 || height > 1 << 14 || width > 1 << 14)
        THROW(IGVK_ERROR_INVALID, "%s: images of %llux%llu", c->folder, (unsigned long long)height,
              (unsigned long long)width);
    out->height = (uint32_t)height;
    out->width = (uint32_t)width;
    out->mlp_ratio = parity_number_or(config, "mlp_ratio", 4);
    out->null_class = parity_number_or(config, "class_dropout_prob", 0) > 0;
    out->learn_sigma = json_is_true(json_object_get(config, "learn_sigma"));
    out->mask_ratio = parity_number_or(config, "mask_ratio", 0);
    TRY(parity_count(c, config, "decode_layer", 0, 1 << 10, 0, &out->decode_layers));
    out->qk_norm = json_is_true(json_object_get(config, lightning ? "use_qknorm" : "qk_norm"));
    out->rms_norm = json_is_true(json_object_get(config, "use_rmsnorm"));
    out->swiglu = json_is_true(json_object_get(config, "use_swiglu"));
    out->rotary = json_is_true(json_object_get(config, "use_rope"));
    out->no_shift = json_is_true(json_object_get(config, "wo_shift"));
    TRY(fail_within(model_config_check(out), "%s", c->folder));
done:
    return status;
}

// ---- weights ---------------------------------------------------------------------------------------

// Elements of a synthetic tensor, number i: a splitmix of the name's FNV-1a hash, as the folder's format defines it.
static void fill_synthetic(const char *name, double scale, double offset, uint64_t first, uint64_t count, float *out) {
    uint64_t h = 14695981039346656037u;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = (h ^ *p) * 1099511628211u;
    for (uint64_t i = first; i < first + count; i++) {
        uint64_t z = h + (i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        double u = (double)(z >> 40) * 0x1p-24;
        *out++ = (float)(offset + scale * (2 * u - 1));
    }
}

typedef struct case_weights {
    parity_case *c;
    safetensors_file *file; // may be null
    const char *prefix;
    const parity_names *names; // null: the layout's alone
} case_weights;

// Up to dimensions of 1 at the end: a linear weight [C, C] is a kernel [C, C, 1, 1].
static bool same_shape(const safetensors_entry *e, tensor_shape shape) {
    for (uint32_t k = 0; k < e->rank || k < shape.rank; k++)
        if ((k < e->rank ? e->shape[k] : 1) != (k < shape.rank ? shape.dim[k] : 1))
            return false;
    return true;
}

static bool name_in_case(const case_weights *w, const char *name, int naming, char out[256]) {
    char other[PARITY_NAME];
    if (w->names ? !w->names->alias(w->names->user, name, naming, other) : naming > 0)
        return false;
    snprintf(out, 256, "%s%s", w->prefix, w->names ? other : name);
    return true;
}

// A parameter_source's `read`; the user is a case_weights.
static igvk_status read_parameter(void *user, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                  float *out) {
    const case_weights *w = user;
    const parameter *p = parameter_at(l, i);
    char name[256];
    for (int naming = 0; name_in_case(w, p->name, naming, name); naming++) {
        const safetensors_entry *e = w->file ? safetensors_find(w->file, name) : NULL;
        const json_t *synthetic = json_object_get(json_object_get(w->c->root, "synthetic"), name);
        if (e && !same_shape(e, p->shape))
            return fail(IGVK_ERROR_INVALID, "%s: weight '%s' has not the shape that the model's has", w->c->folder,
                        name);
        if (e)
            return safetensors_read_f32(w->file, e, first, count, out);
        if (synthetic) {
            fill_synthetic(name, parity_number_or(synthetic, "scale", 1), parity_number_or(synthetic, "offset", 0),
                           first, count, out);
            return IGVK_OK;
        }
    }
    if (p->init != INIT_TABLE)
        return fail(IGVK_ERROR_INVALID, "%s: weight '%s%s' is neither stored nor synthetic", w->c->folder, w->prefix,
                    p->name);
    p->fill(p->context, first, count, out);
    return IGVK_OK;
}

static igvk_status load_weights(store *s, const parameter_layout *l, const char *arena_name, storage_type type,
                                case_weights *weights) {
    igvk_status status = IGVK_OK;
    TRY(parameter_memory_add(s, l, arena_name, type));
    TRY(parameter_memory_fill(s, &(parameter_set){.layout = l, .arena_name = arena_name, .type = type},
                              &(parameter_source){.read = read_parameter, .user = weights}));
done:
    return status;
}

igvk_status parity_load_weights(parity_case *c, store *s, const parameter_layout *l, const char *arena_name,
                                storage_type type, safetensors_file *file, const char *prefix) {
    return load_weights(s, l, arena_name, type, &(case_weights){.c = c, .file = file, .prefix = prefix});
}

igvk_status parity_load_weights_named(parity_case *c, store *s, const parameter_layout *l, const char *arena_name,
                                      storage_type type, safetensors_file *file, const parity_names *names) {
    return load_weights(s, l, arena_name, type, &(case_weights){.c = c, .file = file, .prefix = "", .names = names});
}

igvk_status parity_read_set(const parity_case *c, store *s, const parameter_layout *l, const char *set, size_t i,
                            float *values) {
    igvk_status status = IGVK_OK;
    loss_scale scale = {.scale = 1};
    TRY(parameter_memory_read(s, l, set, i, values));
    if (strcmp(set, SET_GRADIENT) != 0 || !training_scales_loss(c->precision))
        goto done;
    TRY(training_read_scale(s, &scale));
    for (uint64_t k = 0; k < shape_elements(parameter_at(l, i)->shape); k++)
        values[k] /= scale.scale; // exact: a power of two
done:
    return status;
}
