// SPDX-License-Identifier: MIT
// An open file of weights, whatever its format: shared by weights.c and weights_open.c.
#ifndef IGVK_MODELS_WEIGHTS_INTERNAL_H
#define IGVK_MODELS_WEIGHTS_INTERNAL_H

#include "core/text.h"
#include "models/weights.h"

struct weights_file {
    safetensors_file *stored; // one of the two
    torch_file *torch;
    char *path;
    weight_list list; // of the set asked for; texts are the file's
    size_t capacity;
    model_config config;
    char step[24]; // metadata "igvk.step" of a file of torch.save, "" where it tells none
    bool one_set;
    char notes[512];
};

// The entry has the parameter's shape and a float type.
// A fixed table that the file has left out: its values follow from the shape.
bool weight_is_computed(const weight_entry *e, const parameter *p);
bool weight_fits(const weight_entry *e, const parameter *p);
// "; 'NAME' is f32 [3x4], needed float [3x5]", or that it is missing (e null).
void weight_describe(text_buffer *b, const weight_entry *e, const parameter *p);
#define WEIGHTS_NAMED 3 // tensors that an error names

#endif
