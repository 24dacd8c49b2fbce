// SPDX-License-Identifier: MIT
#include "api/nearest_count.h"

#include "api/request_sheet.h"
#include "data/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct counted_row {
    char label[80];
    uint64_t right;
    double distance; // summed
} counted_row;

struct nearest_count {
    nearest_count_options o;
    dataset *data;
    counted_row *rows; // [o.rows]
    uint32_t row_count;
    sheet *sheet;          // null: none
    uint32_t sheet_height; // rows of samples that one row of the count takes
};

static igvk_status check_classes(const char *folder, const dataset_info *info, const model_config *c,
                                 const json_t *class_names) {
    if (info->channels != c->channels || info->height != c->height || info->width != c->width ||
        info->classes != c->classes)
        return fail(IGVK_ERROR_INVALID,
                    "--against %s: images of %ux%ux%u in %u classes, the model makes %ux%ux%u in %u", folder,
                    info->channels, info->height, info->width, info->classes, c->channels, c->height, c->width,
                    c->classes);
    for (uint32_t k = 0; k < info->classes; k++) {
        const char *name = json_string_value(json_array_get(class_names, k));
        if (name && strcmp(name, info->class_names[k]) != 0)
            return fail(IGVK_ERROR_INVALID, "--against %s: class %u is '%.40s', the model's is '%.40s'", folder, k,
                        info->class_names[k], name);
    }
    return IGVK_OK;
}

// Rows of samples alternate with rows of their nearest images.
static igvk_status lay_out(nearest_count *n) {
    igvk_status status = IGVK_OK;
    const nearest_count_options *o = &n->o;
    label_texts labels = {0};
    n->sheet_height = (uint32_t)((o->request_count + o->sheet_columns - 1) / o->sheet_columns);
    uint32_t rows = 2 * o->rows * n->sheet_height;
    TRY(label_texts_create(&labels, rows));
    for (uint32_t r = 0; r < rows; r++)
        snprintf(labels.texts[r], sizeof *labels.texts, "%s",
                 r % 2           ? "nearest"
                 : o->row_labels ? o->row_labels[r / 2 / n->sheet_height]
                                 : "sample");
    TRY(request_sheet_create(&(request_sheet_options){.config = o->config,
                                                      .class_names = o->class_names,
                                                      .requests = o->requests,
                                                      .count = o->request_count,
                                                      .columns = o->sheet_columns,
                                                      .rows = rows,
                                                      .row_labels = labels.pointers,
                                                      .title = o->title,
                                                      .path = o->sheet},
                             &n->sheet));
done:
    label_texts_free(&labels);
    return status;
}

igvk_status nearest_count_create(const nearest_count_options *o, nearest_count **out) {
    igvk_status status = IGVK_OK;
    nearest_count *n = calloc(1, sizeof *n);
    *out = NULL;
    if (!n || !(n->rows = calloc(o->rows, sizeof *n->rows))) {
        status = fail_memory("counts", o->rows * sizeof *n->rows);
        goto done;
    }
    n->o = *o;
    TRY(dataset_open(o->folder, &n->data));
    TRY(check_classes(o->folder, dataset_describe(n->data), o->config, o->class_names));
    if (o->sheet[0])
        TRY(lay_out(n));
    *out = n;
    n = NULL;
done:
    nearest_count_destroy(&n);
    return status;
}

void nearest_count_destroy(nearest_count **n) {
    if (!*n)
        return;
    sheet_destroy(&(*n)->sheet);
    dataset_close(&(*n)->data);
    free((*n)->rows);
    free(*n);
    *n = NULL;
}

// Each sample and, below it, its nearest image.
static igvk_status draw(nearest_count *n, const float *images, const nearest_match *matches) {
    igvk_status status = IGVK_OK;
    uint64_t elements = model_elements(n->o.config);
    float *nearest = malloc(elements * sizeof *nearest);
    if (!nearest)
        return fail_memory("one image", elements * sizeof *nearest);
    for (uint64_t i = 0; i < n->o.request_count; i++) {
        uint32_t label = 0, column = (uint32_t)(i % n->o.sheet_columns);
        uint32_t row = 2 * (n->row_count * n->sheet_height + (uint32_t)(i / n->o.sheet_columns));
        TRY(dataset_read(n->data, matches[i].index, NULL, nearest, &label));
        sheet_put_f32(n->sheet, row, column, images + i * elements);
        sheet_put_f32(n->sheet, row + 1, column, nearest);
    }
done:
    free(nearest);
    return status;
}

static bool asked_to_stop(void *user, uint64_t done, uint64_t total) {
    const igvk_events *events = user;
    (void)done;
    (void)total;
    return events && events->stop && events->stop(events->user);
}

igvk_status nearest_count_add(nearest_count *n, const char *label, const float *images) {
    igvk_status status = IGVK_OK;
    uint64_t count = n->o.request_count;
    nearest_match *matches = calloc(count + 1, sizeof *matches);
    counted_row *row = &n->rows[n->row_count];
    if (!matches)
        return fail_memory("matches", count * sizeof *matches);
    if (n->row_count == n->o.rows)
        THROW(IGVK_ERROR_INTERNAL, "more rows to count than the %u that were announced", n->o.rows);
    TRY(nearest_find(n->data, images, count, matches, asked_to_stop, (void *)n->o.events));
    if (n->sheet)
        TRY(draw(n, images, matches));
    snprintf(row->label, sizeof row->label, "%s", label);
    for (uint64_t i = 0; i < count; i++) {
        row->right += matches[i].label == n->o.requests[i].label;
        row->distance += matches[i].distance;
    }
    n->row_count++;
done:
    free(matches);
    return status;
}

static void tell(const nearest_count *n, const counted_row *row) {
    char text[256];
    double count = (double)n->o.request_count;
    snprintf(text, sizeof text,
             "nearest training image is of the class asked for: %s: %llu of %llu (%.1f %%), mean distance %.2f",
             row->label, (unsigned long long)row->right, (unsigned long long)n->o.request_count,
             100 * (double)row->right / count, row->distance / count);
    n->o.events->message(n->o.events->user, text);
}

igvk_status nearest_count_finish(nearest_count *n) {
    if (!n)
        return IGVK_OK;
    for (uint32_t r = 0; r < n->row_count && n->o.events && n->o.events->message; r++)
        tell(n, &n->rows[r]);
    return n->sheet ? sheet_write(n->sheet, n->o.sheet, n->o.title) : IGVK_OK;
}
