// SPDX-License-Identifier: MIT
// A file's weights as the start of another model of the same kind: other classes, another size of the input, another
// place of the auxiliary head, or a head where there was none.
#ifndef IGVK_MODELS_WEIGHTS_ADAPT_H
#define IGVK_MODELS_WEIGHTS_ADAPT_H

#include "models/weights.h"

typedef struct adapted_weights adapted_weights;
// Refuses what no rule below covers, by name and both shapes. `w` and `l`, the layout of `target`, must outlive it;
// `seed` is of the values that are new (parameter_initialise).
//   labels      the same classes: as they are. Others: new rows, the no-class row kept.
//   positions   of another grid: resampled, bilinear between the centres of its cells; rotary tables are computed anew.
//   head        at another block, or where the file has none: new.
igvk_status weights_adapt(weights_file *w, const model_config *target, const parameter_layout *l, uint64_t seed,
                          adapted_weights **out);
void adapted_weights_free(adapted_weights **a); // takes null
// What is not as in the file, one line; "" where all is.
const char *adapted_weights_notes(const adapted_weights *a);
// The `read` of a parameter_source whose user is the adapted_weights.
igvk_status adapted_weights_read(void *adapted, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                 float *out);

#endif
