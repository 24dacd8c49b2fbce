// SPDX-License-Identifier: MIT
// Files and folders: bounded reads, atomic writes, free space.
#ifndef IGVK_CORE_FILE_H
#define IGVK_CORE_FILE_H

#include "core/status.h"

// Reads a whole regular file of at most `limit` bytes. *data is malloc'd, with a zero byte after the end that
// *size does not count.
igvk_status file_read(const char *path, uint64_t limit, char **data, size_t *size);

// Sets the error text for a system call that failed: "cannot DOING PATH: reason", with the way out where
// there is one (a full disk, no permission). Returns IGVK_ERROR_IO. `error` is the call's errno.
igvk_status fail_file(const char *doing, const char *path, int error);

// A file that appears under its name whole or not at all: written as PATH.tmp-PID-N beside it, flushed to
// disk, renamed by commit. Destroy without commit removes the temporary. Writes report a full disk. An
// existing regular file (or a link to one) is replaced; a folder, device or pipe is refused by create.
// Under a file size limit (ulimit -f) the program must ignore SIGXFSZ for writes to fail by value.
typedef struct atomic_file atomic_file;
igvk_status atomic_file_create(const char *path, atomic_file **out);
igvk_status atomic_file_write(atomic_file *f, const void *data, uint64_t size);
// Overwrites bytes already written (a checksum known only at the end); the position stays.
igvk_status atomic_file_patch(atomic_file *f, uint64_t offset, const void *data, uint64_t size);
uint64_t atomic_file_position(const atomic_file *f);
igvk_status atomic_file_commit(atomic_file *f);
void atomic_file_destroy(atomic_file **f);

// Whether atomic_file_create would take `path`: for files that are written after long work. Leaves nothing.
igvk_status file_check_writable(const char *path);

igvk_status file_write_atomic(const char *path, const void *data, size_t size);

// Folders. folder_create makes missing parents; an existing folder is no error.
igvk_status folder_create(const char *path);
bool path_exists(const char *path);
bool path_is_folder(const char *path);
// Names in `path` (no "." and ".."), sorted by byte value; each and the list malloc'd: folder_list_free.
igvk_status folder_list(const char *path, char ***names, size_t *count);
void folder_list_free(char ***names, size_t count);
// Bytes an ordinary user can still write to the file system of `path` (an existing file or folder).
igvk_status disk_free(const char *path, uint64_t *bytes);
// "a/b" of parts, malloc'd; null where memory is out.
char *path_join(const char *folder, const char *name);

#endif
