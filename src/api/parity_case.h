// SPDX-License-Identifier: MIT
// A folder of reference numbers, opened: case.json, weights, inputs, outputs, tolerances; and what this device
// computed for it. A runner per kind of case fills in outputs by name; parity.c compares and reports.
#ifndef IGVK_API_PARITY_CASE_H
#define IGVK_API_PARITY_CASE_H

#include "formats/safetensors.h"
#include "models/model.h"
#include "vulkan/store.h"

#include <jansson.h>

typedef struct parity_case {
    const char *folder;
    char name[128];                               // last component of the resolved path
    json_t *root;                                 // case.json
    json_t *runs;                                 // its "runs"
    const json_t *bounds;                         // tolerances of this case: {"RUN/NAME": {"f32": A}}
    json_t *tolerances;                           // the whole file; owned
    safetensors_file *inputs, *outputs, *weights; // weights null where the case has none
    device *device;
    storage_type precision; // of the weights of products, or what training multiplies: what the outputs are held to
    void **computed; // per entry of outputs: float[] or int64_t[] by its type, null until given
    void **exact;    // or its bytes in its own type, for what must be equal to the bit
} parity_case;

// tolerances: a file, or null for the folder's or its parent's. Every failure is IGVK_ERROR_INVALID.
igvk_status parity_case_open(const char *folder, const char *tolerances, parity_case *out);
void parity_case_close(parity_case *c);

// Whether outputs has RUN/NAME.
bool parity_wants(const parity_case *c, const char *format, ...) PRINTF_LIKE(2, 3);
// Gives a computed output (copied); an output that the folder does not have is passed over. A count other than the
// output's leaves it not computed.
igvk_status parity_give(parity_case *c, const float *values, uint64_t count, const char *format, ...) PRINTF_LIKE(4, 5);
igvk_status parity_give_words(parity_case *c, const uint32_t *values, uint64_t count, const char *format, ...)
    PRINTF_LIKE(4, 5);

// An input or weight as malloc'd floats or words, its shape in *entry (may be null). Missing or of another
// type is an error by name.
igvk_status parity_floats(safetensors_file *f, const char *name, float **values, const safetensors_entry **entry);
igvk_status parity_words(safetensors_file *f, const char *name, uint32_t **values, const safetensors_entry **entry);

// Keys of a JSON object of the case, with ranges; a missing key is an error by name, or `standard` where given.
igvk_status parity_number(const parity_case *c, const json_t *object, const char *key, double *out);
double parity_number_or(const json_t *object, const char *key, double standard);
const char *parity_text_or(const json_t *object, const char *key, const char *standard);

// A whole number in [low, high]; of parity_count `standard` where the key is missing; anything else is an error by
// name.
igvk_status parity_whole(const parity_case *c, const json_t *object, const char *key, uint32_t low, uint32_t high,
                         uint32_t *out);
igvk_status parity_count(const parity_case *c, const json_t *object, const char *key, uint32_t low, uint32_t high,
                         uint32_t standard, uint32_t *out);
// Labels [count] of inputs: classes of the model, or its no-class index.
igvk_status parity_check_labels(const parity_case *c, const model_config *m, const uint32_t *labels, uint64_t count);

// The official configuration as ours; `height` and `width` come from the inputs.
igvk_status parity_model_config(const parity_case *c, const json_t *config, uint64_t height, uint64_t width,
                                model_config *out);
// All parameters of `layout` into set `arena_name` of the store, of that type (parameter_set): from weights.safetensors under `prefix`, else
// synthetic by the formula of the case's "synthetic" table, else (pos_embed) the official table.
igvk_status parity_load_weights(parity_case *c, store *s, const parameter_layout *l, const char *arena_name,
                                storage_type type, safetensors_file *file, const char *prefix);

// 0 where output i's exact bytes are the reference's, else infinity: such values have no distance.
igvk_status parity_compare_exact(parity_case *c, size_t i, double *error);

// Likewise, where a case may give parameters other names: `alias` gives name number `naming`, false beyond the last.
#define PARITY_NAME 160
typedef struct parity_names {
    bool (*alias)(const void *user, const char *name, int naming, char out[PARITY_NAME]);
    const void *user;
} parity_names;
igvk_status parity_load_weights_named(parity_case *c, store *s, const parameter_layout *l, const char *arena_name,
                                      storage_type type, safetensors_file *file, const parity_names *names);

// Parameter i of a set of training in f32; gradients as they are without the loss scale.
igvk_status parity_read_set(const parity_case *c, store *s, const parameter_layout *l, const char *set, size_t i,
                            float *values);

typedef igvk_status (*parity_runner)(parity_case *c);
igvk_status parity_run_forward(parity_case *c);                      // sit_forward, lightningdit_forward
igvk_status parity_forward_run(parity_case *c, const json_t *entry); // one of its runs
igvk_status parity_run_diffusion(parity_case *c);   // dit, mdtv2: forward, sampling and training in one folder
igvk_status parity_run_sampler(parity_case *c);     // sit_sampler, lightningdit_sampler
igvk_status parity_run_train(parity_case *c);       // sit_train
igvk_status parity_run_lightning(parity_case *c);   // lightningdit_train
igvk_status parity_run_muon(parity_case *c);
igvk_status parity_run_autoencoder(parity_case *c); // autoencoder_kl
igvk_status parity_run_guidance(parity_case *c);
igvk_status parity_run_philox(parity_case *c);
igvk_status parity_run_checkpoint(parity_case *c); // checkpoint_pt: reads the folder's files of torch.save, no inputs

#endif
