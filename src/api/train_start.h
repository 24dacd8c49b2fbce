// SPDX-License-Identifier: MIT
// Starting a run from weights: their model for this dataset, and its values.
#ifndef IGVK_API_TRAIN_START_H
#define IGVK_API_TRAIN_START_H

#include "data/dataset.h"
#include "models/weights_adapt.h"

#include "igvk/igvk.h"

typedef struct train_start {
    char *path;
    weights_file *file;
    adapted_weights *adapted;
    model_config model; // the file's, for the dataset's classes and size
    uint64_t seed;
    const igvk_events *events;
} train_start;

// Opens o->init. Refuses options that contradict its model, and data of another number of channels.
igvk_status train_start_open(const igvk_train_options *o, const dataset_info *data, const igvk_events *events,
                             train_start *out);
void train_start_close(train_start *s);
// Tells what is not as in the file. The source lasts until train_start_close. For loop_options.start.
igvk_status train_start_source(void *start, const parameter_layout *l, parameter_source *source);

#endif
