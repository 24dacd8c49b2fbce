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

static igvk_status create_sheet(const sheet_job *j, sheet **out) {
    igvk_status status = IGVK_OK;
    const model_config *c = j->models[0].config;
    uint32_t row_count = j->model_count * j->row_count, column_count = j->group_count * j->request_count;
    labels columns = {0}, rows = {0};
    TRY(labels_create(&columns, column_count));
    TRY(labels_create(&rows, row_count));
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
                     out));
done:
    labels_free(&columns);
    labels_free(&rows);
    return status;
}

typedef struct cells {
    sheet_job *j;
    sheet *sheet;  // null: not drawn
    float *images; // [request_count] of one cell
    sampling_progress progress;
} cells;

static sampling_method method_of(const sheet_job *j, uint32_t row, uint32_t group) {
    const sheet_axis *axes[] = {&j->rows[row], &j->groups[group]};
    sampling_method m = j->method;
    for (int k = 0; k < 2; k++) {
        m.ig.scale = axes[k]->ig > 0 ? axes[k]->ig : m.ig.scale;
        m.cfg.scale = axes[k]->cfg > 0 ? axes[k]->cfg : m.cfg.scale;
    }
    return m;
}

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
    uint64_t elements = model_elements(m->config);
    image_batch_options o = batch_of(j, model, &method);
    TRY(image_batch_create(&o, &batch));
    for (uint32_t i = 0; i < j->request_count; i += m->batch) {
        uint32_t n = j->request_count - i < m->batch ? j->request_count - i : m->batch;
        TRY(image_batch_run(batch, j->requests + i, n, &c->progress, c->images + i * elements));
        TRY(sampling_progress_batch(&c->progress, n));
    }
    for (uint32_t i = 0; c->sheet && i < j->request_count; i++)
        sheet_put_f32(c->sheet, model * j->row_count + row, group * j->request_count + i, c->images + i * elements);
done:
    image_batch_destroy(&batch);
    return status;
}

static igvk_status sample_row(cells *c, uint32_t model, uint32_t row, sheet_cell each, void *user) {
    igvk_status status = IGVK_OK;
    for (uint32_t group = 0; group < c->j->group_count; group++) {
        char label[64];
        const char *of_group = c->j->groups[group].label;
        TRY(sample_cell(c, model, row, group));
        row_label(c->j, model, row, label, sizeof label);
        if (of_group[0])
            snprintf(label + strlen(label), sizeof label - strlen(label), ", %s", of_group);
        if (each)
            TRY(each(user, label, c->images));
    }
done:
    return status;
}

igvk_status sheet_job_draw(sheet_job *j, const igvk_events *events, sheet_cell each, void *user) {
    igvk_status status = IGVK_OK;
    uint64_t elements = model_elements(j->models[0].config);
    uint64_t cell_count = (uint64_t)j->model_count * j->row_count * j->group_count;
    cells c = {.j = j,
               .progress = {.events = events,
                            .device = j->device,
                            .total = cell_count * j->request_count,
                            .start = clock_seconds(),
                            .saved = "the sheet was not written"}};
    c.images = calloc(j->request_count * elements, sizeof *c.images);
    if (!c.images)
        return fail_memory("a row of images", j->request_count * elements * sizeof *c.images);
    if (j->path)
        TRY(create_sheet(j, &c.sheet));
    for (uint32_t model = 0; model < j->model_count; model++)
        TRY(choose_batch(j, model));
    for (uint32_t model = 0; model < j->model_count; model++)
        for (uint32_t row = 0; row < j->row_count; row++)
            TRY(sample_row(&c, model, row, each, user));
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

igvk_status sheet_plain(const char *path, const model_config *c, const json_t *class_names,
                        const image_request *requests, uint64_t count, uint32_t columns, const char *title,
                        const float *images) {
    igvk_status status = IGVK_OK;
    labels names = {0};
    sheet *s = NULL;
    TRY(labels_create(&names, columns));
    for (uint32_t k = 0; c->classes && k < columns; k++) {
        char number[16];
        if (one_class(requests, count, columns, k))
            snprintf(names.texts[k], sizeof *names.texts, "%.60s", class_name(class_names, requests[k].label, number));
    }
    TRY(sheet_create(&(sheet_options){.rows = (uint32_t)((count + columns - 1) / columns),
                                      .columns = columns,
                                      .channels = c->channels,
                                      .height = c->height,
                                      .width = c->width,
                                      .title = title,
                                      .column_labels = names.pointers},
                     &s));
    for (uint64_t i = 0; i < count; i++)
        sheet_put_f32(s, (uint32_t)(i / columns), (uint32_t)(i % columns), images + i * model_elements(c));
    TRY(write_sheet(s, path, title));
done:
    labels_free(&names);
    sheet_destroy(&s);
    return status;
}
