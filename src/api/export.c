// SPDX-License-Identifier: MIT
// igvk_export: the EMA of a checkpoint alone, under the official names, as f32 or f16; or for PyTorch.
#include "api/export_torch.h"
#include "api/loaded_model.h"
#include "api/options.h"
#include "igvk/igvk_experimental.h"
#include "models/weights.h"

#include <math.h>
#include <stdlib.h>

typedef struct exporter {
    weights_file *in;
    safetensors_writer *out;
    parameter_layout *layout;
    bool half;
} exporter;

// A finite value that f16 holds only as infinite is refused: what samples from it would be noise.
static igvk_status narrow(const exporter *e, size_t i, const float *values, uint16_t *halves, uint64_t count) {
    for (uint64_t k = 0; k < count; k++) {
        halves[k] = f16_from_f32(values[k]);
        if (isfinite(values[k]) && (halves[k] & 0x7fff) >= 0x7c00)
            return fail(IGVK_ERROR_INVALID,
                        "'%s': element %llu is %g, which f16 cannot hold (at most 65504): export without --half",
                        parameter_at(e->layout, i)->name, (unsigned long long)k, (double)values[k]);
    }
    return IGVK_OK;
}

static igvk_status write_tensor(exporter *e, size_t i) {
    igvk_status status = IGVK_OK;
    uint64_t count = shape_elements(parameter_at(e->layout, i)->shape);
    float *values = malloc(count * sizeof *values + 1);
    uint16_t *halves = malloc(count * sizeof *halves + 1);
    if (!values || !halves) {
        status = fail_memory(parameter_at(e->layout, i)->name, count * 6);
        goto done;
    }
    TRY(weights_read(e->in, e->layout, i, 0, count, values));
    if (e->half)
        TRY(narrow(e, i, values, halves, count));
    TRY(e->half ? safetensors_write(e->out, halves, count * 2) : safetensors_write(e->out, values, count * 4));
done:
    free(values);
    free(halves);
    return status;
}

static igvk_status declare(exporter *e) {
    static const char *const passed_on[] = {"igvk.model", "igvk.classes", "igvk.options", "igvk.step"};
    igvk_status status = IGVK_OK;
    for (size_t i = 0; i < parameter_count(e->layout); i++) {
        const parameter *p = parameter_at(e->layout, i);
        TRY(safetensors_declare(e->out, p->name, e->half ? ELEMENT_F16 : ELEMENT_F32, p->shape.rank, p->shape.dim));
    }
    for (size_t k = 0; k < sizeof passed_on / sizeof *passed_on; k++)
        if (weights_metadata(e->in, passed_on[k]))
            TRY(safetensors_set_metadata(e->out, passed_on[k], weights_metadata(e->in, passed_on[k])));
    TRY(safetensors_begin_data(e->out));
done:
    return status;
}

static igvk_status write_safetensors(exporter *e, const char *path, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    TRY(safetensors_writer_create(path, &e->out));
    TRY(declare(e));
    for (size_t i = 0; i < parameter_count(e->layout); i++) {
        if (events && events->stop && events->stop(events->user))
            THROW(IGVK_INTERRUPTED, "stopped; nothing was written");
        TRY(write_tensor(e, i));
    }
    TRY(safetensors_finish(e->out));
done:
    safetensors_writer_destroy(&e->out);
    return status;
}

static igvk_status write_torch(exporter *e, const char *file, const char *path, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    weights_file *model = NULL;
    if (!weights_has_one_set(e->in)) {
        TRY(weights_open(file, "model", &model));
        TRY(weights_check(model, e->layout));
    }
    TRY(export_torch(
        &(torch_export){.ema = e->in, .model = model, .layout = e->layout, .half = e->half, .events = events}, path));
done:
    weights_close(&model);
    return status;
}

igvk_status igvk_export(const igvk_export_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    exporter e = {.half = o->half};
    char *file = NULL;
    TRY(options_check(igvk_export_option_list(), o));
    if (!o->out[0])
        THROW(IGVK_ERROR_INVALID, "--out: name the file to write");
    TRY(model_file_of(o->model, &file));
    TRY(weights_open(file, "ema", &e.in));
    e.layout = parameter_layout_create(UINT64_MAX / 2);
    if (!e.layout)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the parameter layout");
    model_kind_find(weights_config(e.in)->kind)->parameters(weights_config(e.in), e.layout);
    TRY(parameter_layout_check(e.layout));
    TRY(weights_check(e.in, e.layout));
    TRY(o->torch ? write_torch(&e, file, o->out, events) : write_safetensors(&e, o->out, events));
done:
    weights_close(&e.in);
    parameter_layout_destroy(&e.layout);
    free(file);
    return status;
}
