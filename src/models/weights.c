// SPDX-License-Identifier: MIT
#include "models/weights.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct weights_file {
    safetensors_file *file;
    char *path;
    char prefix[32]; // "ema/" or ""
    model_config config;
};

static bool has_prefix(const safetensors_file *f, const char *prefix) {
    for (size_t i = 0; i < safetensors_count(f); i++)
        if (strncmp(safetensors_at(f, i)->name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

// A checkpoint has "model/..." tensors; a plain file has none with a set's prefix.
static igvk_status choose_prefix(weights_file *w, const char *set) {
    snprintf(w->prefix, sizeof w->prefix, "%s/", set);
    if (has_prefix(w->file, w->prefix))
        return IGVK_OK;
    if (has_prefix(w->file, "ema/") || has_prefix(w->file, "model/"))
        return fail(IGVK_ERROR_INVALID, "%s: holds no '%s' weights", w->path, set);
    w->prefix[0] = 0;
    return IGVK_OK;
}

igvk_status weights_open(const char *path, const char *set, weights_file **out) {
    igvk_status status = IGVK_OK;
    weights_file *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w || !(w->path = strdup(path))) {
        status = fail_memory(path, sizeof *w);
        goto done;
    }
    TRY(safetensors_open(path, &w->file));
    const char *json = safetensors_metadata(w->file, "igvk.model");
    if (!json)
        THROW(IGVK_ERROR_INVALID, "%s: carries no model configuration (metadata 'igvk.model'): not a checkpoint of igvk", path);
    TRY(model_config_from_json(path, json, &w->config));
    TRY(choose_prefix(w, set));
    *out = w;
    w = NULL;
done:
    weights_close(&w);
    return status;
}

void weights_close(weights_file **w) {
    if (!*w)
        return;
    safetensors_close(&(*w)->file);
    free((*w)->path);
    free(*w);
    *w = NULL;
}

const model_config *weights_config(const weights_file *w) { return &w->config; }
const char *weights_metadata(const weights_file *w, const char *key) { return safetensors_metadata(w->file, key); }

static const safetensors_entry *entry_of(const weights_file *w, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", w->prefix, name);
    return safetensors_find(w->file, full);
}

static bool fits(const safetensors_entry *e, const parameter *p) {
    if (e->rank != p->shape.rank || (e->type != ELEMENT_F32 && e->type != ELEMENT_F16 && e->type != ELEMENT_BF16 && e->type != ELEMENT_F64))
        return false;
    for (uint32_t k = 0; k < e->rank; k++)
        if (e->shape[k] != p->shape.dim[k])
            return false;
    return true;
}

static void describe(text_buffer *b, const safetensors_entry *e, const parameter *p) {
    char want[64];
    shape_text(want, p->shape);
    if (!e) {
        text_append(b, "; '%s' [%s] is missing", p->name, want);
        return;
    }
    text_append(b, "; '%s' is %s [", p->name, element_name(e->type));
    for (uint32_t k = 0; k < e->rank; k++)
        text_append(b, "%s%llu", k ? "x" : "", (unsigned long long)e->shape[k]);
    text_append(b, "], needed float [%s]", want);
}

igvk_status weights_check(const weights_file *w, const parameter_layout *l) {
    text_buffer wrong = {0};
    size_t bad = 0, mine = 0;
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        const safetensors_entry *e = entry_of(w, p->name);
        if ((!e || !fits(e, p)) && ++bad <= 3)
            describe(&wrong, e, p);
    }
    for (size_t i = 0; i < safetensors_count(w->file); i++)
        mine += strncmp(safetensors_at(w->file, i)->name, w->prefix, strlen(w->prefix)) == 0;
    igvk_status status = IGVK_OK;
    if (bad)
        status = fail(IGVK_ERROR_INVALID, "%s: does not fit its model: %zu of %zu tensors are wrong%s%s", w->path, bad,
                      parameter_count(l), wrong.text ? wrong.text : "", bad > 3 ? "; ..." : "");
    else if (mine != parameter_count(l))
        status = fail(IGVK_ERROR_INVALID, "%s: holds %zu tensors for a model of %zu", w->path, mine, parameter_count(l));
    text_free(&wrong);
    return status;
}

igvk_status weights_read(void *weights, const parameter_layout *l, size_t i, uint64_t first, uint64_t count, float *out) {
    weights_file *w = weights;
    const parameter *p = parameter_at(l, i);
    const safetensors_entry *e = entry_of(w, p->name);
    if (!e || !fits(e, p))
        return fail(IGVK_ERROR_INVALID, "%s: tensor '%s' is missing or of another shape", w->path, p->name);
    return safetensors_read_f32(w->file, e, first, count, out);
}
