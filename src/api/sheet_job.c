// SPDX-License-Identifier: MIT
#include "api/sheet_job.h"

#include "api/loaded_model.h"
#include "api/request_sheet.h"
#include "core/clock.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- rows and groups -------------------------------------------------------------------------------

static sampling_method method_of(const sheet_job *j, uint32_t row, uint32_t group) {
    const sheet_axis *axes[] = {&j->rows[row], &j->groups[group]};
    sampling_method m = j->method;
    for (int k = 0; k < 2; k++) {
        m.ig.scale = axes[k]->ig > 0 ? axes[k]->ig : m.ig.scale;
        m.cfg.scale = axes[k]->cfg > 0 ? axes[k]->cfg : m.cfg.scale;
    }
    return m;
}

// "demo IG 1.5, CFG 1.5"
static void row_label(const sheet_job *j, uint32_t model, uint32_t row, char *out, size_t size) {
    const char *name = j->models[model].name;
    snprintf(out, size, "%.24s%s%s", name ? name : "", name ? " " : "", j->rows[row].label);
}

static void column_label(const sheet_job *j, uint32_t column, char *out, size_t size) {
    char number[16];
    const char *group = j->groups[column / j->request_count].label;
    uint32_t i = column % j->request_count;
    const char *name = j->models[0].config->classes ? class_name(j->class_names, j->requests[i].label, number) : "";
    snprintf(out, size, "%.30s%s%.24s", i == 0 ? group : "", i == 0 && group[0] ? " " : "", name);
}

static const model_config *pictures_of(const sheet_job *j) {
    return j->pictures ? picture_maker_config(j->pictures) : j->models[0].config;
}

static igvk_status create_sheet(sheet_job *j) {
    igvk_status status = IGVK_OK;
    const model_config *c = pictures_of(j);
    uint32_t row_count = j->model_count * j->row_count, column_count = j->group_count * j->request_count;
    label_texts columns = {0}, rows = {0};
    TRY(label_texts_create(&columns, column_count));
    TRY(label_texts_create(&rows, row_count));
    for (uint32_t r = 0; r < row_count; r++)
        row_label(j, r / j->row_count, r % j->row_count, rows.texts[r], sizeof *rows.texts);
    for (uint32_t k = 0; k < column_count; k++)
        column_label(j, k, columns.texts[k], sizeof *columns.texts);
    TRY(sheet_create(&(sheet_options){.rows = row_count,
                                      .columns = column_count,
                                      .channels = c->channels,
                                      .height = c->height,
                                      .width = c->width,
                                      .title = j->title,
                                      .row_labels = rows.pointers,
                                      .column_labels = columns.pointers},
                     &j->sheet));
done:
    label_texts_free(&columns);
    label_texts_free(&rows);
    return status;
}

igvk_status sheet_job_lay_out(sheet_job *j) {
    igvk_status status = IGVK_OK;
    if (!j->path || j->sheet)
        return IGVK_OK;
    TRY(file_check_writable(j->path));
    TRY(fail_within(create_sheet(j), "%s", j->path));
done:
    return status;
}

void sheet_job_close(sheet_job *j) {
    sheet_destroy(&j->sheet);
}

uint32_t sheet_job_cells(const sheet_job *j) {
    return j->model_count * j->row_count * j->group_count;
}

bool sheet_job_uses_cfg(const sheet_job *j) {
    for (uint32_t k = 0; k < j->row_count * j->group_count; k++)
        if (method_of(j, k / j->group_count, k % j->group_count).cfg.scale > 1)
            return true;
    return false;
}

bool sheet_job_uses_ig(const sheet_job *j) {
    for (uint32_t k = 0; k < j->row_count * j->group_count; k++)
        if (method_of(j, k / j->group_count, k % j->group_count).ig.scale != 1)
            return true;
    return false;
}

typedef struct cells {
    sheet_job *j;
    float *outputs; // [batch] of the model
    float *images;  // [request_count] of one cell
    sampling_progress progress;
} cells;

static image_batch_options batch_of(const sheet_job *j, uint32_t model, const sampling_method *method) {
    const sheet_model *m = &j->models[model];
    return (image_batch_options){.device = j->device,
                                 .store = m->store,
                                 .config = m->config,
                                 .parameters = m->parameters,
                                 .method = method,
                                 .batch = m->batch,
                                 .expected = j->request_count};
}

// One batch for all cells, since the store's tensors keep its size: the least that any of them takes. What a cell
// needs depends on which guidances it has, not on their scales.
static igvk_status choose_batch(sheet_job *j, uint32_t model) {
    igvk_status status = IGVK_OK;
    bool seen[2][2] = {{false}};
    uint32_t least = 0, size = 0;
    for (uint32_t k = 0; k < j->row_count * j->group_count; k++) {
        sampling_method method = method_of(j, k / j->group_count, k % j->group_count);
        image_batch_options o = batch_of(j, model, &method);
        if (seen[method.ig.scale > 1][method.cfg.scale > 1])
            continue;
        seen[method.ig.scale > 1][method.cfg.scale > 1] = true;
        TRY(image_batch_choose(&o, &size));
        least = least && least < size ? least : size;
    }
    j->models[model].batch = least;
done:
    return status;
}

static igvk_status sample_cell(cells *c, uint32_t model, uint32_t row, uint32_t group) {
    igvk_status status = IGVK_OK;
    sheet_job *j = c->j;
    const sheet_model *m = &j->models[model];
    sampling_method method = method_of(j, row, group);
    image_batch *batch = NULL;
    const uint64_t elements = model_elements(pictures_of(j));
    image_batch_options o = batch_of(j, model, &method);
    TRY(image_batch_create(&o, &batch));
    for (uint32_t i = 0; i < j->request_count; i += m->batch) {
        uint32_t n = j->request_count - i < m->batch ? j->request_count - i : m->batch;
        float *outputs = j->pictures ? c->outputs : c->images + i * elements;
        TRY(image_batch_run(batch, j->requests + i, n, &c->progress, outputs));
        if (j->pictures)
            TRY(picture_maker_run(j->pictures, outputs, n, c->images + i * elements));
        TRY(sampling_progress_batch(&c->progress, n));
    }
    for (uint32_t i = 0; c->j->sheet && i < j->request_count; i++)
        sheet_put_f32(c->j->sheet, model * j->row_count + row, group * j->request_count + i, c->images + i * elements);
done:
    image_batch_destroy(&batch);
    return status;
}

igvk_status sheet_job_plan(sheet_job *j, uint32_t *least) {
    igvk_status status = IGVK_OK;
    image_batch *batch = NULL;
    *least = UINT32_MAX;
    for (uint32_t cell = 0; cell < sheet_job_cells(j); cell++) {
        const uint32_t row = cell / j->group_count, model = row / j->row_count;
        if (cell % (j->row_count * j->group_count) == 0)
            TRY(choose_batch(j, model));
        const sampling_method method = method_of(j, row % j->row_count, cell % j->group_count);
        const image_batch_options o = batch_of(j, model, &method);
        TRY(image_batch_create(&o, &batch));
        *least = image_batch_size(batch) < *least ? image_batch_size(batch) : *least;
        image_batch_destroy(&batch);
    }
done:
    image_batch_destroy(&batch);
    return status;
}

void sheet_job_cell_label(const sheet_job *j, uint32_t cell, char *out, size_t size) {
    uint32_t row = cell / j->group_count;
    const char *group = j->groups[cell % j->group_count].label;
    row_label(j, row / j->row_count, row % j->row_count, out, size);
    if (group[0])
        snprintf(out + strlen(out), size - strlen(out), ", %s", group);
}

igvk_status sheet_job_draw(sheet_job *j, const igvk_events *events, sheet_cell each, void *user) {
    igvk_status status = IGVK_OK;
    const uint64_t elements = model_elements(pictures_of(j));
    uint32_t cell_count = sheet_job_cells(j);
    cells c = {.j = j,
               .progress = {.events = events,
                            .device = j->device,
                            .total = (uint64_t)cell_count * j->request_count,
                            .start = clock_seconds(),
                            .saved = "the sheet was not written"}};
    c.images = calloc(j->request_count * elements, sizeof *c.images);
    c.outputs = calloc(j->request_count * model_elements(j->models[0].config), sizeof *c.outputs);
    if (!c.images || !c.outputs)
        TRY(fail_memory("a row of images", j->request_count * elements * sizeof *c.images));
    TRY(sheet_job_lay_out(j));
    for (uint32_t model = 0; model < j->model_count; model++)
        TRY(choose_batch(j, model));
    for (uint32_t cell = 0; cell < cell_count; cell++) {
        char label[CELL_LABEL];
        uint32_t row = cell / j->group_count;
        TRY(sample_cell(&c, row / j->row_count, row % j->row_count, cell % j->group_count));
        sheet_job_cell_label(j, cell, label, sizeof label);
        if (each)
            TRY(each(user, label, c.images));
    }
    if (j->path)
        TRY(sheet_write(j->sheet, j->path, j->title));
done:
    sheet_job_close(j);
    free(c.images);
    free(c.outputs);
    return status;
}
