// SPDX-License-Identifier: MIT
// `igvk data show`: a sheet of a dataset's images, one row a class.
#include "api/latent_decoder.h"
#include "api/options.h"
#include "data/dataset.h"
#include "data/sheet.h"
#include "igvk/igvk_experimental.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_ROWS 64 // classes on one sheet: more could not be looked at

typedef struct show_job {
    const igvk_show_options *o;
    const igvk_events *events; // may be null
    dataset *data;
    const dataset_info *info;
    uint32_t rows, columns;
    uint32_t *filled; // [rows]: images that the row has
    uint32_t full;    // rows that need no more
    sheet *sheet;
} show_job;

static igvk_status make_sheet(show_job *j) {
    const dataset_info *info = j->info;
    char title[256];
    const uint32_t channels = info->latents ? 3 : info->channels;
    snprintf(title, sizeof title, "%llu %s of %ux%u, %u channels, %u classes, %llu held out",
             (unsigned long long)info->count, info->latents ? "latents in false colours" : "images",
             (unsigned)info->width, (unsigned)info->height, (unsigned)info->channels, (unsigned)info->classes,
             (unsigned long long)info->held_out);
    return fail_within(sheet_create(&(sheet_options){.rows = j->rows,
                                                     .columns = j->columns,
                                                     .channels = channels,
                                                     .height = info->height,
                                                     .width = info->width,
                                                     .title = title,
                                                     .row_labels = info->classes ? info->class_names : NULL},
                                    &j->sheet),
                       "--per-class %llu", (unsigned long long)j->o->per_class);
}

// Puts image `index` where there is room. Without classes it goes to the first row that has some.
static igvk_status place(show_job *j, uint64_t index, float *image, float *shown) {
    uint32_t row = 0;
    igvk_status status = dataset_read(j->data, index, NULL, image, &row);
    if (status != IGVK_OK)
        return status;
    if (j->info->classes == 0)
        row = j->full;
    if (row >= j->rows || j->filled[row] == j->columns)
        return IGVK_OK;
    if (j->info->latents) {
        const model_config c = {.channels = j->info->channels, .height = j->info->height, .width = j->info->width};
        latent_preview(&c, image, 1, shown);
    }
    sheet_put_f32(j->sheet, row, j->filled[row]++, j->info->latents ? shown : image);
    j->full += j->filled[row] == j->columns;
    return IGVK_OK;
}

// Images in the order of the seed, until every row is full or there are no more.
static igvk_status fill_rows(show_job *j) {
    igvk_status status = IGVK_OK;
    const dataset_info *info = j->info;
    const uint64_t plane = (uint64_t)info->height * info->width;
    float *image = calloc(plane, info->channels * sizeof *image), *shown = calloc(plane, 3 * sizeof *shown);
    if (!image || !shown)
        TRY(fail_memory("an image", plane * info->channels * sizeof *image));
    for (uint64_t i = 0; i < info->count && j->full < j->rows; i++) {
        TRY(place(j, dataset_order(j->o->seed, 0, i, info->count), image, shown));
        if (j->events && j->events->stop && j->events->stop(j->events->user))
            THROW(IGVK_INTERRUPTED, "stopped; no sheet was written");
    }
done:
    free(image);
    free(shown);
    return status;
}

static void tell(const show_job *j) {
    char text[2 * IGVK_TEXT];
    if (!j->events || !j->events->message)
        return;
    if (j->info->classes > j->rows)
        snprintf(text, sizeof text, "%s: the first %u of %u classes", j->o->out, (unsigned)j->rows,
                 (unsigned)j->info->classes);
    else
        snprintf(text, sizeof text, "%s: %u rows of %u images", j->o->out, (unsigned)j->rows, (unsigned)j->columns);
    j->events->message(j->events->user, text);
}

igvk_status igvk_data_show(const igvk_show_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    show_job j = {.o = o, .events = events};
    TRY(options_check(igvk_show_option_list(), o));
    if (!o->data[0])
        THROW(IGVK_ERROR_INVALID, "--data: name the dataset's folder");
    if (!o->out[0])
        THROW(IGVK_ERROR_INVALID, "--out: name the PNG file to write");
    TRY(dataset_open(o->data, &j.data));
    j.info = dataset_describe(j.data);
    j.columns = (uint32_t)o->per_class;
    j.rows = j.info->classes == 0 ? j.columns : j.info->classes < MOST_ROWS ? j.info->classes : MOST_ROWS;
    j.filled = calloc(j.rows, sizeof *j.filled);
    if (!j.filled)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the sheet's rows");
    TRY(make_sheet(&j));
    TRY(fill_rows(&j));
    TRY(image_write_png(o->out, sheet_image(j.sheet), NULL, 0));
    tell(&j);
done:
    sheet_destroy(&j.sheet);
    free(j.filled);
    dataset_close(&j.data);
    return status;
}
