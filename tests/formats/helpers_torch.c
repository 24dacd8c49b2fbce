// SPDX-License-Identifier: MIT
#include "formats/helpers_torch.h"
#include "formats/helpers.h"
#include "formats/zip.h"

#include <stdlib.h>
#include <string.h>

void put_code(text_buffer *b, const char *bytes, size_t size) {
    text_append_bytes(b, bytes, size);
}

static void put_little(text_buffer *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        char byte = (char)(value >> (8 * i));
        text_append_bytes(b, &byte, 1);
    }
}

void put_text(text_buffer *b, const char *text) {
    PUT(b, "X");
    put_little(b, strlen(text), 4);
    text_append_bytes(b, text, strlen(text));
}

void put_integer(text_buffer *b, int64_t value) {
    PUT(b, "\x8a\x08");
    put_little(b, (uint64_t)value, 8);
}

void put_global(text_buffer *b, const char *module, const char *name) {
    text_append(b, "c%s\n%s\n", module, name);
}

static void put_tuple(text_buffer *b, const int64_t *values, int count) {
    PUT(b, "(");
    for (int i = 0; i < count; i++)
        put_integer(b, values[i]);
    PUT(b, "t");
}

void put_tensor(text_buffer *b, const tensor_spec *t) {
    put_global(b, "torch._utils", "_rebuild_tensor_v2");
    PUT(b, "((");
    put_text(b, "storage");
    put_global(b, "torch", t->storage);
    put_text(b, t->key);
    put_text(b, "cuda:0");
    put_integer(b, t->numbers);
    PUT(b, "tQ");
    put_integer(b, t->offset);
    put_tuple(b, t->shape, t->rank);
    put_tuple(b, t->stride, t->rank);
    PUT(b, "\x89");
    put_global(b, "collections", "OrderedDict");
    PUT(b, ")RtR");
}

static void write_member(zip_writer *w, const char *name, const void *bytes, size_t size) {
    assert_ok(zip_begin(w, name, size));
    assert_ok(zip_write(w, bytes, size));
}

void write_torch(const char *path, text_buffer *body, const void *storage, size_t size) {
    zip_writer *w = NULL;
    text_buffer whole = {0};
    PUT(&whole, "\x80\x02");
    text_append_bytes(&whole, body->text, body->length);
    PUT(&whole, ".");
    assert_ok(zip_writer_create(path, &w));
    write_member(w, "archive/data.pkl", whole.text, whole.length);
    write_member(w, "archive/data/0", storage, size);
    write_member(w, "archive/version", "3\n", 2);
    assert_ok(zip_finish(w));
    zip_writer_destroy(&w);
    text_free(&whole);
    text_free(body);
}

void write_legacy(const char *path, text_buffer *body, const char *key, int64_t numbers, const void *storage,
                  size_t size) {
    text_buffer whole = {0};
    PUT(&whole, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."); // magic number
    PUT(&whole, "\x80\x02M\xe9\x03.");                                     // protocol 1001
    PUT(&whole, "\x80\x02}");
    put_text(&whole, "little_endian");
    PUT(&whole, "\x88s.\x80\x02");
    text_append_bytes(&whole, body->text, body->length);
    PUT(&whole, ".\x80\x02]");
    put_text(&whole, key);
    PUT(&whole, "a.");
    put_little(&whole, (uint64_t)numbers, 8);
    text_append_bytes(&whole, storage, size);
    write_bytes(path, whole.text, whole.length);
    text_free(&whole);
    text_free(body);
}
