// SPDX-License-Identifier: MIT
// Weights on disk: safetensors with official names. Checkpoints of a run hold several sets, "ema/NAME",
// "model/NAME", "moment1/NAME", "moment2/NAME"; exported files the plain names. The model's configuration
// is the metadata "igvk.model" (model_config_to_json).
#ifndef IGVK_MODELS_WEIGHTS_H
#define IGVK_MODELS_WEIGHTS_H

#include "formats/safetensors.h"
#include "models/model.h"

typedef struct weights_file weights_file;
// `set`: "ema", "model", ...; a file of plain names has one set, which is taken whatever is asked.
igvk_status weights_open(const char *path, const char *set, weights_file **out);
void weights_close(weights_file **w);
const model_config *weights_config(const weights_file *w);
const char *weights_metadata(const weights_file *w, const char *key); // null where absent
// Every parameter of the layout is there with its shape and a float type, and no other of the set; the line
// names up to three that are wrong, with both shapes.
igvk_status weights_check(const weights_file *w, const parameter_layout *l);
// Elements of parameter i as f32, whatever float type the file has: the `read` of a parameter_source whose user is the
// weights_file.
igvk_status weights_read(void *weights, const parameter_layout *l, size_t i, uint64_t first, uint64_t count, float *out);

#endif
