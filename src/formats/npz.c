// SPDX-License-Identifier: MIT
// The zip container by PKWARE's APPNOTE.TXT 6.3 (sections 4.3.7, 4.3.12 to 4.3.16, 4.5.3), and the .npy header by
// numpy's NEP 1, version 1.0.
#define _POSIX_C_SOURCE 200809L
#include "formats/npz.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define NPY_MAX_RANK 32
#define ZIP64_VERSION 45         // needed to extract
#define ZIP_DATE 0x21            // 1 January 1980: the same arrays give the same file
#define ZIP_IN_ZIP64 0xffffffffu // the true value is in the zip64 record
#define ZIP_CRC_OFFSET 14        // within a local header

typedef struct member {
    char *name; // with ".npy"
    uint64_t offset, size;
    uint32_t crc;
} member;

struct npz_writer {
    char *path;
    atomic_file *file;
    member *members;
    size_t count, capacity;
    uint64_t missing; // bytes of the newest array still to come
};

static void put(text_buffer *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(value >> (8 * i));
        text_append_bytes(b, &byte, 1);
    }
}

// Writes what was put together and empties the buffer.
static igvk_status write_out(npz_writer *w, text_buffer *b) {
    igvk_status status = b->failed ? fail_memory(w->path, 0) : atomic_file_write(w->file, b->text, b->length);
    text_free(b);
    return status;
}

igvk_status npz_create(const char *path, npz_writer **out) {
    igvk_status status = IGVK_OK;
    npz_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path)))
        TRY(fail_memory(path, sizeof *w));
    TRY(atomic_file_create(path, &w->file));
    *out = w;
    w = NULL;
done:
    npz_destroy(&w);
    return status;
}

void npz_destroy(npz_writer **w) {
    if (!w || !*w)
        return;
    for (size_t i = 0; i < (*w)->count; i++)
        free((*w)->members[i].name);
    free((*w)->members);
    atomic_file_destroy(&(*w)->file);
    free((*w)->path);
    free(*w);
    *w = NULL;
}

// ---- one array --------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    size_t size;
} npy_types[] = {[NPY_U8] = {"|u1", 1}, [NPY_F32] = {"<f4", 4}, [NPY_I64] = {"<i8", 8}};

// Magic, version, length, then a Python dictionary padded so that the data begins at a multiple of 64.
static void put_npy_header(text_buffer *b, npy_type type, uint32_t rank, const uint64_t *shape) {
    text_buffer dictionary = {0};
    text_append(&dictionary, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_types[type].name);
    for (uint32_t i = 0; i < rank; i++)
        text_append(&dictionary, i + 1 < rank ? "%llu, " : rank == 1 ? "%llu," : "%llu", (unsigned long long)shape[i]);
    text_append(&dictionary, "), }");
    const size_t prefix = 10;
    size_t total = (size_t)align_up(prefix + dictionary.length + 1, 64);
    text_append_bytes(b, "\x93NUMPY\x01\x00", 8);
    put(b, total - prefix, 2);
    text_append(b, "%s%*s\n", dictionary.text ? dictionary.text : "", (int)(total - prefix - dictionary.length - 1),
                "");
    b->failed = b->failed || dictionary.failed;
    text_free(&dictionary);
}

static void put_local_header(text_buffer *b, const member *m) {
    put(b, 0x04034b50, 4);
    put(b, ZIP64_VERSION, 2);
    put(b, 0, 2); // flags
    put(b, 0, 2); // stored
    put(b, 0, 2); // time
    put(b, ZIP_DATE, 2);
    put(b, 0, 4); // the checksum: patched once known
    put(b, ZIP_IN_ZIP64, 4);
    put(b, ZIP_IN_ZIP64, 4);
    put(b, strlen(m->name), 2);
    put(b, 20, 2); // extra field
    text_append_bytes(b, m->name, strlen(m->name));
    put(b, 1, 2); // zip64
    put(b, 16, 2);
    put(b, m->size, 8);
    put(b, m->size, 8);
}

static igvk_status finish_array(npz_writer *w) {
    if (w->missing)
        return fail(IGVK_ERROR_INTERNAL, "%s: fewer bytes were given than its array has", w->path);
    if (w->count == 0)
        return IGVK_OK;
    const member *m = &w->members[w->count - 1];
    unsigned char crc[4] = {(unsigned char)m->crc, (unsigned char)(m->crc >> 8), (unsigned char)(m->crc >> 16),
                            (unsigned char)(m->crc >> 24)};
    return atomic_file_patch(w->file, m->offset + ZIP_CRC_OFFSET, crc, sizeof crc);
}

static igvk_status add_member(npz_writer *w, const char *name) {
    size_t size = strlen(name) + sizeof ".npy";
    char *full = malloc(size);
    if (!full || !ARRAY_RESERVE(w->members, w->capacity, w->count + 1)) {
        free(full);
        return fail_memory(w->path, size);
    }
    memcpy(full, name, strlen(name));
    memcpy(full + strlen(name), ".npy", sizeof ".npy");
    w->members[w->count++] = (member){.name = full, .offset = atomic_file_position(w->file)};
    return IGVK_OK;
}

igvk_status npz_begin(npz_writer *w, const char *name, npy_type type, uint32_t rank, const uint64_t *shape) {
    igvk_status status = IGVK_OK;
    text_buffer header = {0}, npy = {0};
    uint64_t bytes = npy_types[type].size;
    if (rank > NPY_MAX_RANK || strlen(name) > 1000)
        THROW(IGVK_ERROR_INTERNAL, "%s: an array of more than 32 dimensions or with an endless name", w->path);
    for (uint32_t i = 0; i < rank; i++)
        if (!multiply_u64(bytes, shape[i], &bytes) || bytes > INT64_MAX)
            THROW(IGVK_ERROR_INVALID, "%s: array \"%s\" is too large", w->path, name);
    TRY(finish_array(w));
    TRY(add_member(w, name));
    member *m = &w->members[w->count - 1];
    put_npy_header(&npy, type, rank, shape);
    m->size = npy.length + bytes;
    put_local_header(&header, m);
    w->missing = m->size;
    TRY(write_out(w, &header));
    if (npy.failed)
        TRY(fail_memory(w->path, 0));
    TRY(npz_write(w, npy.text, npy.length));
done:
    text_free(&header);
    text_free(&npy);
    return status;
}

igvk_status npz_write(npz_writer *w, const void *bytes, uint64_t size) {
    if (size > w->missing)
        return fail(IGVK_ERROR_INTERNAL, "%s: more bytes were given than its array has", w->path);
    if (size == 0)
        return IGVK_OK; // crc32_z of a null pointer starts over
    member *m = &w->members[w->count - 1];
    m->crc = (uint32_t)crc32_z(m->crc, bytes, (size_t)size);
    w->missing -= size;
    return atomic_file_write(w->file, bytes, size);
}

// ---- the end ----------------------------------------------------------------------------------------------

static void put_central_header(text_buffer *b, const member *m) {
    put(b, 0x02014b50, 4);
    put(b, ZIP64_VERSION, 2); // made by
    put(b, ZIP64_VERSION, 2);
    put(b, 0, 2); // flags
    put(b, 0, 2); // stored
    put(b, 0, 2); // time
    put(b, ZIP_DATE, 2);
    put(b, m->crc, 4);
    put(b, ZIP_IN_ZIP64, 4);
    put(b, ZIP_IN_ZIP64, 4);
    put(b, strlen(m->name), 2);
    put(b, 28, 2); // extra field
    put(b, 0, 2);  // comment
    put(b, 0, 2);  // disk
    put(b, 0, 2);  // internal attributes
    put(b, 0, 4);  // external attributes
    put(b, ZIP_IN_ZIP64, 4);
    text_append_bytes(b, m->name, strlen(m->name));
    put(b, 1, 2); // zip64
    put(b, 24, 2);
    put(b, m->size, 8);
    put(b, m->size, 8);
    put(b, m->offset, 8);
}

// The zip64 end record, its locator and the end record proper, which refers to the former.
static void put_end(text_buffer *b, uint64_t members, uint64_t offset, uint64_t size) {
    put(b, 0x06064b50, 4);
    put(b, 44, 8); // bytes that follow
    put(b, ZIP64_VERSION, 2);
    put(b, ZIP64_VERSION, 2);
    put(b, 0, 4); // disk
    put(b, 0, 4);
    put(b, members, 8);
    put(b, members, 8);
    put(b, size, 8);
    put(b, offset, 8);

    put(b, 0x07064b50, 4);
    put(b, 0, 4);
    put(b, offset + size, 8);
    put(b, 1, 4); // disks

    put(b, 0x06054b50, 4);
    put(b, 0, 2);
    put(b, 0, 2);
    put(b, 0xffff, 2);
    put(b, 0xffff, 2);
    put(b, ZIP_IN_ZIP64, 4);
    put(b, ZIP_IN_ZIP64, 4);
    put(b, 0, 2); // comment
}

igvk_status npz_finish(npz_writer *w) {
    igvk_status status = IGVK_OK;
    text_buffer directory = {0};
    TRY(finish_array(w));
    for (size_t i = 0; i < w->count; i++)
        put_central_header(&directory, &w->members[i]);
    put_end(&directory, w->count, atomic_file_position(w->file), directory.length);
    TRY(write_out(w, &directory));
    TRY(atomic_file_commit(w->file));
done:
    text_free(&directory);
    return status;
}
