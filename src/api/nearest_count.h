// SPDX-License-Identifier: MIT
// How many samples' nearest training image is of the class that was asked for, by row of a sheet.
#ifndef IGVK_API_NEAREST_COUNT_H
#define IGVK_API_NEAREST_COUNT_H

#include "api/class_list.h"
#include "models/model.h"

typedef struct nearest_count nearest_count;
// Opens the dataset; refuses one of another shape or other classes than the model's.
igvk_status nearest_count_create(const char *folder, const model_config *c, const json_t *class_names, nearest_count **out);
void nearest_count_destroy(nearest_count **n);
igvk_status nearest_count_add(nearest_count *n, const char *label, const image_request *requests, uint64_t count, const float *images);
// One message a row: "nearest training image of the class asked for: none 154 of 260 (59.2 %), mean distance 4.58".
void nearest_count_tell(const nearest_count *n, const igvk_events *events); // takes null

#endif
