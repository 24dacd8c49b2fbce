// SPDX-License-Identifier: MIT
// The pickle's instructions are those that torch.save itself writes at protocol 2 (torch/_utils.py,
// _rebuild_tensor_v2; torch/serialization.py, _save).
#define _POSIX_C_SOURCE 200809L
#include "formats/torch_write.h"
#include "core/memory.h"
#include "core/text.h"
#include "formats/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct declared {
    element_type type;
    uint32_t rank;
    uint64_t shape[SAFETENSORS_MAX_RANK];
    uint64_t elements;
} declared;

struct torch_writer {
    zip_writer *zip;
    text_buffer pickle;
    declared *tensors; // each its own storage, whose key is its place here
    size_t count, capacity;
    size_t begun;     // storages whose member has begun
    uint64_t missing; // bytes of the newest of them still to come
    bool in_set;
};

// ---- the pickle -------------------------------------------------------------------------------------------

static void put_bytes(text_buffer *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(value >> (8 * i));
        text_append_bytes(b, &byte, 1);
    }
}

static void put_text(text_buffer *b, const char *text) {
    text_append(b, "X");
    put_bytes(b, strlen(text), 4);
    text_append_bytes(b, text, strlen(text));
}

static void put_integer(text_buffer *b, uint64_t value) {
    if (value <= INT32_MAX) {
        text_append(b, "J");
        put_bytes(b, value, 4);
    } else { // LONG1 of 8 bytes
        text_append(b, "\x8a\x08");
        put_bytes(b, value, 8);
    }
}

static const char *storage_name(element_type type) {
    switch (type) {
    case ELEMENT_F64:
        return "DoubleStorage";
    case ELEMENT_F16:
        return "HalfStorage";
    case ELEMENT_BF16:
        return "BFloat16Storage";
    default:
        return "FloatStorage";
    }
}

static void put_sizes(text_buffer *b, const declared *t, bool strides) {
    uint64_t stride = t->elements;
    text_append(b, "(");
    for (uint32_t i = 0; i < t->rank; i++) {
        stride = t->shape[i] ? stride / t->shape[i] : 1;
        put_integer(b, strides ? stride : t->shape[i]);
    }
    text_append(b, "t");
}

static void put_tensor(text_buffer *b, const declared *t, size_t key) {
    char text[24];
    snprintf(text, sizeof text, "%zu", key);
    text_append(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(b, "storage");
    text_append(b, "ctorch\n%s\n", storage_name(t->type));
    put_text(b, text);
    put_text(b, "cpu");
    put_integer(b, t->elements);
    text_append(b, "tQ");
    put_integer(b, 0);
    put_sizes(b, t, false);
    put_sizes(b, t, true);
    text_append(b, "\x89" // requires no gradient
                   "ccollections\nOrderedDict\n)RtR");
}

// ---- declaring --------------------------------------------------------------------------------------------

igvk_status torch_writer_create(const char *path, torch_writer **out) {
    igvk_status status = IGVK_OK;
    torch_writer *w = calloc(1, sizeof *w);
    if (!w)
        TRY(fail_memory(path, sizeof *w));
    TRY(zip_writer_create(path, &w->zip));
    text_append(&w->pickle, "\x80\x02}"); // protocol 2, the root
    *out = w;
    w = NULL;
done:
    torch_writer_destroy(&w);
    return status;
}

void torch_writer_destroy(torch_writer **w) {
    if (!w || !*w)
        return;
    zip_writer_destroy(&(*w)->zip);
    text_free(&(*w)->pickle);
    free((*w)->tensors);
    free(*w);
    *w = NULL;
}

static igvk_status pickle_status(const torch_writer *w) {
    return w->pickle.failed ? fail_memory("a checkpoint's list of tensors", 0) : IGVK_OK;
}

// SETITEMS for what the set holds, SETITEM for the set in the root.
static void end_set(torch_writer *w) {
    if (w->in_set)
        text_append(&w->pickle, "us");
    w->in_set = false;
}

igvk_status torch_begin_set(torch_writer *w, const char *name) {
    end_set(w);
    put_text(&w->pickle, name);
    text_append(&w->pickle, "ccollections\nOrderedDict\n)R(");
    w->in_set = true;
    return pickle_status(w);
}

igvk_status torch_declare(torch_writer *w, const char *name, element_type type, uint32_t rank, const uint64_t *shape) {
    declared t = {.type = type, .rank = rank, .elements = 1};
    uint64_t bytes = 0;
    if (rank > SAFETENSORS_MAX_RANK || type > ELEMENT_BF16)
        return fail(IGVK_ERROR_INTERNAL, "tensor \"%.200s\" cannot be declared so", name);
    for (uint32_t i = 0; i < rank; i++) {
        t.shape[i] = shape[i];
        if (!multiply_u64(t.elements, shape[i], &t.elements))
            return fail(IGVK_ERROR_INVALID, "tensor \"%.200s\" is too large", name);
    }
    if (!multiply_u64(t.elements, element_size(type), &bytes) || bytes > INT64_MAX)
        return fail(IGVK_ERROR_INVALID, "tensor \"%.200s\" is too large", name);
    if (!ARRAY_RESERVE(w->tensors, w->capacity, w->count + 1))
        return fail_memory("a checkpoint's list of tensors", w->count * sizeof t);
    w->tensors[w->count] = t;
    return torch_declare_again(w, name, w->count++);
}

igvk_status torch_declare_again(torch_writer *w, const char *name, size_t number) {
    put_text(&w->pickle, name);
    put_tensor(&w->pickle, &w->tensors[number], number);
    if (!w->in_set)
        text_append(&w->pickle, "s"); // into the root
    return pickle_status(w);
}

igvk_status torch_declare_text(torch_writer *w, const char *name, const char *text) {
    put_text(&w->pickle, name);
    put_text(&w->pickle, text);
    if (!w->in_set)
        text_append(&w->pickle, "s");
    return pickle_status(w);
}

// ---- data -------------------------------------------------------------------------------------------------

static igvk_status write_member(torch_writer *w, const char *name, const void *bytes, size_t size) {
    igvk_status status = zip_begin(w->zip, name, size);
    return status == IGVK_OK ? zip_write(w->zip, bytes, size) : status;
}

igvk_status torch_begin_data(torch_writer *w) {
    end_set(w);
    text_append(&w->pickle, ".");
    igvk_status status = pickle_status(w);
    if (status == IGVK_OK)
        status = write_member(w, "archive/data.pkl", w->pickle.text, w->pickle.length);
    return status == IGVK_OK ? write_member(w, "archive/byteorder", "little", 6) : status;
}

// Begins members up to the next that takes bytes.
static igvk_status next_storage(torch_writer *w) {
    while (w->missing == 0 && w->begun < w->count) {
        const declared *t = &w->tensors[w->begun];
        char name[48];
        snprintf(name, sizeof name, "archive/data/%zu", w->begun++);
        w->missing = t->elements * element_size(t->type);
        igvk_status status = zip_begin(w->zip, name, w->missing);
        if (status != IGVK_OK)
            return status;
    }
    return IGVK_OK;
}

igvk_status torch_write(torch_writer *w, const void *bytes, uint64_t size) {
    igvk_status status = next_storage(w);
    if (status != IGVK_OK || size == 0)
        return status;
    if (size > w->missing)
        return fail(IGVK_ERROR_INTERNAL, "more bytes were given than the tensor has");
    w->missing -= size;
    return zip_write(w->zip, bytes, size);
}

igvk_status torch_finish(torch_writer *w) {
    igvk_status status = next_storage(w); // empty ones at the end
    if (status == IGVK_OK && (w->missing || w->begun < w->count))
        return fail(IGVK_ERROR_INTERNAL, "fewer bytes were given than declared");
    if (status == IGVK_OK)
        status = write_member(w, "archive/version", "3\n", 2);
    return status == IGVK_OK ? zip_finish(w->zip) : status;
}
