// SPDX-License-Identifier: MIT
// The table of models, initial values and the position table.
#include "models/objective.h"

#include "core/philox.h"
#include "core/text.h"

#include <math.h>
#include <string.h>

static const model_kind *const kinds[] = {&sit_kind, &dit_kind, &lightningdit_kind, &mdtv2_kind};

const model_kind *model_kind_find(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const model_objective *model_objective_of(const model_config *c) {
    const model_kind *kind = model_kind_find(c->kind);
    return kind ? kind->objective : NULL;
}

const model_objective *model_objective_for(const model_config *c, const objective_options *o) {
    const model_objective *objective = model_objective_of(c);
    return objective && o->head_only ? objective->head_only : objective;
}

double objective_term_weight(const objective_term *t, const objective_options *o) {
    return t->auxiliary ? o->auxiliary_weight : 1;
}

igvk_status model_config_preset(const char *name, model_config *c) {
    text_buffer all = {0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i]->preset(name, c)) {
            strcpy(c->kind, kinds[i]->name);
            text_free(&all);
            return IGVK_OK;
        }
        for (const char *const *p = kinds[i]->preset_names; *p; p++)
            text_append(&all, "%s%s", all.length ? ", " : "", *p);
    }
    igvk_status status =
        fail(IGVK_ERROR_INVALID, "no model is called '%.64s': one of %s", name, all.text ? all.text : "");
    text_free(&all);
    return status;
}

igvk_status model_config_check(const model_config *c) {
    const model_kind *kind = model_kind_find(c->kind);
    if (!kind)
        return fail(IGVK_ERROR_INVALID, "unknown kind of model '%.15s'", c->kind);
    return kind->check(c);
}

bool model_is_head(const char *parameter) {
    return strncmp(parameter, "final_layer_xr.", 15) == 0;
}
uint32_t model_tokens(const model_config *c) {
    return (c->height / c->patch) * (c->width / c->patch);
}
uint64_t model_elements(const model_config *c) {
    return (uint64_t)c->channels * c->height * c->width;
}

void position_table(uint32_t columns, uint32_t hidden, uint64_t first, uint64_t count, float *out) {
    uint32_t quarter = hidden / 4;
    for (uint64_t e = first; e < first + count; e++) {
        uint64_t token = e / hidden, part = e % hidden / quarter, j = e % hidden % quarter;
        // The column comes first: "w goes first" in the official code.
        uint64_t place = part < 2 ? token % columns : token / columns;
        double angle = (double)place * pow(10000.0, -(double)j / quarter);
        *out++ = (float)(part % 2 ? cos(angle) : sin(angle));
    }
}

void rotary_table(uint32_t columns, uint32_t dimension, bool sines, uint64_t first, uint64_t count, float *out) {
    const uint32_t half = dimension / 2;
    for (uint64_t e = first; e < first + count; e++) {
        const uint64_t token = e / dimension, j = e % dimension;
        const uint64_t place = j < half ? token / columns : token % columns;
        const double angle = (double)place * pow(10000.0, -2.0 * (double)(j % half / 2) / half);
        *out++ = (float)(sines ? sin(angle) : cos(angle));
    }
}

// Xavier's fans of shape (out, in, ...): everything after the first dimension is flattened.
static double xavier_bound(const parameter *p) {
    double out = (double)p->shape.dim[0], in = (double)shape_elements(p->shape) / out;
    return sqrt(6.0 / (in + out));
}

igvk_status parameter_initialise(void *seed_at, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                 float *out) {
    const uint64_t seed = *(const uint64_t *)seed_at;
    const parameter *p = parameter_at(l, i);
    double bound = p->init == INIT_XAVIER_UNIFORM ? xavier_bound(p) : 0;
    if (p->init == INIT_TABLE) {
        p->fill(p->context, first, count, out);
        return IGVK_OK;
    }
    for (uint64_t e = first; e < first + count; e++)
        switch (p->init) {
        case INIT_XAVIER_UNIFORM:
            *out++ = (float)(bound * (2 * random_uniform(seed, STREAM_INITIALISATION, 0, (uint32_t)i, e) - 1));
            break;
        case INIT_NORMAL:
            *out++ = (float)(p->scale * random_normal(seed, STREAM_INITIALISATION, 0, (uint32_t)i, e));
            break;
        default:
            *out++ = p->init == INIT_ONE ? 1.0f : 0.0f;
        }
    return IGVK_OK;
}
