// SPDX-License-Identifier: MIT
// Files of torch.save put together by hand, good and bad.
#ifndef TESTS_FORMATS_HELPERS_TORCH_H
#define TESTS_FORMATS_HELPERS_TORCH_H

#include "core/text.h"

// Instructions of the pickle machine.
void put_code(text_buffer *b, const char *bytes, size_t size);
#define PUT(b, literal) put_code(b, literal, sizeof(literal) - 1)
void put_text(text_buffer *b, const char *text);
void put_integer(text_buffer *b, int64_t value);
void put_global(text_buffer *b, const char *module, const char *name);

typedef struct tensor_spec {
    const char *storage; // "FloatStorage"
    const char *key;
    int64_t numbers; // elements of the storage, as told
    int64_t offset;
    int rank;
    int64_t shape[9], stride[9];
} tensor_spec;
void put_tensor(text_buffer *b, const tensor_spec *t);

// PROTO 2, `body`, STOP as the data.pkl of a zip file with `size` bytes of storage "0". Frees `body`.
void write_torch(const char *path, text_buffer *body, const void *storage, size_t size);
// The same in the older format; `key` is the storage's, listed with `numbers` elements.
void write_legacy(const char *path, text_buffer *body, const char *key, int64_t numbers, const void *storage,
                  size_t size);

#endif
