// SPDX-License-Identifier: MIT
// Writing a zip container, always with zip64 records (APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12 to 4.3.16, 4.5.3).
#define _POSIX_C_SOURCE 200809L
#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"
#include "formats/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define ZIP64_VERSION 45         // needed to extract
#define ZIP_DATE 0x21            // 1 January 1980: the same members give the same file
#define ZIP_IN_ZIP64 0xffffffffu // the true value is in the zip64 record
#define ZIP_CRC_OFFSET 14        // within a local header
#define MAX_NAME_WRITTEN 1000

typedef struct written_member {
    char *name;
    uint64_t offset, size;
    uint32_t crc;
} written_member;

struct zip_writer {
    char *path;
    atomic_file *file;
    written_member *members;
    size_t count, capacity;
    uint64_t missing; // bytes of the newest member still to come
};

static void put(text_buffer *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(value >> (8 * i));
        text_append_bytes(b, &byte, 1);
    }
}

// Writes what was put together and empties the buffer.
static igvk_status write_out(zip_writer *w, text_buffer *b) {
    igvk_status status = b->failed ? fail_memory(w->path, 0) : atomic_file_write(w->file, b->text, b->length);
    text_free(b);
    return status;
}

igvk_status zip_writer_create(const char *path, zip_writer **out) {
    igvk_status status = IGVK_OK;
    zip_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path)))
        TRY(fail_memory(path, sizeof *w));
    TRY(atomic_file_create(path, &w->file));
    *out = w;
    w = NULL;
done:
    zip_writer_destroy(&w);
    return status;
}

void zip_writer_destroy(zip_writer **w) {
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

// ---- one member -------------------------------------------------------------------------------------------

static void put_local_header(text_buffer *b, const written_member *m) {
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

static igvk_status finish_member(zip_writer *w) {
    if (w->missing)
        return fail(IGVK_ERROR_INTERNAL, "%s: fewer bytes were given than its member has", w->path);
    if (w->count == 0)
        return IGVK_OK;
    const written_member *m = &w->members[w->count - 1];
    unsigned char crc[4] = {(unsigned char)m->crc, (unsigned char)(m->crc >> 8), (unsigned char)(m->crc >> 16),
                            (unsigned char)(m->crc >> 24)};
    return atomic_file_patch(w->file, m->offset + ZIP_CRC_OFFSET, crc, sizeof crc);
}

igvk_status zip_begin(zip_writer *w, const char *name, uint64_t size) {
    igvk_status status = IGVK_OK;
    text_buffer header = {0};
    char *copy = NULL;
    if (strlen(name) > MAX_NAME_WRITTEN)
        THROW(IGVK_ERROR_INTERNAL, "%s: a member with an endless name", w->path);
    TRY(finish_member(w));
    copy = strdup(name);
    if (!copy || !ARRAY_RESERVE(w->members, w->capacity, w->count + 1))
        TRY(fail_memory(w->path, strlen(name)));
    written_member *m = &w->members[w->count++];
    *m = (written_member){.name = copy, .offset = atomic_file_position(w->file), .size = size};
    copy = NULL;
    put_local_header(&header, m);
    w->missing = size;
    TRY(write_out(w, &header));
done:
    free(copy);
    text_free(&header);
    return status;
}

igvk_status zip_write(zip_writer *w, const void *bytes, uint64_t size) {
    if (size > w->missing)
        return fail(IGVK_ERROR_INTERNAL, "%s: more bytes were given than its member has", w->path);
    if (size == 0)
        return IGVK_OK; // crc32_z of a null pointer starts over
    written_member *m = &w->members[w->count - 1];
    m->crc = (uint32_t)crc32_z(m->crc, bytes, (size_t)size);
    w->missing -= size;
    return atomic_file_write(w->file, bytes, size);
}

// ---- the end ----------------------------------------------------------------------------------------------

static void put_central_header(text_buffer *b, const written_member *m) {
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

igvk_status zip_finish(zip_writer *w) {
    igvk_status status = IGVK_OK;
    text_buffer directory = {0};
    TRY(finish_member(w));
    for (size_t i = 0; i < w->count; i++)
        put_central_header(&directory, &w->members[i]);
    put_end(&directory, w->count, atomic_file_position(w->file), directory.length);
    TRY(write_out(w, &directory));
    TRY(atomic_file_commit(w->file));
done:
    text_free(&directory);
    return status;
}
