// SPDX-License-Identifier: MIT
#include "api/sheet_job.h"

#include "api/loaded_model.h"
#include "core/clock.h"
#include "data/sheet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct labels {
    char (*texts)[64];
    const char **pointers;
} labels;

static igvk_status labels_create(labels *l, uint32_t count) {
    l->texts = calloc(count, sizeof *l->texts);
    l->pointers = calloc(count, sizeof *l->pointers);
    for (uint32_t i = 0; l->texts && l->pointers && i < count; i++)
        l->pointers[i] = l->texts[i];
    return l->texts && l->pointers ? IGVK_OK : fail_memory("labels", count * sizeof *l->texts);
}

static void labels_free(labels *l) {
    free(l->texts);
    free(l->pointers);
}

static igvk_status write_sheet(const sheet *s, const char *path, const char *title) {
    image_text text = {"igvk", title};
    return image_write_png(path, sheet_image(s), &text, 1);
}

// ---- rows and groups -------------------------------------------------------------------------------

static igvk_status create_sheet(const sheet_job *j, sheet **out) {
    igvk_status status = IGVK_OK;
    const model_config *c = j->config;
    labels columns = {0}, rows = {0};
    TRY(labels_create(&columns, j->group_count * j->request_count));
    TRY(labels_create(&rows, j->row_count));
    for (uint32_t r = 0; r < j->row_count; r++)
        snprintf(rows.texts[r], sizeof *rows.texts, "%s", j->rows[r].label);
    for (uint32_t k = 0; k < j->group_count * j->request_count; k++) {
        char number[16];
        uint32_t i = k % j->request_count;
        const char *name = c->classes ? class_name(j->class_names, j->requests[i].label, number) : "";
        snprintf(columns.texts[k], sizeof *columns.texts, "%.30s%s%.24s", i == 0 ? j->groups[k / j->request_count].label : "",
                 i == 0 && j->groups[k / j->request_count].label[0] ? " " : "", name);
    }
    TRY(sheet_create(&(sheet_options){.rows = j->row_count, .columns = j->group_count * j->request_count, .channels = c->channels,
                                      .height = c->height, .width = c->width, .title = j->title, .row_labels = rows.pointers,
                                      .column_labels = columns.pointers}, out));
done:
    labels_free(&columns);
    labels_free(&rows);
    return status;
}

typedef struct cells {
    sheet_job *j;
    const igvk_events *events;
    sheet *sheet; // null: not drawn
    float *images; // [request_count] of one cell
    double start;
    uint64_t done;
} cells;

static igvk_status tell(cells *c) {
    uint64_t total = (uint64_t)c->j->row_count * c->j->group_count * c->j->request_count;
    double seconds = clock_seconds() - c->start, rate = seconds > 0 ? (double)c->done / seconds : 0;
    igvk_progress p = {.what = "sample", .done = c->done, .total = total, .seconds = seconds, .rate = rate,
                       .seconds_left = rate > 0 ? (double)(total - c->done) / rate : -1, .device_bytes = device_memory_used(c->j->device)};
    if (c->events && c->events->progress)
        c->events->progress(c->events->user, &p);
    if (c->done < total && c->events && c->events->stop && c->events->stop(c->events->user))
        return fail(IGVK_INTERRUPTED, "stopped; the sheet was not written");
    return IGVK_OK;
}

static igvk_status sample_cell(cells *c, uint32_t row, uint32_t group) {
    igvk_status status = IGVK_OK;
    sheet_job *j = c->j;
    const sheet_axis *axes[] = {&j->rows[row], &j->groups[group]};
    sampling_method m = j->method;
    image_batch *batch = NULL;
    uint64_t elements = model_elements(j->config);
    for (int k = 0; k < 2; k++) {
        m.ig.scale = axes[k]->ig > 0 ? axes[k]->ig : m.ig.scale;
        m.cfg.scale = axes[k]->cfg > 0 ? axes[k]->cfg : m.cfg.scale;
    }
    TRY(image_batch_create(&(image_batch_options){.device = j->device, .store = j->store, .config = j->config, .parameters = j->parameters,
                                                  .method = &m, .batch = j->batch, .expected = j->request_count}, &batch));
    j->batch = image_batch_size(batch); // the store's tensors have this size from now on
    for (uint32_t i = 0; i < j->request_count; i += j->batch) {
        uint32_t n = j->request_count - i < j->batch ? j->request_count - i : j->batch;
        TRY(image_batch_run(batch, j->requests + i, n, c->images + i * elements));
        c->done += n;
        TRY(tell(c));
    }
    for (uint32_t i = 0; c->sheet && i < j->request_count; i++)
        sheet_put_f32(c->sheet, row, group * j->request_count + i, c->images + i * elements);
done:
    image_batch_destroy(&batch);
    return status;
}

igvk_status sheet_job_draw(sheet_job *j, const igvk_events *events, sheet_cell each, void *user) {
    igvk_status status = IGVK_OK;
    cells c = {.j = j, .events = events, .start = clock_seconds()};
    c.images = calloc(j->request_count * model_elements(j->config), sizeof *c.images);
    if (!c.images)
        return fail_memory("a row of images", j->request_count * model_elements(j->config) * sizeof *c.images);
    if (j->path)
        TRY(create_sheet(j, &c.sheet));
    for (uint32_t row = 0; row < j->row_count; row++)
        for (uint32_t group = 0; group < j->group_count; group++) {
            TRY(sample_cell(&c, row, group));
            if (each)
                TRY(each(user, row, group, c.images));
        }
    if (j->path)
        TRY(write_sheet(c.sheet, j->path, j->title));
done:
    sheet_destroy(&c.sheet);
    free(c.images);
    return status;
}

// ---- plain -----------------------------------------------------------------------------------------

static bool one_class(const image_request *requests, uint64_t count, uint32_t columns, uint32_t column) {
    for (uint64_t i = column; i < count; i += columns)
        if (requests[i].label != requests[column].label)
            return false;
    return true;
}

igvk_status sheet_plain(const char *path, const model_config *c, const json_t *class_names, const image_request *requests,
                        uint64_t count, uint32_t columns, const char *title, const float *images) {
    igvk_status status = IGVK_OK;
    labels names = {0};
    sheet *s = NULL;
    TRY(labels_create(&names, columns));
    for (uint32_t k = 0; c->classes && k < columns; k++) {
        char number[16];
        if (one_class(requests, count, columns, k))
            snprintf(names.texts[k], sizeof *names.texts, "%.60s", class_name(class_names, requests[k].label, number));
    }
    TRY(sheet_create(&(sheet_options){.rows = (uint32_t)((count + columns - 1) / columns), .columns = columns, .channels = c->channels,
                                      .height = c->height, .width = c->width, .title = title, .column_labels = names.pointers}, &s));
    for (uint64_t i = 0; i < count; i++)
        sheet_put_f32(s, (uint32_t)(i / columns), (uint32_t)(i % columns), images + i * model_elements(c));
    TRY(write_sheet(s, path, title));
done:
    labels_free(&names);
    sheet_destroy(&s);
    return status;
}
