// SPDX-License-Identifier: MIT
// Zip containers of stored (not compressed) members: read from hostile files by offset, and written. PKWARE's
// APPNOTE.TXT 6.3 with zip64; what torch.save and numpy write, and nothing more.
#ifndef IGVK_FORMATS_ZIP_H
#define IGVK_FORMATS_ZIP_H

#include "core/input_file.h"

#define ZIP_MAX_MEMBERS 65536
#define ZIP_MAX_NAME 512 // bytes

typedef struct zip_member {
    const char *name; // UTF-8, relative, without ".." or backslash
    uint64_t header;  // where its local header begins in the file
    uint64_t offset;  // of its bytes, from the file's start
    uint64_t size;    // bytes
    uint32_t crc;     // as the directory says; zip_check compares
} zip_member;

// Opening reads the directory and every local header, never a member. Refused by name: compressed or encrypted
// members, several disks, names that leave the folder or come twice, members that overlap, and any
// disagreement between the end records, the directory and the local headers.
typedef struct zip_file zip_file;
igvk_status zip_open(const char *path, zip_file **out);
void zip_close(zip_file **z); // takes null
const input_file *zip_input(const zip_file *z);
size_t zip_count(const zip_file *z);
const zip_member *zip_at(const zip_file *z, size_t i);           // in the order of their place
const zip_member *zip_find(const zip_file *z, const char *name); // null where absent
// Reads the whole member once, in pieces, and compares its checksum.
igvk_status zip_check(const zip_file *z, const zip_member *m);

// Writing: members one after the other, each of a size told in advance. The file appears under its name at
// finish, whole; destroy without finish leaves nothing. The same members give the same file.
typedef struct zip_writer zip_writer;
igvk_status zip_writer_create(const char *path, zip_writer **out);
igvk_status zip_begin(zip_writer *w, const char *name, uint64_t size); // `name`: at most 1000 bytes
igvk_status zip_write(zip_writer *w, const void *bytes, uint64_t size);
igvk_status zip_finish(zip_writer *w);
void zip_writer_destroy(zip_writer **w); // takes null

#endif
