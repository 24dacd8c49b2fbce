// SPDX-License-Identifier: MIT
#include "formats/npy.h"

#include "core/file.h"
#include "core/input_file.h"
#include "core/memory.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 10
#define HEADER_MOST 4096 // the dictionary of an array of numbers is a line
#define SIDE_MOST (UINT64_C(1) << 32)

typedef struct npy_file {
    input_file *file;
    npy_array array;
    uint64_t data; // where it begins
} npy_file;

static igvk_status not_npy(const npy_file *f, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: is no .npy array that igvk reads: %s", input_file_path(f->file), what);
}

// The text after "'key':" of the header's dictionary, blanks left out; null where the key is not there.
static const char *value_of(const char *header, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(header, quoted);
    if (at)
        for (at += strlen(quoted); *at == ' ';)
            at++;
    return at;
}

static igvk_status parse_type(npy_file *f, const char *header) {
    static const struct {
        const char *word;
        element_type type;
    } types[] = {{"'<f2'", ELEMENT_F16}, {"'<f4'", ELEMENT_F32}, {"'<f8'", ELEMENT_F64}};
    const char *value = value_of(header, "descr");
    for (size_t i = 0; value && i < sizeof types / sizeof *types; i++)
        if (strncmp(value, types[i].word, strlen(types[i].word)) == 0) {
            f->array.type = types[i].type;
            return IGVK_OK;
        }
    return not_npy(f, "its elements must be little-endian floats of 16, 32 or 64 bits");
}

// "(8, 32, 32)" or "(8,)".
static igvk_status parse_shape(npy_file *f, const char *header) {
    const char *at = value_of(header, "shape");
    if (!at || *at++ != '(')
        return not_npy(f, "its header has no shape");
    while (*at != ')') {
        char *end = NULL;
        if (*at < '0' || *at > '9' || f->array.rank == NPY_READ_RANK)
            return not_npy(f, "its shape is odd or has more than four dimensions");
        const unsigned long long side = strtoull(at, &end, 10);
        if (side == 0 || side > SIDE_MOST)
            return not_npy(f, "a dimension is zero or above 2^32");
        f->array.shape[f->array.rank++] = side;
        for (at = end; *at == ' ' || *at == ',';)
            at++;
    }
    return IGVK_OK;
}

static igvk_status check_size(const npy_file *f) {
    uint64_t bytes = element_size(f->array.type);
    for (uint32_t k = 0; k < f->array.rank; k++)
        if (!multiply_u64(bytes, f->array.shape[k], &bytes))
            return not_npy(f, "it is larger than any file");
    if (bytes != input_file_size(f->file) - f->data)
        return fail(IGVK_ERROR_INVALID, "%s: holds %llu bytes of data, its header tells %llu: cut off or damaged",
                    input_file_path(f->file), (unsigned long long)(input_file_size(f->file) - f->data),
                    (unsigned long long)bytes);
    return IGVK_OK;
}

static igvk_status open_npy(const char *path, npy_file *f) {
    igvk_status status = IGVK_OK;
    unsigned char prefix[PREFIX_BYTES + 2] = {0};
    char header[HEADER_MOST + 1];
    TRY(input_file_open(path, &f->file));
    if (input_file_size(f->file) < sizeof prefix)
        TRY(not_npy(f, "it is too short"));
    TRY(input_file_read(f->file, 0, sizeof prefix, prefix));
    if (memcmp(prefix, "\x93NUMPY", 6) != 0 || prefix[6] < 1 || prefix[6] > 3)
        TRY(not_npy(f, "it does not begin as one"));
    const bool wide = prefix[6] > 1; // the length is of four bytes
    uint64_t length = prefix[8] | prefix[9] << 8;
    if (wide)
        length |= (uint64_t)prefix[10] << 16 | (uint64_t)prefix[11] << 24;
    f->data = PREFIX_BYTES + (wide ? 2 : 0) + length;
    if (length > HEADER_MOST || f->data > input_file_size(f->file))
        TRY(not_npy(f, "its header is cut off or longer than 4096 bytes"));
    TRY(input_file_read(f->file, f->data - length, length, header));
    header[length] = 0;
    TRY(parse_type(f, header));
    const char *order = value_of(header, "fortran_order");
    if (!order || strncmp(order, "False", 5) != 0)
        TRY(not_npy(f, "it must be in C order"));
    TRY(parse_shape(f, header));
    TRY(check_size(f));
done:
    return status;
}

igvk_status npy_describe(const char *path, npy_array *out) {
    npy_file f = {0};
    igvk_status status = open_npy(path, &f);
    if (status == IGVK_OK)
        *out = f.array;
    input_file_close(&f.file);
    return status;
}

igvk_status npy_read_f32(const char *path, const npy_array *wanted, float *out) {
    igvk_status status = IGVK_OK;
    npy_file f = {0};
    unsigned char *bytes = NULL;
    uint64_t count = 1;
    TRY(open_npy(path, &f));
    if (f.array.rank != wanted->rank || memcmp(f.array.shape, wanted->shape, wanted->rank * sizeof *wanted->shape) != 0)
        THROW(IGVK_ERROR_INVALID, "%s: is of another shape than the first array of its folder", path);
    for (uint32_t k = 0; k < f.array.rank; k++)
        count *= f.array.shape[k];
    if (f.array.type == ELEMENT_F32) {
        TRY(input_file_read(f.file, f.data, count * sizeof *out, out));
        goto done;
    }
    bytes = malloc(count * element_size(f.array.type));
    if (!bytes)
        TRY(fail_memory(path, count * element_size(f.array.type)));
    TRY(input_file_read(f.file, f.data, count * element_size(f.array.type), bytes));
    elements_to_f32(f.array.type, bytes, count, out);
done:
    free(bytes);
    input_file_close(&f.file);
    return status;
}

igvk_status npy_write_f32(const char *path, uint32_t rank, const uint64_t *shape, const float *values) {
    igvk_status status = IGVK_OK;
    text_buffer header = {0};
    atomic_file *file = NULL;
    uint64_t count = 1;
    for (uint32_t k = 0; k < rank; k++)
        count *= shape[k];
    npy_put_header(&header, "<f4", rank, shape);
    if (header.failed)
        TRY(fail_memory(path, header.length));
    TRY(atomic_file_create(path, &file));
    TRY(atomic_file_write(file, header.text, header.length));
    TRY(atomic_file_write(file, values, count * sizeof *values));
    TRY(atomic_file_commit(file));
done:
    atomic_file_destroy(&file);
    text_free(&header);
    return status;
}

void npy_put_header(text_buffer *b, const char *type, uint32_t rank, const uint64_t *shape) {
    text_buffer dictionary = {0};
    text_append(&dictionary, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (uint32_t i = 0; i < rank; i++)
        text_append(&dictionary, i + 1 < rank ? "%llu, " : rank == 1 ? "%llu," : "%llu", (unsigned long long)shape[i]);
    text_append(&dictionary, "), }");
    size_t total = (size_t)align_up(PREFIX_BYTES + dictionary.length + 1, 64);
    text_append_bytes(b, "\x93NUMPY\x01\x00", 8);
    unsigned char length[2] = {(unsigned char)(total - PREFIX_BYTES), (unsigned char)((total - PREFIX_BYTES) >> 8)};
    text_append_bytes(b, length, sizeof length);
    text_append(b, "%s%*s\n", dictionary.text ? dictionary.text : "",
                (int)(total - PREFIX_BYTES - dictionary.length - 1), "");
    b->failed = b->failed || dictionary.failed;
    text_free(&dictionary);
}
