// SPDX-License-Identifier: MIT
// Which model a set of named tensors is, and its configuration: from names and shapes, from what stands beside them
// in the file, and from what the user says. A new kind of model adds a row to the table of families.
#ifndef IGVK_MODELS_RECOGNISE_H
#define IGVK_MODELS_RECOGNISE_H

#include "formats/torch_file.h"
#include "models/model.h"

// A tensor of a file of weights, under its official name. Shape and name are the file's.
typedef struct weight_entry {
    const char *name;
    element_type type;
    uint32_t rank;
    const uint64_t *shape;
    const safetensors_entry *stored; // one of the two
    const pickle_tensor *tensor;
} weight_entry;
typedef struct weight_list {
    weight_entry *entries; // sorted by name
    size_t count;
} weight_list;
const weight_entry *weight_find(const weight_list *l, const char *name); // null where absent

// What shapes do not tell. 0, "" and false: not known.
typedef struct model_hints {
    char kind[16];   // "sit"
    char preset[64]; // "SiT-XL/2", for what its shapes confirm
    uint32_t heads, head_after;
    uint32_t height, width; // of the input, in its own pixels
    uint32_t classes;
    bool knows_classes;    // `classes` is known, perhaps 0
    bool knows_null_class; // whether there was label dropout is known
    bool null_class;
    bool knows_path;
    path_kind path;
    bool yields; // given hints that what stands beside the tensors overrides: a published model's, by `preset`
} model_hints;

// What a checkpoint of the official training scripts says beside its tensors: "args" of SiT's, "config" of
// LightningDiT's. Unknown or odd values are passed over.
void model_hints_read(const pickle_value *root, model_hints *h);

// `given` (may be null) comes before `beside` (may be null). What neither they nor the shapes tell is an error that
// names the flags of `igvk import` for it. `notes` (zero-terminated) gets what was assumed, for the user to hear.
igvk_status model_recognise(const char *where, const weight_list *l, const model_hints *given,
                            const model_hints *beside, model_config *out, char *notes, size_t notes_size);

#endif
