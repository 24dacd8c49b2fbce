// SPDX-License-Identifier: MIT
// Checking and reading an open file of weights.
#include "models/weights_internal.h"

#include <string.h>

const model_config *weights_config(const weights_file *w) {
    return &w->config;
}
const char *weights_notes(const weights_file *w) {
    return w->notes;
}

bool weights_has_one_set(const weights_file *w) {
    return w->one_set;
}

const char *weights_metadata(const weights_file *w, const char *key) {
    if (w->stored)
        return safetensors_metadata(w->stored, key);
    // As `igvk export --torch` writes it.
    const pickle_value *v = pickle_get(pickle_get(torch_file_root(w->torch), "igvk"), key + strlen("igvk."));
    if (v && v->kind == PICKLE_TEXT)
        return v->text.bytes;
    return w->step[0] && strcmp(key, "igvk.step") == 0 ? w->step : NULL;
}

// ---- checking ---------------------------------------------------------------------------------------------

bool weight_fits(const weight_entry *e, const parameter *p) {
    if (e->rank != p->shape.rank || e->type > ELEMENT_BF16)
        return false;
    for (uint32_t k = 0; k < e->rank; k++)
        if (e->shape[k] != p->shape.dim[k])
            return false;
    return true;
}

bool weight_is_computed(const weight_entry *e, const parameter *p) {
    return !e && p->frozen && p->init == INIT_TABLE;
}

// Buffers of whole numbers are tables that a model's shape determines.
static bool is_index(const weight_entry *e) {
    return e->type >= ELEMENT_I64;
}

static void describe_entry(text_buffer *b, const weight_entry *e) {
    text_append(b, "; '%.100s' is %s [", e->name, element_name(e->type));
    for (uint32_t k = 0; k < e->rank; k++)
        text_append(b, "%s%llu", k ? "x" : "", (unsigned long long)e->shape[k]);
    text_append(b, "]");
}

void weight_describe(text_buffer *b, const weight_entry *e, const parameter *p) {
    char want[64];
    shape_text(want, p->shape);
    if (!e) {
        text_append(b, "; '%s' [%s] is missing", p->name, want);
        return;
    }
    describe_entry(b, e);
    text_append(b, ", needed float [%s]", want);
}

igvk_status weights_check(const weights_file *w, const parameter_layout *l) {
    text_buffer wrong = {0};
    size_t bad = 0, many = 0;
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        const weight_entry *e = weight_find(&w->list, p->name);
        if (!weight_is_computed(e, p) && (!e || !weight_fits(e, p)) && ++bad <= WEIGHTS_NAMED)
            weight_describe(&wrong, e, p);
    }
    for (size_t i = 0; i < w->list.count && bad == 0; i++)
        if (!parameter_find(l, w->list.entries[i].name) && !is_index(&w->list.entries[i]) && ++many <= WEIGHTS_NAMED)
            describe_entry(&wrong, &w->list.entries[i]);
    igvk_status status = IGVK_OK;
    const char *more = bad > WEIGHTS_NAMED || many > WEIGHTS_NAMED ? "; ..." : "";
    if (bad)
        status = fail(IGVK_ERROR_INVALID, "%s: does not fit its model: %zu of %zu tensors are wrong%s%s", w->path, bad,
                      parameter_count(l), wrong.text ? wrong.text : "", more);
    else if (many)
        status = fail(IGVK_ERROR_INVALID, "%s: does not fit its model: %zu tensors are too many%s%s", w->path, many,
                      wrong.text ? wrong.text : "", more);
    text_free(&wrong);
    return status;
}

// ---- reading ----------------------------------------------------------------------------------------------

static igvk_status find_fitting(const weights_file *w, const parameter *p, const weight_entry **out) {
    *out = weight_find(&w->list, p->name);
    if (!*out || !weight_fits(*out, p))
        return fail(IGVK_ERROR_INVALID, "%s: tensor '%s' is missing or of another shape", w->path, p->name);
    return IGVK_OK;
}

igvk_status weights_read(void *weights, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                         float *out) {
    weights_file *w = weights;
    const parameter *p = parameter_at(l, i);
    const weight_entry *e = weight_find(&w->list, p->name);
    if (weight_is_computed(e, p)) {
        p->fill(p->context, first, count, out);
        return IGVK_OK;
    }
    igvk_status status = find_fitting(w, p, &e);
    if (status != IGVK_OK)
        return status;
    return weights_read_entry(w, e, first, count, out);
}

element_type weights_type(const weights_file *w, const parameter_layout *l, size_t i) {
    const weight_entry *e = weight_find(&w->list, parameter_at(l, i)->name);
    return e ? e->type : ELEMENT_F32;
}

igvk_status weights_read_stored(weights_file *w, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                void *out) {
    const weight_entry *e = weight_find(&w->list, parameter_at(l, i)->name);
    if (weight_is_computed(e, parameter_at(l, i)))
        return weights_read(w, l, i, first, count, out); // weights_type says f32
    igvk_status status = find_fitting(w, parameter_at(l, i), &e);
    if (status != IGVK_OK)
        return status;
    uint64_t size = element_size(e->type);
    return e->stored ? safetensors_read(w->stored, e->stored, first * size, count * size, out)
                     : torch_file_read(w->torch, e->tensor, first, count, out);
}
