// SPDX-License-Identifier: MIT
// Writing a safetensors file: declarations make the header, then the bytes stream in declared order.
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "core/memory.h"
#include "formats/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct safetensors_writer {
    char *path;
    atomic_file *file;
    json_t *header;          // the file's header so far; keeps the order of declaration
    json_t *metadata;        // inside `header`, or null
    size_t tensors;          // declared
    uint64_t bytes, written; // of all tensors declared; of them given so far
    bool writing;            // the header is out
};

igvk_status safetensors_writer_create(const char *path, safetensors_writer **out) {
    igvk_status status = IGVK_OK;
    safetensors_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path)) || !(w->header = json_object()))
        TRY(fail_memory(path, sizeof *w));
    TRY(atomic_file_create(path, &w->file));
    *out = w;
    w = NULL;
done:
    safetensors_writer_destroy(&w);
    return status;
}

void safetensors_writer_destroy(safetensors_writer **w) {
    if (!w || !*w)
        return;
    atomic_file_destroy(&(*w)->file);
    json_decref((*w)->header);
    free((*w)->path);
    free(*w);
    *w = NULL;
}

static igvk_status fail_order(const safetensors_writer *w, const char *what) {
    return fail(IGVK_ERROR_INTERNAL, "%s: %s", w->path, what);
}

static igvk_status check_declaration(const safetensors_writer *w, const char *name, uint32_t rank) {
    if (w->writing)
        return fail_order(w, "a tensor was declared after the data began");
    if (rank > SAFETENSORS_MAX_RANK || w->tensors == SAFETENSORS_MAX_TENSORS)
        return fail_order(w, "more than 8 dimensions or 65536 tensors cannot be written");
    if (json_object_get(w->header, name) || strcmp(name, "__metadata__") == 0)
        return fail(IGVK_ERROR_INVALID, "%s: two tensors of the name \"%.200s\" cannot be written", w->path, name);
    return IGVK_OK;
}

static bool append_number(json_t *list, uint64_t value) {
    return value <= INT64_MAX && json_array_append_new(list, json_integer((json_int_t)value)) == 0;
}

igvk_status safetensors_declare(safetensors_writer *w, const char *name, element_type type, uint32_t rank,
                                const uint64_t *shape) {
    uint64_t bytes = element_size(type), end = 0;
    igvk_status status = check_declaration(w, name, rank);
    if (status != IGVK_OK)
        return status;
    json_t *dimensions = json_array(), *offsets = json_array();
    bool fits = true, good = dimensions && offsets;
    for (uint32_t i = 0; good && i < rank; i++) {
        fits = fits && multiply_u64(bytes, shape[i], &bytes);
        good = append_number(dimensions, shape[i]);
    }
    fits = fits && add_u64(w->bytes, bytes, &end) && end <= INT64_MAX;
    good = good && fits && append_number(offsets, w->bytes) && append_number(offsets, end);
    // "o" takes both lists over, also where it fails; a name that is not UTF-8 is refused by json_object_set_new.
    json_t *entry =
        json_pack("{s:s, s:o, s:o}", "dtype", element_name(type), "shape", dimensions, "data_offsets", offsets);
    if (!good || !entry) {
        json_decref(entry);
        return fail(IGVK_ERROR_INVALID, "%s: tensor \"%.200s\" is too large", w->path, name);
    }
    if (json_object_set_new(w->header, name, entry) != 0)
        return fail(IGVK_ERROR_INVALID, "%s: the tensor name \"%.200s\" is not UTF-8", w->path, name);
    w->tensors++;
    w->bytes = end;
    return IGVK_OK;
}

igvk_status safetensors_set_metadata(safetensors_writer *w, const char *key, const char *value) {
    if (w->writing)
        return fail_order(w, "metadata was set after the data began");
    if (!w->metadata) {
        w->metadata = json_object();
        if (json_object_set_new(w->header, "__metadata__", w->metadata) != 0) {
            w->metadata = NULL;
            return fail_memory(w->path, 0);
        }
    }
    if (json_object_set_new(w->metadata, key, json_string(value)) != 0)
        return fail(IGVK_ERROR_INVALID, "%s: the metadata \"%.100s\" is not UTF-8", w->path, key);
    return IGVK_OK;
}

// The header's JSON without padding; its size with: the data begins at a multiple of 8 bytes.
static char *header_text(const safetensors_writer *w, size_t *size, size_t *padded) {
    char *text = json_dumps(w->header, JSON_COMPACT);
    *size = text ? strlen(text) : 0;
    *padded = (size_t)align_up(*size, 8);
    return text;
}

uint64_t safetensors_file_size(const safetensors_writer *w) {
    size_t size, padded;
    free(header_text(w, &size, &padded));
    return 8 + padded + w->bytes;
}

igvk_status safetensors_begin_data(safetensors_writer *w) {
    igvk_status status = IGVK_OK;
    size_t size, padded;
    unsigned char prefix[8];
    char *text = header_text(w, &size, &padded);
    if (!text)
        TRY(fail_memory(w->path, 0));
    if (w->writing)
        TRY(fail_order(w, "the data began twice"));
    if (padded > SAFETENSORS_MAX_HEADER)
        THROW(IGVK_ERROR_INVALID, "%s: its header would be larger than 32 MiB", w->path);
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    TRY(atomic_file_write(w->file, prefix, sizeof prefix));
    TRY(atomic_file_write(w->file, text, size));
    TRY(atomic_file_write(w->file, "       ", padded - size));
    w->writing = true;
done:
    free(text);
    return status;
}

igvk_status safetensors_write(safetensors_writer *w, const void *bytes, uint64_t size) {
    if (!w->writing || size > w->bytes - w->written)
        return fail_order(w, "more bytes were given than declared");
    w->written += size;
    return atomic_file_write(w->file, bytes, size);
}

igvk_status safetensors_finish(safetensors_writer *w) {
    if (!w->writing || w->written != w->bytes)
        return fail_order(w, "fewer bytes were given than declared");
    return atomic_file_commit(w->file);
}
