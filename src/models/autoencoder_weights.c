// SPDX-License-Identifier: MIT
#include "models/autoencoder_weights.h"

#include "core/text.h"

#include <math.h>
#include <string.h>

#define NAMED 3 // tensors that an error names

static bool find_shape(void *user, const char *name, tensor_shape *out) {
    const autoencoder_file *f = user;
    const weight_entry *e = weight_find(weights_tensors(f->weights), name);
    if (!e || e->rank > TENSOR_MAX_RANK)
        return false;
    *out = (tensor_shape){.rank = e->rank};
    memcpy(out->dim, e->shape, e->rank * sizeof *e->shape);
    return true;
}

// The tensor of a parameter, in whatever naming the file has it; null where it is missing.
static const weight_entry *entry_of(const autoencoder_file *f, const parameter *p) {
    char name[AUTOENCODER_NAME];
    for (int naming = 0; autoencoder_alias(&f->config, p->name, naming, name); naming++) {
        const weight_entry *e = weight_find(weights_tensors(f->weights), name);
        if (e)
            return e;
    }
    return NULL;
}

// Up to dimensions of 1 at the end: a linear weight [C, C] is a kernel [C, C, 1, 1].
static bool fits(const weight_entry *e, const parameter *p) {
    if (e->type > ELEMENT_BF16)
        return false;
    for (uint32_t k = 0; k < e->rank || k < p->shape.rank; k++)
        if ((k < e->rank ? e->shape[k] : 1) != (k < p->shape.rank ? p->shape.dim[k] : 1))
            return false;
    return true;
}

static igvk_status check_tensors(const autoencoder_file *f, const parameter_layout *l) {
    text_buffer wrong = {0};
    size_t bad = 0;
    char shape[64];
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        const weight_entry *e = entry_of(f, p);
        if ((!e || !fits(e, p)) && ++bad <= NAMED)
            text_append(&wrong, "; '%s' [%s] is %s", p->name, shape_text(shape, p->shape),
                        e ? "of another shape or type" : "missing");
    }
    igvk_status status = IGVK_OK;
    if (bad)
        status = fail(IGVK_ERROR_INVALID, "%s: is not a whole autoencoder: %zu of %zu tensors are wrong%s%s", f->path,
                      bad, parameter_count(l), wrong.text ? wrong.text : "", bad > NAMED ? "; ..." : "");
    text_free(&wrong);
    return status;
}

igvk_status autoencoder_open(const char *path, int parts, autoencoder_file *out) {
    igvk_status status = IGVK_OK;
    parameter_layout *l = NULL;
    *out = (autoencoder_file){.path = path};
    TRY(weights_open_tensors(path, &out->weights));
    TRY(fail_within(autoencoder_recognise(find_shape, out, &out->config), "%s", path));
    l = parameter_layout_create(UINT64_MAX / 2);
    TRY(l ? IGVK_OK : fail_memory("the parameter layout", 0));
    autoencoder_parameters(&out->config, parts, l);
    TRY(parameter_layout_check(l));
    TRY(check_tensors(out, l));
done:
    parameter_layout_destroy(&l);
    if (status != IGVK_OK)
        autoencoder_close(out);
    return status;
}

void autoencoder_close(autoencoder_file *f) {
    weights_close(&f->weights);
}

igvk_status autoencoder_read(void *file, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                             float *out) {
    autoencoder_file *f = file;
    const parameter *p = parameter_at(l, i);
    const weight_entry *e = entry_of(f, p);
    if (!e || !fits(e, p))
        return fail(IGVK_ERROR_INVALID, "%s: tensor '%s' is missing or of another shape", f->path, p->name);
    return weights_read_entry(f->weights, e, first, count, out);
}

static igvk_status read_channels(weights_file *w, const char *path, const char *name, uint32_t channels, float *out) {
    const weight_entry *e = weight_find(weights_tensors(w), name);
    uint64_t elements = 1;
    for (uint32_t k = 0; e && k < e->rank; k++)
        elements *= e->shape[k] <= channels ? e->shape[k] : 0;
    if (!e || elements != channels || e->type > ELEMENT_BF16)
        return fail(IGVK_ERROR_INVALID, "%s: must hold 'mean' and 'std' of %u channels each", path, channels);
    igvk_status status = weights_read_entry(w, e, 0, channels, out);
    for (uint32_t k = 0; status == IGVK_OK && k < channels; k++)
        if (!isfinite(out[k]))
            status = fail(IGVK_ERROR_INVALID, "%s: '%s' of channel %u is not finite", path, name, k);
    return status;
}

igvk_status latent_statistics_read(const char *path, uint32_t channels, float *mean, float *deviation) {
    igvk_status status = IGVK_OK;
    weights_file *w = NULL;
    TRY(weights_open_tensors(path, &w));
    TRY(read_channels(w, path, "mean", channels, mean));
    TRY(read_channels(w, path, "std", channels, deviation));
done:
    weights_close(&w);
    return status;
}
