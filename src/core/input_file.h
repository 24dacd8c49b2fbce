// SPDX-License-Identifier: MIT
// A regular file read by offset, for formats that never take their file into memory whole.
#ifndef IGVK_CORE_INPUT_FILE_H
#define IGVK_CORE_INPUT_FILE_H

#include "core/status.h"

typedef struct input_file input_file;
// Refuses what is no regular file, without waiting for the writer of a pipe.
igvk_status input_file_open(const char *path, input_file **out);
void input_file_close(input_file **f); // takes null
const char *input_file_path(const input_file *f);
uint64_t input_file_size(const input_file *f); // bytes, when it was opened
// Bytes [offset, offset + size); a file that ends before is an error by value.
igvk_status input_file_read(const input_file *f, uint64_t offset, uint64_t size, void *out);

#endif
