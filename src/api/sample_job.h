// SPDX-License-Identifier: MIT
// What igvk_sample works on: made ready by sample_prepare.c, run by sample.c.
#ifndef IGVK_API_SAMPLE_JOB_H
#define IGVK_API_SAMPLE_JOB_H

#include "api/loaded_model.h"
#include "api/nearest_count.h"
#include "api/pictures.h"
#include "api/sample_files.h"
#include "api/sheet_job.h"

typedef struct sampling_job {
    const igvk_sample_options *o;
    const igvk_events *events;
    device *device;
    loaded_model model, compared; // compared: --compare's, else empty
    loaded_model weak;            // --autoguidance's, else empty
    picture_maker *pictures;
    sampling_method method;
    image_request *requests;
    uint64_t count;
    char parameters[1024];  // what shapes the pictures, one line
    nearest_count *nearest; // null without --against
    sample_files *files;    // null where a sheet has rows or a grid
    sheet *plain;           // null where a sheet has rows or a grid, or none is asked for
    sheet_job sheet;        // else
} sampling_job;

// All that can be refused is, from options, headers and paths; then the device is opened and the weights are read.
igvk_status sample_prepare(sampling_job *j);
// Rows or a grid over guidance; else one row of images.
static inline bool sample_has_axes(const sampling_job *j) { return j->o->sheet_rows[0] || j->o->grid[0]; }
uint32_t sample_columns(const sampling_job *j); // of a plain sheet
void sample_message(const sampling_job *j, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
