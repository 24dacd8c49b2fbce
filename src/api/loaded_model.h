// SPDX-License-Identifier: MIT
// A model on a device: configuration, class names and one set of weights in a store.
#ifndef IGVK_API_LOADED_MODEL_H
#define IGVK_API_LOADED_MODEL_H

#include "models/weights.h"
#include "vulkan/store.h"

#include <jansson.h>

typedef struct loaded_model {
    model_config config;
    json_t *class_names;      // list of texts, may be empty; null names: numbers are used
    weights_file *file;       // open until the weights are loaded
    parameter_layout *layout; // null until then, as the store
    store *store;             // the weights are the set SET_LOADED
    storage_type precision;   // of the weights of its products on the device; f32 unless said before loading
    char *path;               // the file they came from
} loaded_model;
#define SET_LOADED "ema"
#define SET_WEAK "weak" // of autoguidance's second model

// `path`: a checkpoint, an exported file or a run folder (its newest checkpoint); `set`: "ema" or "model". Reads and
// checks what describes the model, so that a job can be refused before a device is opened and weights are read.
igvk_status loaded_model_open(const char *path, const char *set, loaded_model *out);
// With what is known of a model that carries no configuration; may be null.
igvk_status loaded_model_open_as(const char *path, const char *set, const model_hints *known, loaded_model *out);
igvk_status loaded_model_load(device *d, loaded_model *m); // once
// Into another model's store, as the set `set`; m->store stays null.
igvk_status loaded_model_load_beside(device *d, loaded_model *m, store *s, const char *set);
void loaded_model_close(loaded_model *m);
// The file that `path` means (a run folder's newest checkpoint), malloc'd.
igvk_status model_file_of(const char *path, char **file);
// The places of a model's parameters on a device that reads the weights of products in `precision`; null where memory
// is out.
parameter_layout *layout_for(const device *d, const model_config *c, storage_type precision);
// The set as a loaded model's parameters, in the precision it was loaded in.
parameter_set loaded_model_set(const loaded_model *m, const char *set);
// --precision's choice (0 f32, 1 f16, 2 bf16) on this device: f32, said by a message, where it stores no 16-bit numbers.
storage_type precision_for(const device *d, uint32_t choice, const igvk_events *events);
// Class k's name; its number, written into `number`, where it has none.
const char *class_name(const json_t *names, uint32_t k, char number[16]);

#endif
