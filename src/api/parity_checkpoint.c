// SPDX-License-Identifier: MIT
// Cases of kind checkpoint_pt: files of torch.save. Every tensor RUN/PATH must be found at PATH of the run's file with
// the reference's type, shape and bytes; what the run lists under "values" must stand there too.
#include "api/parity_case.h"

#include "core/file.h"
#include "formats/torch_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

igvk_status parity_compare_exact(parity_case *c, size_t i, double *error) {
    const safetensors_entry *e = safetensors_at(c->outputs, i);
    void *expected = malloc(e->bytes + 1);
    if (!expected)
        return fail_memory(e->name, e->bytes);
    igvk_status status = safetensors_read(c->outputs, e, 0, e->bytes, expected);
    *error = status == IGVK_OK && memcmp(expected, c->exact[i], e->bytes) == 0 ? 0 : (double)INFINITY;
    free(expected);
    return status;
}

// ---- finding values by path -------------------------------------------------------------------------------

// The value at the end of `path`, whose parts are keys or list places; keys may hold '/' themselves.
static const pickle_value *descend(const pickle_value *v, const char *path) {
    bool pairs = v->kind == PICKLE_DICT || v->kind == PICKLE_NAMESPACE;
    if (*path == 0)
        return v;
    if (!pairs && v->kind != PICKLE_LIST && v->kind != PICKLE_TUPLE)
        return NULL;
    for (size_t i = pairs ? 1 : 0; i < v->list.count; i += pairs ? 2 : 1) {
        char number[32] = "";
        const pickle_value *key = pairs ? v->list.items[i - 1] : NULL;
        if (!pairs || key->kind == PICKLE_INTEGER)
            snprintf(number, sizeof number, "%lld", pairs ? (long long)key->integer : (long long)i);
        const char *part = key && key->kind == PICKLE_TEXT ? key->text.bytes : number;
        size_t length = strlen(part);
        if (length == 0 || strncmp(path, part, length) != 0 || (path[length] != 0 && path[length] != '/'))
            continue;
        const pickle_value *found = descend(v->list.items[i], path + length + (path[length] == '/'));
        if (found)
            return found;
    }
    return NULL;
}

static bool same_number(const pickle_value *v, double number) {
    return (v->kind == PICKLE_INTEGER && (double)v->integer == number) ||
           (v->kind == PICKLE_NUMBER && v->number == number);
}

// Whether `v` is what the case's JSON says; a number stands for a list of so many items too.
static bool same_value(const pickle_value *v, const json_t *expected) {
    const char *key;
    json_t *item;
    bool is_list = v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE;
    switch (json_typeof(expected)) {
    case JSON_NULL:
        return v->kind == PICKLE_NONE;
    case JSON_TRUE:
    case JSON_FALSE:
        return v->kind == PICKLE_BOOL && v->truth == json_is_true(expected);
    case JSON_STRING:
        return pickle_is_text(v, json_string_value(expected));
    case JSON_INTEGER:
    case JSON_REAL:
        return same_number(v, json_number_value(expected)) ||
               (is_list && (double)v->list.count == json_number_value(expected));
    case JSON_ARRAY:
        if (!is_list || v->list.count != json_array_size(expected))
            return false;
        for (size_t i = 0; i < v->list.count; i++)
            if (!same_value(v->list.items[i], json_array_get(expected, i)))
                return false;
        return true;
    case JSON_OBJECT:
        if (v->kind != PICKLE_DICT && v->kind != PICKLE_NAMESPACE)
            return false;
        json_object_foreach((json_t *)expected, key, item) {
            const pickle_value *have = pickle_get(v, key);
            if (!have || !same_value(have, item))
                return false;
        }
        return v->list.count == 2 * json_object_size(expected);
    }
    return false;
}

static igvk_status check_values(const parity_case *c, const char *run, const json_t *values, const torch_file *f) {
    const char *path;
    json_t *expected;
    json_object_foreach((json_t *)values, path, expected) {
        const pickle_value *v = descend(torch_file_root(f), path);
        if (!v || !same_value(v, expected))
            return fail(IGVK_ERROR_INVALID, "%s: run '%s': the value '%s' of its file is %s", c->folder, run, path,
                        v ? "another than case.json says" : "missing");
    }
    return IGVK_OK;
}

// ---- tensors ----------------------------------------------------------------------------------------------

static bool same_form(const pickle_tensor *t, const safetensors_entry *e) {
    return t->storage->type == e->type && t->rank == e->rank && memcmp(t->shape, e->shape, t->rank * 8) == 0;
}

// Output i from the file; left uncomputed where its file has no such tensor. A run that must equal another's outputs
// (same_as) puts its bytes there only where they differ, so that either run's fault shows.
static igvk_status give_tensor(parity_case *c, torch_file *f, size_t i, const char *path, bool again) {
    const safetensors_entry *e = safetensors_at(c->outputs, i);
    const pickle_value *v = descend(torch_file_root(f), path);
    void *bytes = NULL;
    double error = 0;
    if (again && !c->exact[i])
        return IGVK_OK;
    if (again) {
        igvk_status status = parity_compare_exact(c, i, &error);
        if (status != IGVK_OK || error != 0)
            return status;
    }
    free(c->exact[i]);
    c->exact[i] = NULL;
    if (!v || v->kind != PICKLE_TENSOR || !same_form(v->tensor, e))
        return IGVK_OK;
    bytes = malloc(e->bytes + 1);
    if (!bytes)
        return fail_memory(e->name, e->bytes);
    c->exact[i] = bytes;
    return torch_file_read(f, v->tensor, 0, e->elements, bytes);
}

static igvk_status run_file(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    torch_file *f = NULL;
    char *path = NULL;
    const char *name = parity_text_or(run, "name", NULL), *file = parity_text_or(run, "file", NULL);
    if (!name || !file || strchr(file, '/'))
        THROW(IGVK_ERROR_INVALID, "%s: case.json: a run needs a 'name' and a 'file' of the folder", c->folder);
    path = path_join(c->folder, file);
    if (!path)
        TRY(fail_memory("a path", 0));
    TRY(torch_file_open(path, &f));
    TRY(check_values(c, name, json_object_get(run, "values"), f));
    const char *same_as = parity_text_or(run, "same_as", NULL), *from = same_as ? same_as : name;
    size_t length = strlen(from);
    for (size_t i = 0; i < safetensors_count(c->outputs); i++) {
        const char *output = safetensors_at(c->outputs, i)->name;
        if (strncmp(output, from, length) == 0 && output[length] == '/')
            TRY(give_tensor(c, f, i, output + length + 1, same_as != NULL));
    }
done:
    torch_file_close(&f);
    free(path);
    return status;
}

igvk_status parity_run_checkpoint(parity_case *c) {
    igvk_status status = IGVK_OK;
    for (int again = 0; again < 2; again++) // runs that compare with others come after those
        for (size_t i = 0; i < json_array_size(c->runs); i++) {
            const json_t *run = json_array_get(c->runs, i);
            if ((json_object_get(run, "same_as") != NULL) == (again == 1))
                TRY(run_file(c, run));
        }
done:
    return status;
}
