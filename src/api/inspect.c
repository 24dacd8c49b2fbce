// SPDX-License-Identifier: MIT
// igvk_inspect: what lies in a file of weights, whoever wrote it. All of it is checked before the first row.
#include "core/text.h"
#include "formats/torch_file.h"
#include "igvk/igvk_experimental.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_ELEMENTS 8 // tensors of at most so many are shown whole
#define SHOWN_TEXT 200   // bytes

typedef struct inspector {
    void (*row)(void *user, const igvk_inspect_row *r);
    void *user;
    igvk_inspect_result *result;
    torch_file *torch; // one of the two
    safetensors_file *safetensors;
} inspector;

// ---- values as text ---------------------------------------------------------------------------------------

// What a hostile file could do to a terminal is replaced: control characters, U+0080 to U+009F among them.
static void append_visible(text_buffer *b, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i], before = i ? (unsigned char)text[i - 1] : 0;
        bool bad = c < 0x20 || c == 0x7f || (before == 0xc2 && c < 0xa0);
        text_append_bytes(b, bad ? "?" : text + i, 1);
    }
}

// The shortest text that reads back the same.
static void append_number(text_buffer *b, double number) {
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    text_append(b, "%s", text);
}

static void append_element(text_buffer *b, element_type type, const unsigned char *bytes) {
    int64_t integer = 0;
    float single = 0;
    double number = 0;
    size_t size = element_size(type);
    if (type == ELEMENT_F64) {
        memcpy(&number, bytes, size);
        append_number(b, number);
    } else if (type == ELEMENT_F32) {
        memcpy(&single, bytes, size);
        text_append(b, "%.9g", (double)single);
    } else if (type <= ELEMENT_BF16) {
        elements_to_f32(type, bytes, 1, &single);
        text_append(b, "%.9g", (double)single);
    } else if (type == ELEMENT_BOOL) {
        text_append(b, "%s", bytes[0] ? "true" : "false");
    } else {
        bool negative = type <= ELEMENT_I8 && bytes[size - 1] & 0x80;
        integer = negative ? -1 : 0;
        memcpy(&integer, bytes, size);
        type == ELEMENT_U64 ? text_append(b, "%" PRIu64, (uint64_t)integer) : text_append(b, "%" PRId64, integer);
    }
}

static void append_value(text_buffer *b, const pickle_value *v) {
    switch (v->kind) {
    case PICKLE_NONE:
        text_append(b, "none");
        break;
    case PICKLE_BOOL:
        text_append(b, "%s", v->truth ? "true" : "false");
        break;
    case PICKLE_INTEGER:
        text_append(b, "%" PRId64, v->integer);
        break;
    case PICKLE_NUMBER:
        append_number(b, v->number);
        break;
    case PICKLE_TEXT:
        text_append(b, "\"");
        append_visible(b, v->text.bytes, v->text.length < SHOWN_TEXT ? v->text.length : SHOWN_TEXT);
        text_append(b, v->text.length > SHOWN_TEXT ? "...\"" : "\"");
        break;
    case PICKLE_LIST:
    case PICKLE_TUPLE:
        text_append(b, "[");
        for (size_t i = 0; i < v->list.count && i < SHOWN_ELEMENTS; i++) {
            text_append(b, "%s", i ? ", " : "");
            append_value(b, v->list.items[i]);
        }
        text_append(b, v->list.count > SHOWN_ELEMENTS ? ", ... %zu in all]" : "]", v->list.count);
        break;
    case PICKLE_DICT:
    case PICKLE_NAMESPACE:
        text_append(b, "{}"); // others are no leaves
        break;
    default:
        text_append(b, "%zu bytes", v->text.length);
    }
}

static const char *kind_name(const pickle_value *v) {
    static const char *const names[] = {
        [PICKLE_NONE] = "none",           [PICKLE_BOOL] = "bool",      [PICKLE_INTEGER] = "integer",
        [PICKLE_BIG_INTEGER] = "integer", [PICKLE_NUMBER] = "number",  [PICKLE_TEXT] = "text",
        [PICKLE_BYTES] = "bytes",         [PICKLE_LIST] = "list",      [PICKLE_TUPLE] = "list",
        [PICKLE_DICT] = "dict",           [PICKLE_NAMESPACE] = "dict", [PICKLE_STORAGE] = "storage",
    };
    return names[v->kind];
}

// ---- rows -------------------------------------------------------------------------------------------------

static igvk_status give_row(const inspector *s, const char *name, const char *type, const uint64_t *shape,
                            uint32_t rank, text_buffer *value) {
    text_buffer visible = {0}, sizes = {0};
    append_visible(&visible, name, strlen(name));
    text_append(&sizes, "[");
    for (uint32_t i = 0; i < rank; i++)
        text_append(&sizes, "%s%" PRIu64, i ? ", " : "", shape[i]);
    text_append(&sizes, "]");
    igvk_status status = visible.failed || sizes.failed || value->failed ? fail_memory("a row", 0) : IGVK_OK;
    igvk_inspect_row r = {.name = visible.text ? visible.text : "",
                          .type = type,
                          .shape = shape ? sizes.text : NULL,
                          .value = value->text};
    if (status == IGVK_OK && s->row)
        s->row(s->user, &r);
    text_free(&visible);
    text_free(&sizes);
    return status;
}

static igvk_status give_tensor(inspector *s, const char *name, element_type type, const uint64_t *shape, uint32_t rank,
                               uint64_t elements, const pickle_tensor *t, const safetensors_entry *e) {
    igvk_status status = IGVK_OK;
    unsigned char bytes[SHOWN_ELEMENTS * 8];
    text_buffer value = {0};
    s->result->tensors++;
    s->result->bytes += elements * element_size(type);
    if (elements > 0 && elements <= SHOWN_ELEMENTS) {
        TRY(t ? torch_file_read(s->torch, t, 0, elements, bytes)
              : safetensors_read(s->safetensors, e, 0, e->bytes, bytes));
        for (uint64_t i = 0; i < elements; i++) {
            text_append(&value, "%s", i ? " " : "");
            append_element(&value, type, bytes + i * element_size(type));
        }
    }
    TRY(give_row(s, name, element_name(type), shape, rank, &value));
done:
    text_free(&value);
    return status;
}

static igvk_status give_leaf(void *user, const char *path, const pickle_value *v) {
    inspector *s = user;
    if (v->kind == PICKLE_TENSOR)
        return give_tensor(s, path, v->tensor->storage->type, v->tensor->shape, v->tensor->rank, v->tensor->elements,
                           v->tensor, NULL);
    text_buffer value = {0};
    s->result->values++;
    if (v->kind == PICKLE_STORAGE)
        text_append(&value, "%" PRIu64 " elements of %s", v->storage->elements, element_name(v->storage->type));
    else
        append_value(&value, v);
    igvk_status status = give_row(s, path, kind_name(v), NULL, 0, &value);
    text_free(&value);
    return status;
}

static void give_metadata(void *user, const char *key, const char *text) {
    inspector *s = user;
    text_buffer value = {0}, name = {0};
    s->result->values++;
    text_append(&name, "__metadata__/%s", key);
    append_visible(&value, text, strlen(text));
    if (!name.failed)
        (void)give_row(s, name.text, "text", NULL, 0, &value);
    text_free(&name);
    text_free(&value);
}

// ---- the file ---------------------------------------------------------------------------------------------

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static igvk_status inspect_torch(inspector *s, const char *path) {
    igvk_status status = torch_file_open(path, &s->torch);
    if (status != IGVK_OK)
        return status;
    s->result->format = torch_file_is_zip(s->torch) ? "PyTorch checkpoint (zip)" : "PyTorch checkpoint (before 1.6)";
    return torch_file_walk(s->torch, give_leaf, s);
}

static igvk_status inspect_safetensors(inspector *s, const char *path) {
    igvk_status status = safetensors_open(path, &s->safetensors);
    s->result->format = "safetensors";
    if (status == IGVK_OK)
        safetensors_each_metadata(s->safetensors, give_metadata, s);
    for (size_t i = 0; status == IGVK_OK && i < safetensors_count(s->safetensors); i++) {
        const safetensors_entry *e = safetensors_at(s->safetensors, i);
        status = give_tensor(s, e->name, e->type, e->shape, e->rank, e->elements, NULL, e);
    }
    return status;
}

igvk_status igvk_inspect(const char *path, void (*row)(void *user, const igvk_inspect_row *r), void *user,
                         igvk_inspect_result *result) {
    igvk_inspect_result ignored;
    inspector s = {.row = row, .user = user, .result = result ? result : &ignored};
    memset(s.result, 0, sizeof *s.result);
    // By content where the name does not say: a safetensors file may begin with any byte.
    bool torch = !ends_with(path, ".safetensors") && (torch_file_recognise(path) || ends_with(path, ".pt") ||
                                                      ends_with(path, ".pth") || ends_with(path, ".ckpt"));
    igvk_status status = torch ? inspect_torch(&s, path) : inspect_safetensors(&s, path);
    torch_file_close(&s.torch);
    safetensors_close(&s.safetensors);
    return status;
}
