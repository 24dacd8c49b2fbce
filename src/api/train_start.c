// SPDX-License-Identifier: MIT
#include "api/train_start.h"

#include "api/loaded_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the file says of its model, options may not say again. --head-after alone may differ: the head is then new.
static igvk_status check_options(const igvk_train_options *o) {
    if (o->model[0] || o->width || o->depth || o->heads || o->patch || o->qk_norm || o->no_shift || o->rms_norm ||
        o->swiglu || o->rotary)
        return fail(IGVK_ERROR_INVALID,
                    "--init brings its own model: leave --model, --width, --depth, --heads, --patch, --qk-norm, "
                    "--rms-norm, --swiglu, --rotary and --no-shift away");
    return IGVK_OK;
}

// The head learns beside blocks that stay as they are, so they must be of this data.
static igvk_status check_kept(const train_start *s, const dataset_info *data) {
    const model_config *m = weights_config(s->file);
    if (m->height != data->height || m->width != data->width || m->classes != data->classes)
        return fail(IGVK_ERROR_INVALID,
                    "--train-head-only: %s is of %ux%u in %u classes, the dataset of %ux%u in %u: only the head can "
                    "learn, so they must be the same",
                    s->path, m->width, m->height, m->classes, data->width, data->height, data->classes);
    return IGVK_OK;
}

static igvk_status fit_to_data(const igvk_train_options *o, const dataset_info *data, train_start *s) {
    model_config *m = &s->model;
    *m = *weights_config(s->file);
    if (m->channels != data->channels)
        return fail(IGVK_ERROR_INVALID, "%s: is of %u channels, the dataset has %u", s->path, m->channels,
                    data->channels);
    if (o->train_head_only && check_kept(s, data) != IGVK_OK)
        return IGVK_ERROR_INVALID;
    m->height = data->height;
    m->width = data->width;
    m->classes = data->classes;
    if (!o->train_head_only)
        m->null_class = data->classes && o->label_dropout > 0;
    if (o->head_after)
        m->head_after = (uint32_t)o->head_after;
    if (m->head_after == 0) // as published: 8 of 28 blocks; a third of others
        m->head_after = m->depth == 28 ? 8 : m->depth >= 3 ? m->depth / 3 : 1;
    return model_config_check(m);
}

igvk_status train_start_open(const igvk_train_options *o, const dataset_info *data, const igvk_events *events,
                             train_start *out) {
    igvk_status status = IGVK_OK;
    memset(out, 0, sizeof *out);
    out->seed = o->seed;
    out->events = events;
    TRY(check_options(o));
    TRY(model_file_of(o->init, &out->path));
    TRY(weights_open(out->path, o->init_weights ? "model" : "ema", &out->file));
    TRY(fit_to_data(o, data, out));
    // Refused before a device is opened or a folder made.
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    status = l ? IGVK_OK : fail_memory("the parameter layout", 0);
    if (status == IGVK_OK) {
        model_kind_find(out->model.kind)->parameters(&out->model, l);
        status = parameter_layout_check(l);
    }
    if (status == IGVK_OK)
        status = weights_adapt(out->file, &out->model, l, out->seed, &out->adapted);
    adapted_weights_free(&out->adapted);
    parameter_layout_destroy(&l);
done:
    if (status != IGVK_OK)
        train_start_close(out);
    return status;
}

void train_start_close(train_start *s) {
    adapted_weights_free(&s->adapted);
    weights_close(&s->file);
    free(s->path);
    memset(s, 0, sizeof *s);
}

static void tell(const train_start *s, const char *text) {
    if (s->events && s->events->message)
        s->events->message(s->events->user, text);
}

igvk_status train_start_source(void *start, const parameter_layout *l, parameter_source *source) {
    train_start *s = start;
    char text[2 * IGVK_TEXT];
    igvk_status status = weights_adapt(s->file, &s->model, l, s->seed, &s->adapted);
    if (status != IGVK_OK)
        return status;
    uint64_t trained = 0;
    for (size_t i = 0; i < parameter_count(l); i++)
        if (parameter_at(l, i)->group != PARAMETER_KEPT)
            trained += shape_elements(parameter_at(l, i)->shape);
    const char *notes[] = {adapted_weights_notes(s->adapted), weights_notes(s->file)};
    snprintf(text, sizeof text, "starting from %s%s%s%s%s", s->path, notes[0][0] ? ": " : "", notes[0],
             notes[1][0] ? "; " : "", notes[1]);
    tell(s, text);
    snprintf(text, sizeof text, "training the auxiliary head alone, after block %u: %llu of %llu parameters",
             s->model.head_after, (unsigned long long)trained, (unsigned long long)parameter_elements(l));
    if (trained != parameter_elements(l))
        tell(s, text);
    *source = (parameter_source){.read = adapted_weights_read, .user = s->adapted};
    return IGVK_OK;
}
