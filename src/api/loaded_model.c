// SPDX-License-Identifier: MIT
#include "api/loaded_model.h"

#include "core/file.h"
#include "core/text.h"
#include "training/run_folder.h"
#include "vulkan/parameter_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

igvk_status model_file_of(const char *path, char **file) {
    *file = NULL;
    if (!path[0])
        return fail(IGVK_ERROR_INVALID, "--model: name a checkpoint, an exported model or a run folder");
    if (path_is_folder(path))
        return run_newest_checkpoint(path, file);
    *file = strdup(path);
    return *file ? IGVK_OK : fail_memory("a path", strlen(path));
}

parameter_set loaded_model_set(const loaded_model *m, const char *set) {
    return (parameter_set){
        .layout = m->layout, .arena_name = set, .role = ROLE_PARAMETER, .type = m->precision};
}

storage_type precision_for(const device *d, uint32_t choice, const igvk_events *events) {
    static const storage_type types[] = {STORAGE_F32, STORAGE_F16, STORAGE_BF16};
    static const char *const names[] = {"f32", "f16", "bf16"};
    char text[384];
    if (choice == 0 || device_capabilities(d)->storage_16bit)
        return types[choice];
    snprintf(text, sizeof text, "note: %s stores no 16-bit numbers (path storage-16bit): --precision %s is done in f32",
             device_facts_of(d)->name, names[choice]);
    if (events && events->message)
        events->message(events->user, text);
    return STORAGE_F32;
}

parameter_layout *layout_for(const device *d, const model_config *c, storage_type precision) {
    const capabilities *caps = device_capabilities(d);
    parameter_layout *l =
        parameter_layout_create(caps->max_binding < caps->max_allocation ? caps->max_binding : caps->max_allocation);
    if (l && precision != STORAGE_F32)
        parameter_layout_split_products(l);
    if (l)
        model_kind_find(c->kind)->parameters(c, l);
    return l;
}

const char *class_name(const json_t *names, uint32_t k, char number[16]) {
    const char *name = json_string_value(json_array_get(names, k));
    if (name)
        return name;
    snprintf(number, 16, "%u", k);
    return number;
}

static igvk_status read_class_names(const weights_file *w, const char *path, loaded_model *m) {
    const char *text = weights_metadata(w, "igvk.classes");
    m->class_names = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : json_array();
    if (!json_is_array(m->class_names))
        return fail(IGVK_ERROR_INVALID, "%s: metadata 'igvk.classes' is not a list", path);
    return IGVK_OK;
}

static igvk_status refuse_too_large(device *d, const loaded_model *m) {
    uint64_t need = parameter_memory_bytes(m->layout, m->precision), available = device_memory_free(d);
    char a[32], b[32];
    if (available && need > available)
        return fail(IGVK_ERROR_DEVICE_MEMORY, "%s: its weights need %s of device memory, %s are free", m->path,
                    format_bytes(a, need), format_bytes(b, available));
    return IGVK_OK;
}

// The weights fit the configuration: told without a device, from the file's header.
static igvk_status check_weights(const loaded_model *m) {
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    igvk_status status = l ? IGVK_OK : fail_memory("the parameter layout", 0);
    if (l)
        model_kind_find(m->config.kind)->parameters(&m->config, l);
    if (status == IGVK_OK)
        status = parameter_layout_check(l);
    if (status == IGVK_OK)
        status = weights_check(m->file, l);
    parameter_layout_destroy(&l);
    return status;
}

igvk_status loaded_model_open(const char *path, const char *set, loaded_model *out) {
    return loaded_model_open_as(path, set, NULL, out);
}

igvk_status loaded_model_open_as(const char *path, const char *set, const model_hints *known, loaded_model *out) {
    igvk_status status = IGVK_OK;
    memset(out, 0, sizeof *out);
    TRY(model_file_of(path, &out->path));
    TRY(weights_open_as(out->path, set, known, &out->file));
    out->config = *weights_config(out->file);
    TRY(read_class_names(out->file, out->path, out));
    TRY(check_weights(out));
done:
    if (status != IGVK_OK)
        loaded_model_close(out);
    return status;
}

igvk_status loaded_model_load_beside(device *d, loaded_model *m, store *s, const char *set) {
    igvk_status status = IGVK_OK;
    m->layout = layout_for(d, &m->config, m->precision);
    TRY(m->layout ? parameter_layout_check(m->layout) : fail_memory("the parameter layout", 0));
    TRY(refuse_too_large(d, m));
    TRY(parameter_memory_add(s, m->layout, set, m->precision));
    const parameter_set loaded = loaded_model_set(m, set);
    TRY(parameter_memory_fill(s, &loaded, &(parameter_source){.read = weights_read, .user = m->file}));
    weights_close(&m->file);
done:
    return status;
}

igvk_status loaded_model_load(device *d, loaded_model *m) {
    igvk_status status = store_create(d, &m->store);
    return status == IGVK_OK ? loaded_model_load_beside(d, m, m->store, SET_LOADED) : status;
}

void loaded_model_close(loaded_model *m) {
    weights_close(&m->file);
    store_destroy(&m->store);
    parameter_layout_destroy(&m->layout);
    json_decref(m->class_names);
    free(m->path);
    memset(m, 0, sizeof *m);
}
