// SPDX-License-Identifier: MIT
// Reading a zip container: the end records, the directory and the local headers tell of each member twice or
// more; all must agree before anything is read by them (APPNOTE.TXT 4.3.7, 4.3.12 to 4.3.16, 4.5.3).
#include "formats/zip.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LOCAL_SIGNATURE 0x04034b50u
#define CENTRAL_SIGNATURE 0x02014b50u
#define END_SIGNATURE 0x06054b50u
#define END64_SIGNATURE 0x06064b50u
#define LOCATOR_SIGNATURE 0x07064b50u
#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR_BYTES 20
#define MAX_COMMENT 65535
#define MAX_DIRECTORY ((uint64_t)ZIP_MAX_MEMBERS * 256)
#define IN_ZIP64 0xffffffffu     // the true value is in the zip64 record
#define FLAGS_ENCRYPTED 0x2041u  // traditional, strong, masked headers
#define FLAG_SIZES_BEHIND 0x0008 // the local header's sizes and checksum may be zero: they follow the data

struct zip_file {
    input_file *input;
    const char *path;
    arena *names;
    zip_member *members;        // by place
    const zip_member **by_name; // sorted
    size_t count;
    uint64_t directory, directory_size; // offset and bytes
};

static uint64_t get(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static igvk_status fail_damaged(const zip_file *z, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: %s; the file is damaged, cut short or no zip file", z->path, what);
}

static igvk_status fail_member(const zip_file *z, const char *name, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: member \"%.200s\": %s", z->path, name, what);
}

// ---- the end records --------------------------------------------------------------------------------------

// The end record ends the file, but for its comment, whose length it tells.
static igvk_status find_end(const zip_file *z, uint64_t *place, unsigned char end[END_BYTES]) {
    igvk_status status = IGVK_OK;
    uint64_t size = input_file_size(z->input);
    uint64_t tail = size < END_BYTES + MAX_COMMENT ? size : END_BYTES + MAX_COMMENT;
    unsigned char *bytes = malloc((size_t)tail + 1);
    if (!bytes)
        return fail_memory(z->path, tail);
    TRY(input_file_read(z->input, size - tail, tail, bytes));
    for (uint64_t back = END_BYTES; back <= tail; back++) {
        const unsigned char *at = bytes + tail - back;
        if (get(at, 4) != END_SIGNATURE || get(at + 20, 2) != back - END_BYTES)
            continue;
        memcpy(end, at, END_BYTES);
        *place = size - back;
        goto done;
    }
    TRY(fail_damaged(z, "it has no end record"));
done:
    free(bytes);
    return status;
}

typedef struct end_values {
    uint64_t here, total, size, offset; // entries on this disk and on all, the directory's bytes and place
} end_values;

static bool agrees(uint64_t narrow, uint64_t saturated, uint64_t wide) {
    return narrow == saturated || narrow == wide;
}

// The zip64 end record, where its locator stands before the end record. *place moves to where it begins.
static igvk_status read_end64(const zip_file *z, uint64_t *place, end_values *v, bool *found) {
    unsigned char locator[LOCATOR_BYTES], end[END64_BYTES];
    *found = false;
    if (*place < LOCATOR_BYTES + END64_BYTES)
        return IGVK_OK;
    igvk_status status = input_file_read(z->input, *place - LOCATOR_BYTES, LOCATOR_BYTES, locator);
    if (status != IGVK_OK || get(locator, 4) != LOCATOR_SIGNATURE)
        return status;
    uint64_t at = get(locator + 8, 8), limit = *place - LOCATOR_BYTES;
    if (get(locator + 4, 4) != 0 || get(locator + 16, 4) > 1)
        return fail_damaged(z, "it is one of several disks");
    if (at > limit - END64_BYTES)
        return fail_damaged(z, "its zip64 end record lies elsewhere");
    status = input_file_read(z->input, at, END64_BYTES, end);
    if (status != IGVK_OK)
        return status;
    if (get(end, 4) != END64_SIGNATURE || get(end + 4, 8) != limit - at - 12 || get(end + 16, 8) != 0)
        return fail_damaged(z, "its zip64 end record is none");
    end_values wide = {get(end + 24, 8), get(end + 32, 8), get(end + 40, 8), get(end + 48, 8)};
    if (!agrees(v->here, 0xffff, wide.here) || !agrees(v->total, 0xffff, wide.total) ||
        !agrees(v->size, IN_ZIP64, wide.size) || !agrees(v->offset, IN_ZIP64, wide.offset))
        return fail_damaged(z, "its two end records disagree");
    *v = wide;
    *place = at;
    *found = true;
    return IGVK_OK;
}

static igvk_status read_end(zip_file *z) {
    igvk_status status = IGVK_OK;
    unsigned char end[END_BYTES] = {0};
    uint64_t place = 0;
    bool wide = false;
    TRY(find_end(z, &place, end));
    if (get(end + 4, 4) != 0)
        TRY(fail_damaged(z, "it is one of several disks"));
    end_values v = {get(end + 8, 2), get(end + 10, 2), get(end + 12, 4), get(end + 16, 4)};
    TRY(read_end64(z, &place, &v, &wide));
    if (v.here != v.total)
        TRY(fail_damaged(z, "it is one of several disks"));
    if (v.total > ZIP_MAX_MEMBERS || v.size > MAX_DIRECTORY)
        THROW(IGVK_ERROR_INVALID, "%s: claims more than %d members, which igvk does not read", z->path,
              ZIP_MAX_MEMBERS);
    if (v.size > place || v.offset != place - v.size || v.total > v.size / CENTRAL_BYTES)
        TRY(fail_damaged(z, "its directory does not lie where its end record says"));
    z->count = (size_t)v.total;
    z->directory = v.offset;
    z->directory_size = v.size;
done:
    return status;
}

// ---- names ------------------------------------------------------------------------------------------------

// Whether `name` stays inside the folder that it would be unpacked to, on any system.
static bool is_safe(const char *name) {
    if (name[0] == 0 || name[0] == '/')
        return false;
    for (const char *part = name; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && memcmp(part, "..", 2) == 0)
            return false;
        part += length + (part[length] == '/');
    }
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < 0x20 || *c == 0x7f || *c == '\\' || *c == ':')
            return false;
    return true;
}

// ---- directory and local headers --------------------------------------------------------------------------

// The zip64 field of an extra area gives the values that are saturated, in this order.
static bool widen(const unsigned char *extra, size_t size, uint64_t *const values[], size_t count) {
    const unsigned char *field = NULL;
    size_t left = 0;
    for (size_t at = 0; at + 4 <= size; at += 4 + (size_t)get(extra + at + 2, 2)) {
        size_t bytes = (size_t)get(extra + at + 2, 2);
        if (bytes > size - at - 4)
            return false;
        if (get(extra + at, 2) == 1 && !field) {
            field = extra + at + 4;
            left = bytes;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (*values[i] != IN_ZIP64)
            continue;
        if (left < 8)
            return false;
        *values[i] = get(field, 8);
        field += 8;
        left -= 8;
    }
    return true;
}

// Whether member `m`'s local header says the same; gives the place of its bytes.
static igvk_status check_local(const zip_file *z, zip_member *m, uint64_t flags) {
    unsigned char local[LOCAL_BYTES], rest[ZIP_MAX_NAME + 256];
    size_t length = strlen(m->name);
    if (m->header > z->directory || z->directory - m->header < LOCAL_BYTES)
        return fail_member(z, m->name, "lies beyond the directory; the file is damaged");
    igvk_status status = input_file_read(z->input, m->header, LOCAL_BYTES, local);
    if (status != IGVK_OK)
        return status;
    size_t name = (size_t)get(local + 26, 2), extra = (size_t)get(local + 28, 2);
    uint64_t crc = get(local + 14, 4), packed = get(local + 18, 4), size = get(local + 22, 4);
    m->offset = m->header + LOCAL_BYTES + name + extra;
    if (get(local, 4) != LOCAL_SIGNATURE || get(local + 6, 2) != flags || get(local + 8, 2) != 0 || name != length ||
        m->offset > z->directory || m->size > z->directory - m->offset)
        return fail_member(z, m->name, "its header disagrees with the directory; the file is damaged");
    // Padding that torch.save adds to align the data can be long; the zip64 field comes first.
    size_t known = extra < 256 ? extra : 0;
    status = input_file_read(z->input, m->header + LOCAL_BYTES, name + known, rest);
    if (status != IGVK_OK)
        return status;
    uint64_t *const values[] = {&size, &packed};
    bool behind = (flags & FLAG_SIZES_BEHIND) && crc == 0;
    if (memcmp(rest, m->name, length) != 0 || !widen(rest + name, known, values, 2) ||
        (!behind && (crc != m->crc || size != m->size || packed != m->size)))
        return fail_member(z, m->name, "its header disagrees with the directory; the file is damaged");
    return IGVK_OK;
}

// The entry at `at` of the directory; *used is its length.
static igvk_status read_entry(zip_file *z, const unsigned char *at, uint64_t left, zip_member *m, uint64_t *used) {
    if (left < CENTRAL_BYTES || get(at, 4) != CENTRAL_SIGNATURE)
        return fail_damaged(z, "its directory has fewer entries than its end record says");
    uint64_t flags = get(at + 8, 2), method = get(at + 10, 2), packed = get(at + 20, 4), size = get(at + 24, 4);
    size_t length = (size_t)get(at + 28, 2), extra = (size_t)get(at + 30, 2), comment = (size_t)get(at + 32, 2);
    uint64_t header = get(at + 42, 4);
    *used = CENTRAL_BYTES + length + extra + comment;
    if (*used > left || length > ZIP_MAX_NAME)
        return fail_damaged(z, "its directory has a name that is too long");
    char *name = arena_alloc(z->names, length + 1);
    if (!name)
        return fail_memory(z->path, length);
    memcpy(name, at + CENTRAL_BYTES, length);
    if (strlen(name) != length || !is_safe(name))
        return fail_member(z, name, "its name is none that torch.save gives; the file is refused");
    if (flags & FLAGS_ENCRYPTED)
        return fail_member(z, name, "is encrypted; store it without a password");
    if (method != 0)
        return fail_member(z, name, "is compressed, which torch.save never does; zip the file again with zip -0");
    uint64_t *const values[] = {&size, &packed, &header};
    if (!widen(at + CENTRAL_BYTES + length, extra, values, 3) || size != packed || get(at + 34, 2) != 0)
        return fail_member(z, name, "its directory entry contradicts itself; the file is damaged");
    *m = (zip_member){.name = name, .header = header, .size = size, .crc = (uint32_t)get(at + 16, 4)};
    return check_local(z, m, flags);
}

static int compare_places(const void *a, const void *b) {
    const zip_member *x = a, *y = b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const zip_member *const *)a)->name, (*(const zip_member *const *)b)->name);
}

static igvk_status check_members(zip_file *z) {
    qsort(z->members, z->count, sizeof *z->members, compare_places);
    for (size_t i = 0; i < z->count; i++)
        z->by_name[i] = &z->members[i];
    qsort(z->by_name, z->count, sizeof *z->by_name, compare_names);
    for (size_t i = 1; i < z->count; i++) {
        if (z->members[i].header < z->members[i - 1].offset + z->members[i - 1].size)
            return fail_member(z, z->members[i].name, "overlaps another; the file is damaged");
        if (strcmp(z->by_name[i]->name, z->by_name[i - 1]->name) == 0)
            return fail_member(z, z->by_name[i]->name, "is there twice; the file is damaged");
    }
    return IGVK_OK;
}

static igvk_status read_directory(zip_file *z) {
    igvk_status status = IGVK_OK;
    unsigned char *bytes = malloc((size_t)z->directory_size + 1);
    uint64_t at = 0, used = 0;
    z->names = arena_create();
    z->members = calloc(z->count + 1, sizeof *z->members);
    z->by_name = calloc(z->count + 1, sizeof *z->by_name);
    if (!bytes || !z->names || !z->members || !z->by_name)
        TRY(fail_memory(z->path, z->directory_size));
    TRY(input_file_read(z->input, z->directory, z->directory_size, bytes));
    for (size_t i = 0; i < z->count; i++, at += used)
        TRY(read_entry(z, bytes + at, z->directory_size - at, &z->members[i], &used));
    if (at != z->directory_size)
        TRY(fail_damaged(z, "its directory has more entries than its end record says"));
    TRY(check_members(z));
done:
    free(bytes);
    return status;
}

// ---- the open file ----------------------------------------------------------------------------------------

igvk_status zip_open(const char *path, zip_file **out) {
    igvk_status status = IGVK_OK;
    zip_file *z = calloc(1, sizeof *z);
    if (!z)
        TRY(fail_memory(path, sizeof *z));
    TRY(input_file_open(path, &z->input));
    z->path = input_file_path(z->input);
    TRY(read_end(z));
    TRY(read_directory(z));
    *out = z;
    z = NULL;
done:
    zip_close(&z);
    return status;
}

void zip_close(zip_file **z) {
    if (!z || !*z)
        return;
    free((*z)->by_name);
    free((*z)->members);
    arena_destroy(&(*z)->names);
    input_file_close(&(*z)->input);
    free(*z);
    *z = NULL;
}

const input_file *zip_input(const zip_file *z) {
    return z->input;
}
size_t zip_count(const zip_file *z) {
    return z->count;
}
const zip_member *zip_at(const zip_file *z, size_t i) {
    return &z->members[i];
}

const zip_member *zip_find(const zip_file *z, const char *name) {
    const zip_member key = {.name = name}, *wanted = &key;
    const zip_member **found = bsearch(&wanted, z->by_name, z->count, sizeof *z->by_name, compare_names);
    return found ? *found : NULL;
}

igvk_status zip_check(const zip_file *z, const zip_member *m) {
    unsigned char piece[16384];
    uint32_t crc = 0;
    for (uint64_t at = 0; at < m->size;) {
        size_t now = m->size - at < sizeof piece ? (size_t)(m->size - at) : sizeof piece;
        igvk_status status = input_file_read(z->input, m->offset + at, now, piece);
        if (status != IGVK_OK)
            return status;
        crc = (uint32_t)crc32_z(crc, piece, now);
        at += now;
    }
    return crc == m->crc ? IGVK_OK : fail_member(z, m->name, "its checksum is wrong; the file is damaged");
}
