// SPDX-License-Identifier: MIT
// Contact sheets of requested images in their order, laid out before they are sampled, so that a sheet that cannot be
// drawn or written is refused first.
#ifndef IGVK_API_REQUEST_SHEET_H
#define IGVK_API_REQUEST_SHEET_H

#include "api/class_list.h"
#include "data/sheet.h"
#include "models/model.h"

typedef struct request_sheet_options {
    const model_config *config;
    const json_t *class_names;
    const image_request *requests;
    uint64_t count;
    uint32_t columns; // a column whose requests are all of one class is labelled with it
    uint32_t rows;
    const char *const *row_labels; // [rows]; null: none
    const char *title, *path;      // path: must be writable
} request_sheet_options;

igvk_status request_sheet_create(const request_sheet_options *o, sheet **out);
// As a PNG that carries the title as text "igvk".
igvk_status sheet_write(const sheet *s, const char *path, const char *title);

// Texts for a sheet's labels.
typedef struct label_texts {
    char (*texts)[64];
    const char **pointers;
} label_texts;
igvk_status label_texts_create(label_texts *l, uint32_t count); // of empty texts
void label_texts_free(label_texts *l);                          // takes a zeroed one

#endif
