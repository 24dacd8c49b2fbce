// SPDX-License-Identifier: MIT
// Files of torch.save: the tree of values that they hold (formats/pickle.h) and their tensors' bytes. Both formats:
// zip (PyTorch 1.6 and later) and the older sequence of pickles. Hostile until checked, like all it is made of;
// what is opened needs memory for its tree alone, tensors are read when asked for.
#ifndef IGVK_FORMATS_TORCH_FILE_H
#define IGVK_FORMATS_TORCH_FILE_H

#include "formats/pickle.h"

// Whether the file at `path` begins as one of torch.save (or as any zip file); false where it cannot be read.
bool torch_file_recognise(const char *path);

// Values stay valid until it is closed. Reads of one open file are not for two threads at once.
typedef struct torch_file torch_file;
igvk_status torch_file_open(const char *path, torch_file **out);
void torch_file_close(torch_file **f); // takes null
const char *torch_file_path(const torch_file *f);
bool torch_file_is_zip(const torch_file *f);
const pickle_value *torch_file_root(const torch_file *f);

// Elements [begin, begin + count) in C order of the tensor's shape, as they are stored. A tensor that is no plain
// run of its storage is gathered, through at most 64 MiB of memory.
igvk_status torch_file_read(torch_file *f, const pickle_tensor *t, uint64_t begin, uint64_t count, void *out);
// The same as f32, from any floating-point type.
igvk_status torch_file_read_f32(torch_file *f, const pickle_tensor *t, uint64_t begin, uint64_t count, float *out);

// Calls `visit` for every leaf in order, its path the keys and list places on the way joined by '/' ("" for a root
// that is a leaf). Leaves are tensors, plain values, empty containers, and lists of plain values as a whole.
typedef igvk_status (*torch_visitor)(void *user, const char *path, const pickle_value *leaf);
igvk_status torch_file_walk(const torch_file *f, torch_visitor visit, void *user);

#endif
