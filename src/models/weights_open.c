// SPDX-License-Identifier: MIT
// Finding the set asked for in a file of weights, and the model that it belongs to.
#include "models/weights_internal.h"

#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// As data parallelism and torch.compile leave them, one inside the other.
static const char *official_name(const char *name) {
    static const char *const prefixes[] = {"module.", "_orig_mod."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return official_name(name + strlen(prefixes[i]));
    return name;
}

static igvk_status add_entry(weights_file *w, const weight_entry *e) {
    if (!ARRAY_RESERVE(w->list.entries, w->capacity, w->list.count + 1))
        return fail_memory(w->path, w->list.count * sizeof *e);
    w->list.entries[w->list.count] = *e;
    w->list.entries[w->list.count++].name = official_name(e->name);
    return IGVK_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const weight_entry *)a)->name, ((const weight_entry *)b)->name);
}

static igvk_status sort_entries(weights_file *w) {
    if (w->list.count == 0)
        return fail(IGVK_ERROR_INVALID, "%s: holds no tensors", w->path);
    qsort(w->list.entries, w->list.count, sizeof *w->list.entries, compare_names);
    for (size_t i = 1; i < w->list.count; i++)
        if (strcmp(w->list.entries[i - 1].name, w->list.entries[i].name) == 0)
            return fail(IGVK_ERROR_INVALID, "%s: holds two tensors for '%.200s'", w->path, w->list.entries[i].name);
    return IGVK_OK;
}

static igvk_status find_config(weights_file *w, const model_hints *given) {
    const char *json = weights_metadata(w, "igvk.model");
    model_hints beside = {0};
    if (json)
        return model_config_from_json(w->path, json, &w->config);
    if (w->torch)
        model_hints_read(torch_file_root(w->torch), &beside);
    return model_recognise(w->path, &w->list, given, &beside, &w->config, w->notes, sizeof w->notes);
}

// ---- safetensors ------------------------------------------------------------------------------------------

static bool has_prefix(const safetensors_file *f, const char *prefix) {
    for (size_t i = 0; i < safetensors_count(f); i++)
        if (strncmp(safetensors_at(f, i)->name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

// A checkpoint has "model/..." tensors; a plain file has none with a set's prefix.
static igvk_status choose_prefix(weights_file *w, const char *set, char prefix[32]) {
    snprintf(prefix, 32, "%s/", set);
    if (has_prefix(w->stored, prefix))
        return IGVK_OK;
    if (has_prefix(w->stored, "ema/") || has_prefix(w->stored, "model/"))
        return fail(IGVK_ERROR_INVALID, "%s: holds no '%s' weights", w->path, set);
    prefix[0] = 0;
    w->one_set = true;
    return IGVK_OK;
}

static igvk_status open_stored(weights_file *w, const char *set) {
    igvk_status status = IGVK_OK;
    char prefix[32];
    TRY(safetensors_open(w->path, &w->stored));
    TRY(choose_prefix(w, set, prefix));
    for (size_t i = 0; i < safetensors_count(w->stored); i++) {
        const safetensors_entry *e = safetensors_at(w->stored, i);
        if (strncmp(e->name, prefix, strlen(prefix)) == 0)
            TRY(add_entry(w, &(weight_entry){.name = e->name + strlen(prefix),
                                             .type = e->type,
                                             .rank = e->rank,
                                             .shape = e->shape,
                                             .stored = e}));
    }
    TRY(sort_entries(w));
done:
    return status;
}

// ---- files of torch.save ----------------------------------------------------------------------------------

static bool is_state_dict(const pickle_value *v) {
    for (size_t i = 1; v && v->kind == PICKLE_DICT && i < v->list.count; i += 2)
        if (v->list.items[i]->kind == PICKLE_TENSOR && v->list.items[i - 1]->kind == PICKLE_TEXT)
            return true;
    return false;
}

static igvk_status choose_dict(weights_file *w, const char *set, const pickle_value **out) {
    const pickle_value *root = torch_file_root(w->torch);
    const char *const places[] = {set, strcmp(set, "ema") == 0 ? "model" : set, "state_dict"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *out = pickle_get(root, places[i]);
        if (is_state_dict(*out))
            return IGVK_OK;
        w->one_set = true; // not the one that was asked for
    }
    *out = root;
    if (is_state_dict(root))
        return IGVK_OK;
    return fail(IGVK_ERROR_INVALID, "%s: holds no '%s' weights; `igvk inspect` lists what it holds", w->path, set);
}

static igvk_status open_torch(weights_file *w, const char *set) {
    igvk_status status = IGVK_OK;
    const pickle_value *dict = NULL;
    TRY(torch_file_open(w->path, &w->torch));
    TRY(choose_dict(w, set, &dict));
    for (size_t i = 1; i < dict->list.count; i += 2) {
        const pickle_value *v = dict->list.items[i], *key = dict->list.items[i - 1];
        if (v->kind == PICKLE_TENSOR && key->kind == PICKLE_TEXT)
            TRY(add_entry(w, &(weight_entry){.name = key->text.bytes,
                                             .type = v->tensor->storage->type,
                                             .rank = v->tensor->rank,
                                             .shape = v->tensor->shape,
                                             .tensor = v->tensor}));
    }
    TRY(sort_entries(w));
    const pickle_value *steps = pickle_get(torch_file_root(w->torch), "steps");
    if (steps && steps->kind == PICKLE_INTEGER && steps->integer >= 0)
        snprintf(w->step, sizeof w->step, "%lld", (long long)steps->integer);
done:
    return status;
}

// ---- the open file ----------------------------------------------------------------------------------------

static igvk_status open_file(const char *path, const char *set, weights_file **out) {
    igvk_status status = IGVK_OK;
    weights_file *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w || !(w->path = strdup(path)))
        TRY(fail_memory(path, sizeof *w));
    TRY(torch_file_recognise(path) ? open_torch(w, set) : open_stored(w, set));
    *out = w;
    w = NULL;
done:
    weights_close(&w);
    return status;
}

igvk_status weights_open_as(const char *path, const char *set, const model_hints *given, weights_file **out) {
    igvk_status status = IGVK_OK;
    TRY(open_file(path, set, out));
    TRY(find_config(*out, given));
done:
    if (status != IGVK_OK)
        weights_close(out);
    return status;
}

igvk_status weights_open_tensors(const char *path, weights_file **out) {
    return open_file(path, "ema", out);
}

const weight_list *weights_tensors(const weights_file *w) {
    return &w->list;
}

igvk_status weights_read_entry(weights_file *w, const weight_entry *e, uint64_t first, uint64_t count, float *out) {
    return e->stored ? safetensors_read_f32(w->stored, e->stored, first, count, out)
                     : torch_file_read_f32(w->torch, e->tensor, first, count, out);
}

igvk_status weights_open(const char *path, const char *set, weights_file **out) {
    return weights_open_as(path, set, NULL, out);
}

void weights_close(weights_file **w) {
    if (!*w)
        return;
    safetensors_close(&(*w)->stored);
    torch_file_close(&(*w)->torch);
    free((*w)->list.entries);
    free((*w)->path);
    free(*w);
    *w = NULL;
}
