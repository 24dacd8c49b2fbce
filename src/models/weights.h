// SPDX-License-Identifier: MIT
// Weights on disk, under official names. safetensors: checkpoints of a run hold several sets, "ema/NAME",
// "model/NAME", "moment1/NAME", "moment2/NAME", exported files the plain names; the model's configuration is the
// metadata "igvk.model" (model_config_to_json). Files of torch.save (formats/torch_file.h): {"ema": ..., "model": ...}
// or a plain state dict. A file without a configuration is recognised by its tensors (models/recognise.h); the
// prefixes "module." and "_orig_mod." that training scripts leave are stripped.
#ifndef IGVK_MODELS_WEIGHTS_H
#define IGVK_MODELS_WEIGHTS_H

#include "models/recognise.h"

typedef struct weights_file weights_file;
// `set`: "ema", "model", ...; a file of plain names has one set, which is taken whatever is asked, and one of
// torch.save that has no "ema" gives its "model".
igvk_status weights_open(const char *path, const char *set, weights_file **out);
// With what the user says of a model that carries no configuration.
igvk_status weights_open_as(const char *path, const char *set, const model_hints *given, weights_file **out);
// Of no model of ours (an autoencoder, statistics): tensors alone; no function below that speaks of a configuration or
// a layout is for it.
igvk_status weights_open_tensors(const char *path, weights_file **out);
const weight_list *weights_tensors(const weights_file *w);
// Elements of a tensor of the file as f32, from any floating-point type.
igvk_status weights_read_entry(weights_file *w, const weight_entry *e, uint64_t first, uint64_t count, float *out);
void weights_close(weights_file **w); // takes null
const model_config *weights_config(const weights_file *w);
const char *weights_metadata(const weights_file *w, const char *key); // key: "igvk.NAME"; null where absent
bool weights_has_one_set(const weights_file *w); // whatever is asked for, the same tensors are given
// What was assumed of a model without a configuration, one line; "" where nothing was.
const char *weights_notes(const weights_file *w);
// Every parameter of the layout but fixed tables, which are computed where they are missing, is there with its shape
// and a float type, and no other of the set; the line names up to three that are wrong or too many, with both shapes.
igvk_status weights_check(const weights_file *w, const parameter_layout *l);
// Elements of parameter i as f32, whatever float type the file has: the `read` of a parameter_source whose user is the
// weights_file.
igvk_status weights_read(void *weights, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                         float *out);
// As they are stored, and in which type. Needs weights_check.
element_type weights_type(const weights_file *w, const parameter_layout *l, size_t i);
igvk_status weights_read_stored(weights_file *w, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                void *out);

#endif
