// SPDX-License-Identifier: MIT
// Writing files as torch.save does: a zip with {SET: OrderedDict of tensors, ...} that torch.load(weights_only=True)
// reads. In two phases, like safetensors: declare all, then give the bytes in declared order.
#ifndef IGVK_FORMATS_TORCH_WRITE_H
#define IGVK_FORMATS_TORCH_WRITE_H

#include "formats/safetensors.h"

// The file appears under its name at finish, whole; destroy without finish leaves nothing.
typedef struct torch_writer torch_writer;
igvk_status torch_writer_create(const char *path, torch_writer **out);
void torch_writer_destroy(torch_writer **w); // takes null
// Begins the dict of that name at the root; tensors and texts declared next go into it, those before any go into the
// root itself. Names are UTF-8, each once.
igvk_status torch_begin_set(torch_writer *w, const char *name);
igvk_status torch_declare(torch_writer *w, const char *name, element_type type, uint32_t rank, const uint64_t *shape);
// The same bytes once more: tensor `number` of all declared so far (counted from 0) under another name.
igvk_status torch_declare_again(torch_writer *w, const char *name, size_t number);
igvk_status torch_declare_text(torch_writer *w, const char *name, const char *text);
igvk_status torch_begin_data(torch_writer *w);
igvk_status torch_write(torch_writer *w, const void *bytes, uint64_t size);
igvk_status torch_finish(torch_writer *w);

#endif
