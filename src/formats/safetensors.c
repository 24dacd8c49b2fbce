// SPDX-License-Identifier: MIT
// Opening a safetensors file: every claim of its header is checked before anything relies on it.
#define _POSIX_C_SOURCE 200809L
#include "formats/safetensors.h"
#include "core/input_file.h"
#include "core/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// Values in the JSON header, metadata included: enough for SAFETENSORS_MAX_TENSORS tensors of full rank. An
// array of a 3-byte text takes some 150 bytes of memory, so the header's size alone bounds little.
#define MAX_VALUES (SAFETENSORS_MAX_TENSORS * 16u)
#define MAX_CONTAINERS (SAFETENSORS_MAX_TENSORS * 3u + 2)
#define MAX_DEPTH 3

struct safetensors_file {
    input_file *input;
    const char *path;    // of `input`
    uint64_t size, data; // of the file; where the tensors' bytes begin
    arena *names;
    safetensors_entry *entries;        // in the order of the data
    const safetensors_entry **by_name; // sorted
    size_t count;
    json_t *metadata; // object of strings, or null
};

static const struct {
    const char *name;
    size_t size;
} elements[] = {
    [ELEMENT_F64] = {"F64", 8},   [ELEMENT_F32] = {"F32", 4}, [ELEMENT_F16] = {"F16", 2}, [ELEMENT_BF16] = {"BF16", 2},
    [ELEMENT_I64] = {"I64", 8},   [ELEMENT_I32] = {"I32", 4}, [ELEMENT_I16] = {"I16", 2}, [ELEMENT_I8] = {"I8", 1},
    [ELEMENT_U64] = {"U64", 8},   [ELEMENT_U32] = {"U32", 4}, [ELEMENT_U16] = {"U16", 2}, [ELEMENT_U8] = {"U8", 1},
    [ELEMENT_BOOL] = {"BOOL", 1},
};
#define ELEMENT_TYPES (sizeof elements / sizeof *elements)

size_t element_size(element_type type) {
    return elements[type].size;
}
const char *element_name(element_type type) {
    return elements[type].name;
}

static igvk_status fail_damaged(const safetensors_file *f, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: %s; the file is damaged or no safetensors file", f->path, what);
}

// Names are cut: what is wrong with the tensor must fit the line.
static igvk_status fail_tensor(const safetensors_file *f, const char *name, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: tensor \"%.200s\": %s; the file is damaged", f->path, name, what);
}

// ---- the header's text ------------------------------------------------------------------------------------

// Refuses what would take memory far beyond its own size once parsed, before parsing it.
static igvk_status check_extent(const safetensors_file *f, const char *json, size_t size) {
    size_t values = 0, containers = 0, depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = json[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++, containers++;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
        else if (!in_string && c == ',')
            values++;
        if (depth > MAX_DEPTH)
            return fail_damaged(f, "its header is nested too deeply");
        if (values + containers > MAX_VALUES || containers > MAX_CONTAINERS)
            return fail(IGVK_ERROR_INVALID, "%s: its header lists more than %d tensors, which igvk does not read",
                        f->path, SAFETENSORS_MAX_TENSORS);
    }
    return IGVK_OK;
}

static igvk_status read_header(safetensors_file *f, json_t **header) {
    igvk_status status = IGVK_OK;
    unsigned char prefix[8];
    uint64_t size = 0;
    char *text = NULL;
    json_error_t error;
    if (f->size < sizeof prefix + 2)
        THROW(IGVK_ERROR_INVALID, "%s: too short for a safetensors file", f->path);
    TRY(input_file_read(f->input, 0, sizeof prefix, prefix));
    for (size_t i = 0; i < sizeof prefix; i++)
        size |= (uint64_t)prefix[i] << (8 * i);
    if (size > f->size - sizeof prefix || size > SAFETENSORS_MAX_HEADER)
        TRY(fail_damaged(f, "its header's size is beyond the file or beyond 32 MiB"));
    text = malloc((size_t)size + 1);
    if (!text)
        TRY(fail_memory(f->path, size));
    TRY(input_file_read(f->input, sizeof prefix, size, text));
    if (size < 2 || text[0] != '{')
        TRY(fail_damaged(f, "its header is no JSON object"));
    TRY(check_extent(f, text, (size_t)size));
    *header = json_loadb(text, (size_t)size, JSON_REJECT_DUPLICATES, &error);
    if (!*header)
        THROW(IGVK_ERROR_INVALID, "%s: its header is no strict JSON: %s; the file is damaged or no safetensors file",
              f->path, error.text);
    f->data = sizeof prefix + size;
done:
    free(text);
    return status;
}

// ---- the header's entries ---------------------------------------------------------------------------------

static bool find_type(const char *name, element_type *type) {
    for (size_t i = 0; name && i < ELEMENT_TYPES; i++)
        if (strcmp(name, elements[i].name) == 0) {
            *type = (element_type)i;
            return true;
        }
    return false;
}

static bool whole_number(const json_t *value, uint64_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static igvk_status parse_shape(const safetensors_file *f, const json_t *shape, safetensors_entry *e) {
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_MAX_RANK)
        return fail_tensor(f, e->name, "its shape is no list of at most 8 numbers");
    e->rank = (uint32_t)json_array_size(shape);
    e->elements = 1;
    for (uint32_t i = 0; i < e->rank; i++) {
        if (!whole_number(json_array_get(shape, i), &e->shape[i]))
            return fail_tensor(f, e->name, "its shape holds what is no whole number");
        if (!multiply_u64(e->elements, e->shape[i], &e->elements))
            return fail_tensor(f, e->name, "its shape is too large");
    }
    if (!multiply_u64(e->elements, element_size(e->type), &e->bytes))
        return fail_tensor(f, e->name, "its shape is too large");
    return IGVK_OK;
}

static igvk_status parse_offsets(const safetensors_file *f, const json_t *offsets, safetensors_entry *e) {
    uint64_t begin, end;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !whole_number(json_array_get(offsets, 0), &begin) ||
        !whole_number(json_array_get(offsets, 1), &end))
        return fail_tensor(f, e->name, "its data_offsets are not two whole numbers");
    if (end < begin)
        return fail_tensor(f, e->name, "its data_offsets run backwards");
    if (end > f->size - f->data)
        return fail_tensor(f, e->name, "its bytes lie beyond the file's end");
    if (end - begin != e->bytes)
        return fail_tensor(f, e->name, "its bytes are not as many as its shape needs");
    e->offset = f->data + begin;
    return IGVK_OK;
}

static igvk_status parse_entry(safetensors_file *f, const char *name, const json_t *value, safetensors_entry *e) {
    e->name = arena_copy_text(f->names, name);
    if (!e->name)
        return fail_memory(f->path, strlen(name) + 1);
    const char *type = json_string_value(json_object_get(value, "dtype"));
    if (!type || json_object_size(value) != 3)
        return fail_tensor(f, name, "is not described by dtype, shape and data_offsets");
    if (!find_type(type, &e->type))
        return fail(IGVK_ERROR_INVALID, "%s: tensor \"%.200s\": its type %.20s is not one that igvk reads", f->path,
                    name, type);
    igvk_status status = parse_shape(f, json_object_get(value, "shape"), e);
    return status == IGVK_OK ? parse_offsets(f, json_object_get(value, "data_offsets"), e) : status;
}

static igvk_status keep_metadata(safetensors_file *f, json_t *value) {
    const char *key;
    json_t *text;
    if (!json_is_object(value))
        return fail_damaged(f, "its __metadata__ is no object");
    json_object_foreach(value, key, text) {
        if (!json_is_string(text))
            return fail_damaged(f, "its __metadata__ holds what is no text");
    }
    f->metadata = json_incref(value);
    return IGVK_OK;
}

static int compare_places(const void *a, const void *b) {
    const safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) // an empty tensor comes before the one that begins where it lies
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const safetensors_entry *const *)a)->name, (*(const safetensors_entry *const *)b)->name);
}

// Sorts by place: each tensor must begin where the last ended, and the last end with the file.
static igvk_status check_places(safetensors_file *f) {
    uint64_t end = f->data;
    qsort(f->entries, f->count, sizeof *f->entries, compare_places);
    for (size_t i = 0; i < f->count; i++) {
        if (f->entries[i].offset != end)
            return fail_tensor(f, f->entries[i].name,
                               f->entries[i].offset < end ? "overlaps another" : "lies behind a gap");
        end += f->entries[i].bytes;
    }
    return end == f->size ? IGVK_OK : fail_damaged(f, "its tensors do not fill it");
}

static igvk_status parse_header(safetensors_file *f, json_t *header) {
    const char *name;
    json_t *value;
    size_t count = json_object_size(header);
    if (count > SAFETENSORS_MAX_TENSORS + 1)
        return fail(IGVK_ERROR_INVALID, "%s: has %zu tensors; igvk reads at most %d", f->path, count,
                    SAFETENSORS_MAX_TENSORS);
    f->names = arena_create();
    f->entries = calloc(count + 1, sizeof *f->entries);
    f->by_name = calloc(count + 1, sizeof *f->by_name);
    if (!f->names || !f->entries || !f->by_name)
        return fail_memory(f->path, count * sizeof *f->entries);
    json_object_foreach(header, name, value) {
        igvk_status status = strcmp(name, "__metadata__") == 0 ? keep_metadata(f, value)
                                                               : parse_entry(f, name, value, &f->entries[f->count++]);
        if (status != IGVK_OK)
            return status;
    }
    igvk_status status = check_places(f);
    for (size_t i = 0; i < f->count; i++)
        f->by_name[i] = &f->entries[i];
    qsort(f->by_name, f->count, sizeof *f->by_name, compare_names);
    return status;
}

// ---- the open file ----------------------------------------------------------------------------------------

igvk_status safetensors_open(const char *path, safetensors_file **out) {
    igvk_status status = IGVK_OK;
    json_t *header = NULL;
    safetensors_file *f = calloc(1, sizeof *f);
    if (!f)
        TRY(fail_memory(path, sizeof *f));
    TRY(input_file_open(path, &f->input));
    f->path = input_file_path(f->input);
    f->size = input_file_size(f->input);
    TRY(read_header(f, &header));
    TRY(parse_header(f, header));
    *out = f;
    f = NULL;
done:
    json_decref(header);
    safetensors_close(&f);
    return status;
}

void safetensors_close(safetensors_file **f) {
    if (!f || !*f)
        return;
    json_decref((*f)->metadata);
    free((*f)->by_name);
    free((*f)->entries);
    arena_destroy(&(*f)->names);
    input_file_close(&(*f)->input);
    free(*f);
    *f = NULL;
}

const char *safetensors_path(const safetensors_file *f) {
    return f->path;
}
size_t safetensors_count(const safetensors_file *f) {
    return f->count;
}
const safetensors_entry *safetensors_at(const safetensors_file *f, size_t i) {
    return &f->entries[i];
}

const safetensors_entry *safetensors_find(const safetensors_file *f, const char *name) {
    const safetensors_entry key = {.name = name}, *wanted = &key;
    const safetensors_entry **found = bsearch(&wanted, f->by_name, f->count, sizeof *f->by_name, compare_names);
    return found ? *found : NULL;
}

const char *safetensors_metadata(const safetensors_file *f, const char *key) {
    return json_string_value(json_object_get(f->metadata, key));
}

void safetensors_each_metadata(const safetensors_file *f, void (*each)(void *user, const char *key, const char *value),
                               void *user) {
    const char *key;
    json_t *value;
    json_object_foreach(f->metadata, key, value) each(user, key, json_string_value(value));
}

igvk_status safetensors_read(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t size,
                             void *out) {
    if (begin > e->bytes || size > e->bytes - begin)
        return fail(IGVK_ERROR_INTERNAL, "%s: tensor \"%.200s\": bytes asked for beyond its end", f->path, e->name);
    return input_file_read(f->input, e->offset + begin, size, out);
}
