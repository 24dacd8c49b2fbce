// SPDX-License-Identifier: MIT
#include "api/request_sheet.h"

#include "api/loaded_model.h"
#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>

igvk_status label_texts_create(label_texts *l, uint32_t count) {
    l->texts = calloc(count, sizeof *l->texts);
    l->pointers = calloc(count, sizeof *l->pointers);
    for (uint32_t i = 0; l->texts && l->pointers && i < count; i++)
        l->pointers[i] = l->texts[i];
    return l->texts && l->pointers ? IGVK_OK : fail_memory("labels", count * sizeof *l->texts);
}

void label_texts_free(label_texts *l) {
    free(l->texts);
    free(l->pointers);
}

igvk_status sheet_write(const sheet *s, const char *path, const char *title) {
    image_text text = {"igvk", title};
    return image_write_png(path, sheet_image(s), &text, 1);
}

static bool one_class(const request_sheet_options *o, uint32_t column) {
    for (uint64_t i = column; i < o->count; i += o->columns)
        if (o->requests[i].label != o->requests[column].label)
            return false;
    return column < o->count;
}

igvk_status request_sheet_create(const request_sheet_options *o, sheet **out) {
    igvk_status status = IGVK_OK;
    const model_config *c = o->config;
    label_texts names = {0};
    char number[16];
    *out = NULL;
    TRY(file_check_writable(o->path));
    TRY(label_texts_create(&names, o->columns));
    for (uint32_t k = 0; c->classes && k < o->columns; k++)
        if (one_class(o, k))
            snprintf(names.texts[k], sizeof *names.texts, "%.60s",
                     class_name(o->class_names, o->requests[k].label, number));
    sheet_options s = {.rows = o->rows,
                       .columns = o->columns,
                       .channels = c->channels,
                       .height = c->height,
                       .width = c->width,
                       .title = o->title,
                       .row_labels = o->row_labels,
                       .column_labels = names.pointers};
    TRY(fail_within(sheet_create(&s, out), "%s", o->path));
done:
    label_texts_free(&names);
    return status;
}
