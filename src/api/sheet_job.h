// SPDX-License-Identifier: MIT
// Contact sheets of samples: rows and column groups of guidance scales over the same requests.
#ifndef IGVK_API_SHEET_JOB_H
#define IGVK_API_SHEET_JOB_H

#include "api/image_batch.h"

#define SHEET_MOST 16 // rows, and column groups, at most

typedef struct sheet_axis {
    char label[32];
    double ig, cfg; // 0: as the method has it
} sheet_axis;

typedef struct sheet_job {
    device *device;
    store *store;
    const model_config *config;
    const parameter_set *parameters;
    const json_t *class_names;
    const image_request *requests; // columns of each group
    uint32_t request_count;
    sampling_method method;        // its scales are what rows switch on
    uint32_t batch;                // 0: chosen
    const char *title, *path;
    sheet_axis rows[SHEET_MOST], groups[SHEET_MOST]; // filled by sheet_job_rows or sheet_job_grid
    uint32_t row_count, group_count;
} sheet_job;

// "none,cfg,ig,ig+cfg": one row each, with the method's scales.
igvk_status sheet_job_rows(sheet_job *j, const char *rows);
// "ig=1,1.4,1.8 cfg=1,1.5": a row for each IG scale, a column group for each CFG scale.
igvk_status sheet_job_grid(sheet_job *j, const char *grid);
// Samples row by row and writes the PNG whole. Channels must be 1 or 3.
igvk_status sheet_job_draw(sheet_job *j, const igvk_events *events);
// Samples of row r, group k are given to `each` too, where set (the classifier's counts).
typedef igvk_status (*sheet_cell)(void *user, uint32_t row, uint32_t group, const float *images);
igvk_status sheet_job_draw_and(sheet_job *j, const igvk_events *events, sheet_cell each, void *user);

#endif
