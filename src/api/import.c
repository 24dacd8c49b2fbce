// SPDX-License-Identifier: MIT
// igvk_import: weights of others as a file of igvk: official names, types as stored, the configuration beside them.
#include "core/file.h"
#include "core/text.h"
#include "igvk/igvk_experimental.h"
#include "models/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (4u << 20)

typedef struct importer {
    weights_file *in;
    safetensors_writer *out;
    parameter_layout *layout;
    const igvk_import_options *o;
    const igvk_events *events;
    void *piece; // PIECE_BYTES
} importer;

static void say(const importer *m, const char *text) {
    if (text[0] && m->events && m->events->message)
        m->events->message(m->events->user, text);
}

static igvk_status hints_of(const igvk_import_options *o, model_hints *h) {
    uint64_t classes = 0;
    igvk_status status = IGVK_OK;
    memset(h, 0, sizeof *h);
    if (o->classes[0])
        TRY(parse_u64("--classes", o->classes, 0, 1 << 20, &classes));
    if (strlen(o->kind) >= sizeof h->kind || (o->kind[0] && !model_kind_find(o->kind)))
        THROW(IGVK_ERROR_INVALID, "--kind \"%.64s\": no kind of model is called so: sit, dit, mdtv2 or lightningdit",
              o->kind);
    strcpy(h->kind, o->kind);
    h->heads = (uint32_t)o->heads;
    h->head_after = (uint32_t)o->head_after;
    h->height = (uint32_t)o->height;
    h->width = (uint32_t)o->width;
    h->classes = (uint32_t)classes;
    h->knows_classes = o->classes[0] != 0;
    h->knows_path = o->path != 0;
    h->path = o->path == 2 ? PATH_COSINE : PATH_LINEAR;
done:
    return status;
}

static igvk_status check_space(const importer *m) {
    uint64_t need = safetensors_file_size(m->out), available = 0;
    char a[32], b[32], folder[IGVK_TEXT];
    snprintf(folder, sizeof folder, "%s", m->o->out);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    igvk_status status = disk_free(slash ? folder : ".", &available);
    if (status == IGVK_OK && available < need)
        status = fail(IGVK_ERROR_IO, "%s: needs %s, the disk has %s free; free some space or choose another folder",
                      m->o->out, format_bytes(a, need), format_bytes(b, available));
    return status;
}

static igvk_status declare(importer *m) {
    static const char *const passed_on[] = {"igvk.classes", "igvk.options", "igvk.step"};
    igvk_status status = IGVK_OK;
    char *json = model_config_to_json(weights_config(m->in));
    if (!json)
        TRY(fail_memory("the model's configuration", 0));
    for (size_t i = 0; i < parameter_count(m->layout); i++) {
        const parameter *p = parameter_at(m->layout, i);
        TRY(safetensors_declare(m->out, p->name, weights_type(m->in, m->layout, i), p->shape.rank, p->shape.dim));
    }
    TRY(safetensors_set_metadata(m->out, "igvk.model", json));
    for (size_t k = 0; k < sizeof passed_on / sizeof *passed_on; k++)
        if (weights_metadata(m->in, passed_on[k]))
            TRY(safetensors_set_metadata(m->out, passed_on[k], weights_metadata(m->in, passed_on[k])));
    TRY(check_space(m));
    TRY(safetensors_begin_data(m->out));
done:
    free(json);
    return status;
}

static igvk_status copy_tensor(importer *m, size_t i) {
    igvk_status status = IGVK_OK;
    uint64_t count = shape_elements(parameter_at(m->layout, i)->shape);
    uint64_t size = element_size(weights_type(m->in, m->layout, i)), most = PIECE_BYTES / size;
    for (uint64_t first = 0; first < count; first += most) {
        uint64_t now = count - first < most ? count - first : most;
        if (m->events && m->events->stop && m->events->stop(m->events->user))
            THROW(IGVK_INTERRUPTED, "stopped; nothing was written");
        TRY(weights_read_stored(m->in, m->layout, i, first, now, m->piece));
        TRY(safetensors_write(m->out, m->piece, now * size));
    }
done:
    return status;
}

static igvk_status open_input(importer *m) {
    igvk_status status = IGVK_OK;
    model_hints hints;
    if (!m->o->from[0])
        THROW(IGVK_ERROR_INVALID, "name the file to import: `igvk import checkpoint.pt --out model.safetensors`");
    if (!m->o->out[0])
        THROW(IGVK_ERROR_INVALID, "--out: name the safetensors file to write");
    TRY(hints_of(m->o, &hints));
    TRY(weights_open_as(m->o->from, m->o->weights ? "model" : "ema", &hints, &m->in));
    m->layout = parameter_layout_create(UINT64_MAX / 2);
    m->piece = malloc(PIECE_BYTES);
    if (!m->layout || !m->piece)
        TRY(fail_memory("the parameter layout", PIECE_BYTES));
    model_kind_find(weights_config(m->in)->kind)->parameters(weights_config(m->in), m->layout);
    TRY(parameter_layout_check(m->layout));
    TRY(weights_check(m->in, m->layout));
    say(m, weights_notes(m->in));
done:
    return status;
}

igvk_status igvk_import(const igvk_import_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    importer m = {.o = o, .events = events};
    TRY(open_input(&m));
    TRY(safetensors_writer_create(o->out, &m.out));
    TRY(declare(&m));
    for (size_t i = 0; i < parameter_count(m.layout); i++)
        TRY(copy_tensor(&m, i));
    TRY(safetensors_finish(m.out));
done:
    safetensors_writer_destroy(&m.out);
    weights_close(&m.in);
    parameter_layout_destroy(&m.layout);
    free(m.piece);
    return status;
}
