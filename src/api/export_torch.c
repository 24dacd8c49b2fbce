// SPDX-License-Identifier: MIT
// `export --torch`: {"ema": ..., "model": ...} as torch.save writes it, readable by torch.load(weights_only=True) and
// the official sampling scripts; beside them "igvk", the configuration as text, by which igvk reads it back.
#include "api/export_torch.h"

#include "formats/torch_write.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_ELEMENTS (1u << 20)

typedef struct exporter {
    const torch_export *e;
    torch_writer *out;
    float *values; // PIECE_ELEMENTS
    uint16_t *halves;
} exporter;

static igvk_status declare_set(exporter *x, const char *name, bool again) {
    igvk_status status = torch_begin_set(x->out, name);
    element_type type = x->e->half ? ELEMENT_F16 : ELEMENT_F32;
    for (size_t i = 0; status == IGVK_OK && i < parameter_count(x->e->layout); i++) {
        const parameter *p = parameter_at(x->e->layout, i);
        status = again ? torch_declare_again(x->out, p->name, i)
                       : torch_declare(x->out, p->name, type, p->shape.rank, p->shape.dim);
    }
    return status;
}

static igvk_status declare_texts(exporter *x) {
    static const char *const names[] = {"model", "classes", "options", "step"};
    igvk_status status = IGVK_OK;
    char *json = model_config_to_json(weights_config(x->e->ema));
    if (!json)
        TRY(fail_memory("the model's configuration", 0));
    TRY(torch_begin_set(x->out, "igvk"));
    TRY(torch_declare_text(x->out, names[0], json));
    for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
        char key[32] = "igvk.";
        const char *text = weights_metadata(x->e->ema, strcat(key, names[i]));
        if (text)
            TRY(torch_declare_text(x->out, names[i], text));
    }
done:
    free(json);
    return status;
}

static igvk_status write_tensor(exporter *x, weights_file *from, size_t i) {
    igvk_status status = IGVK_OK;
    uint64_t count = shape_elements(parameter_at(x->e->layout, i)->shape);
    const igvk_events *events = x->e->events;
    for (uint64_t first = 0; first < count; first += PIECE_ELEMENTS) {
        uint64_t now = count - first < PIECE_ELEMENTS ? count - first : PIECE_ELEMENTS;
        if (events && events->stop && events->stop(events->user))
            THROW(IGVK_INTERRUPTED, "stopped; nothing was written");
        TRY(weights_read(from, x->e->layout, i, first, now, x->values));
        for (uint64_t k = 0; x->e->half && k < now; k++)
            x->halves[k] = f16_from_f32(x->values[k]);
        TRY(x->e->half ? torch_write(x->out, x->halves, now * 2) : torch_write(x->out, x->values, now * 4));
    }
done:
    return status;
}

igvk_status export_torch(const torch_export *e, const char *path) {
    igvk_status status = IGVK_OK;
    exporter x = {
        .e = e, .values = malloc(PIECE_ELEMENTS * sizeof(float)), .halves = malloc(PIECE_ELEMENTS * sizeof(uint16_t))};
    weights_file *const sets[] = {e->ema, e->model};
    if (!x.values || !x.halves)
        TRY(fail_memory("a piece of a tensor", PIECE_ELEMENTS * 6));
    TRY(torch_writer_create(path, &x.out));
    TRY(declare_set(&x, "ema", false));
    TRY(declare_set(&x, "model", !e->model));
    TRY(declare_texts(&x));
    TRY(torch_begin_data(x.out));
    for (size_t set = 0; set < 2 && sets[set]; set++)
        for (size_t i = 0; i < parameter_count(e->layout); i++)
            TRY(write_tensor(&x, sets[set], i));
    TRY(torch_finish(x.out));
done:
    torch_writer_destroy(&x.out);
    free(x.values);
    free(x.halves);
    return status;
}
