// SPDX-License-Identifier: MIT
// Contact sheets of samples: rows and column groups of guidance scales over the same requests.
#ifndef IGVK_API_SHEET_JOB_H
#define IGVK_API_SHEET_JOB_H

#include "api/image_batch.h"
#include "api/pictures.h"
#include "data/sheet.h"

#define SHEET_MOST 16 // rows, and column groups, at most

typedef struct sheet_axis {
    char label[48];
    double ig, cfg; // 0: as the method has it
} sheet_axis;

// A model whose rows the sheet has; all models of a sheet make images of one shape and of the same classes.
typedef struct sheet_model {
    const char *name; // before its rows' labels; null: none
    store *store;
    const model_config *config;
    const parameter_set *parameters;
    uint32_t batch; // 0: chosen, for the row that needs most
} sheet_model;
#define SHEET_MODELS 2

typedef struct sheet_job {
    device *device;
    sheet_model models[SHEET_MODELS]; // one block of rows each
    uint32_t model_count;
    picture_maker *pictures; // of the models' outputs; null: they are pictures
    const json_t *class_names;
    const image_request *requests; // columns of each group
    uint32_t request_count;
    sampling_method method;                          // its scales are what rows switch on
    const char *title, *path;                        // path null: nothing is drawn
    sheet_axis rows[SHEET_MOST], groups[SHEET_MOST]; // filled by sheet_job_rows or sheet_job_grid
    uint32_t row_count, group_count;
    sheet *sheet; // between sheet_job_lay_out and the end of sheet_job_draw
} sheet_job;

// "none,cfg,ig,ig+cfg": one row each, with the method's scales.
igvk_status sheet_job_rows(sheet_job *j, const char *rows);
// "ig=1,1.4,1.8 cfg=1,1.5": a row for each IG scale, a column group for each CFG scale; a scale not named is the
// method's.
igvk_status sheet_job_grid(sheet_job *j, const char *grid);
// Cells in the order in which they are drawn, and their labels: "IG 1.4, CFG 1.5".
uint32_t sheet_job_cells(const sheet_job *j);
#define CELL_LABEL 64
void sheet_job_cell_label(const sheet_job *j, uint32_t cell, char *out, size_t size);
// Whether any cell needs the no-class label.
bool sheet_job_uses_cfg(const sheet_job *j);
bool sheet_job_uses_ig(const sheet_job *j);
// Refuses a sheet that is too large or cannot be written, without a device. sheet_job_draw does it where it is not
// done; sheet_job_close ends a job that is not drawn.
igvk_status sheet_job_lay_out(sheet_job *j);
void sheet_job_close(sheet_job *j);
// On a planning device: makes ready what each cell needs, one after the other; the least batch of the models.
igvk_status sheet_job_plan(sheet_job *j, uint32_t *batch);
// Samples row by row and writes the PNG whole. Pictures of each row and group are also given to `each` (may be null)
// with the row's label.
typedef igvk_status (*sheet_cell)(void *user, const char *label, const float *images);
igvk_status sheet_job_draw(sheet_job *j, const igvk_events *events, sheet_cell each, void *user);

#endif
