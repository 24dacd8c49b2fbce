// SPDX-License-Identifier: MIT
// Samples against the images that a model was trained on: how many samples' nearest training image is of the class that
// was asked for, by row of a sheet, and a sheet of samples with their nearest images below them, on which copies show.
#ifndef IGVK_API_NEAREST_COUNT_H
#define IGVK_API_NEAREST_COUNT_H

#include "api/class_list.h"
#include "models/model.h"

typedef struct nearest_count_options {
    const char *folder; // the dataset
    const model_config *config;
    const json_t *class_names;
    const image_request *requests; // of each row
    uint64_t request_count;
    uint32_t rows;                 // how often nearest_count_add will be called
    const char *const *row_labels; // [rows], read by nearest_count_create; null: none
    const char *sheet;             // PNG to write; empty: none
    uint32_t sheet_columns;        // images side by side
    const char *title;
    const igvk_events *events; // may be null
} nearest_count_options;

typedef struct nearest_count nearest_count;
// Opens the dataset; refuses one of another shape or other classes than the model's, and a sheet that is too large or
// cannot be written.
igvk_status nearest_count_create(const nearest_count_options *o, nearest_count **out);
void nearest_count_destroy(nearest_count **n);
igvk_status nearest_count_add(nearest_count *n, const char *label, const float *images); // [request_count, C, H, W]
// Writes the sheet and tells one message a row:
// "nearest training image is of the class asked for: none: 154 of 260 (59.2 %), mean distance 4.58".
igvk_status nearest_count_finish(nearest_count *n); // takes null

#endif
