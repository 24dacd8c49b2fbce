// SPDX-License-Identifier: MIT
#include "models/weights_adapt.h"

#include "models/weights_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum origin { ORIGIN_FILE, ORIGIN_NEW, ORIGIN_LABELS, ORIGIN_POSITIONS, ORIGIN_NONE } origin;

struct adapted_weights {
    weights_file *file;
    model_config from, to;
    uint64_t seed;
    origin *origins;  // of each parameter
    float *positions; // the file's table [tokens, hidden], where it is resampled
    char notes[512];
};

// ---- the rules --------------------------------------------------------------------------------------------

static bool same_grid(const model_config *a, const model_config *b) {
    return a->height / a->patch == b->height / b->patch && a->width / a->patch == b->width / b->patch;
}

static bool is_labels(const char *name) {
    return strcmp(name, "y_embedder.embedding_table.weight") == 0;
}

static origin origin_of(const adapted_weights *a, const weight_entry *e, const parameter *p) {
    const bool sized = !same_grid(&a->from, &a->to);
    if (model_is_head(p->name) && a->from.head_after != a->to.head_after)
        return ORIGIN_NEW;
    if (is_labels(p->name) && (a->from.classes != a->to.classes || a->from.null_class != a->to.null_class))
        return !e || (e->rank == 2 && e->shape[1] == p->shape.dim[1] && e->type <= ELEMENT_BF16) ? ORIGIN_LABELS
                                                                                                 : ORIGIN_NONE;
    if (strncmp(p->name, "feat_rope.", 10) == 0 && sized)
        return ORIGIN_NEW;
    if (strcmp(p->name, "pos_embed") == 0 && sized && e && e->rank == 3 && e->shape[2] == p->shape.dim[2] &&
        e->shape[1] == model_tokens(&a->from) && e->type <= ELEMENT_BF16)
        return ORIGIN_POSITIONS;
    if (weight_is_computed(e, p))
        return ORIGIN_NEW;
    return e && weight_fits(e, p) ? ORIGIN_FILE : ORIGIN_NONE;
}

// Tensors of the file that the model has no place for: the label table of a model without classes may be left.
static bool is_left(const adapted_weights *a, const char *name) {
    return is_labels(name) && a->to.classes == 0;
}

static igvk_status choose_origins(adapted_weights *a, const parameter_layout *l) {
    igvk_status status = IGVK_OK;
    const weight_list *list = weights_tensors(a->file);
    text_buffer wrong = {0};
    size_t bad = 0;
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        const weight_entry *e = weight_find(list, p->name);
        a->origins[i] = origin_of(a, e, p);
        if (a->origins[i] == ORIGIN_NONE && ++bad <= WEIGHTS_NAMED)
            weight_describe(&wrong, e, p);
    }
    for (size_t i = 0; i < list->count; i++)
        if (!parameter_find(l, list->entries[i].name) && !is_left(a, list->entries[i].name) && ++bad <= WEIGHTS_NAMED)
            text_append(&wrong, "; '%.100s' is too many", list->entries[i].name);
    if (bad)
        status = fail(IGVK_ERROR_INVALID, "%s: cannot start this model: %zu tensors do not fit%s%s", a->file->path, bad,
                      wrong.text ? wrong.text : "", bad > WEIGHTS_NAMED ? "; ..." : "");
    text_free(&wrong);
    return status;
}

static igvk_status read_positions(adapted_weights *a) {
    const weight_entry *e = weight_find(weights_tensors(a->file), "pos_embed");
    const uint64_t count = e->shape[1] * e->shape[2];
    a->positions = malloc(count * sizeof *a->positions);
    if (!a->positions)
        return fail_memory("the position table", count * sizeof *a->positions);
    return weights_read_entry(a->file, e, 0, count, a->positions);
}

static void write_notes(adapted_weights *a) {
    const model_config *from = &a->from, *to = &a->to;
    size_t n = 0;
    if (from->classes != to->classes || from->null_class != to->null_class)
        n += (size_t)snprintf(a->notes, sizeof a->notes, "; labels are new: %u classes, %u in the file%s", to->classes,
                              from->classes, from->null_class && to->null_class ? ", whose no-class row is kept" : "");
    if (!same_grid(from, to))
        n += (size_t)snprintf(a->notes + n, sizeof a->notes - n, "; positions are resampled from %ux%u to %ux%u",
                              from->width, from->height, to->width, to->height);
    if (from->head_after != to->head_after && from->head_after)
        n += (size_t)snprintf(a->notes + n, sizeof a->notes - n,
                              "; the auxiliary head is new: after block %u, %u in the file", to->head_after,
                              from->head_after);
    if (from->head_after != to->head_after && !from->head_after)
        snprintf(a->notes + n, sizeof a->notes - n, "; the auxiliary head after block %u is new: the file has none",
                 to->head_after);
    if (a->notes[0])
        memmove(a->notes, a->notes + 2, strlen(a->notes + 2) + 1);
}

igvk_status weights_adapt(weights_file *w, const model_config *target, const parameter_layout *l, uint64_t seed,
                          adapted_weights **out) {
    igvk_status status = IGVK_OK;
    adapted_weights *a = calloc(1, sizeof *a);
    *out = NULL;
    if (!a || !(a->origins = calloc(parameter_count(l), sizeof *a->origins)))
        TRY(fail_memory("adapted weights", parameter_count(l) * sizeof *a->origins));
    a->file = w;
    a->from = *weights_config(w);
    a->to = *target;
    a->seed = seed;
    if (strcmp(a->from.kind, a->to.kind) != 0)
        THROW(IGVK_ERROR_INVALID, "%s: holds weights of a %s, which cannot start a %s", w->path, a->from.kind,
              a->to.kind);
    TRY(choose_origins(a, l));
    for (size_t i = 0; i < parameter_count(l); i++)
        if (a->origins[i] == ORIGIN_POSITIONS)
            TRY(read_positions(a));
    write_notes(a);
    *out = a;
    a = NULL;
done:
    adapted_weights_free(&a);
    return status;
}

void adapted_weights_free(adapted_weights **a) {
    if (!*a)
        return;
    free((*a)->origins);
    free((*a)->positions);
    free(*a);
    *a = NULL;
}

const char *adapted_weights_notes(const adapted_weights *a) {
    return a->notes;
}

// ---- reading ----------------------------------------------------------------------------------------------

// Where cell `i` of `to` cells lies among `from`: the two neighbours and the second one's share.
static void place_of(uint64_t i, uint64_t to, uint64_t from, uint64_t *low, uint64_t *high, double *share) {
    double place = ((double)i + 0.5) * (double)from / (double)to - 0.5;
    place = place < 0 ? 0 : place > (double)(from - 1) ? (double)(from - 1) : place;
    *low = (uint64_t)place;
    *high = *low + 1 < from ? *low + 1 : *low;
    *share = place - (double)*low;
}

static void resample(const adapted_weights *a, uint64_t first, uint64_t count, float *out) {
    const uint64_t hidden = a->to.hidden, columns = a->to.width / a->to.patch, rows = a->to.height / a->to.patch;
    const uint64_t from_columns = a->from.width / a->from.patch, from_rows = a->from.height / a->from.patch;
    for (uint64_t e = first; e < first + count; e++) {
        const uint64_t token = e / hidden, k = e % hidden;
        uint64_t left, right, above, below;
        double x, y;
        place_of(token % columns, columns, from_columns, &left, &right, &x);
        place_of(token / columns, rows, from_rows, &above, &below, &y);
        const float *upper = a->positions + above * from_columns * hidden + k;
        const float *lower = a->positions + below * from_columns * hidden + k;
        *out++ = (float)((1 - y) * ((1 - x) * upper[left * hidden] + x * upper[right * hidden]) +
                         y * ((1 - x) * lower[left * hidden] + x * lower[right * hidden]));
    }
}

// New rows, and the file's no-class row where both models have one.
static igvk_status read_labels(adapted_weights *a, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                               float *out) {
    igvk_status status = IGVK_OK;
    const uint64_t hidden = a->to.hidden, null = a->to.classes * hidden, from_null = a->from.classes * hidden;
    const weight_entry *e = weight_find(weights_tensors(a->file), parameter_at(l, i)->name);
    TRY(parameter_initialise(&a->seed, l, i, first, count, out));
    if (e && a->from.null_class && a->to.null_class && first + count > null) {
        const uint64_t start = first > null ? first : null;
        TRY(weights_read_entry(a->file, e, from_null + (start - null), first + count - start, out + (start - first)));
    }
done:
    return status;
}

igvk_status adapted_weights_read(void *adapted, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                                 float *out) {
    adapted_weights *a = adapted;
    switch (a->origins[i]) {
    case ORIGIN_FILE:
        return weights_read(a->file, l, i, first, count, out);
    case ORIGIN_LABELS:
        return read_labels(a, l, i, first, count, out);
    case ORIGIN_POSITIONS:
        resample(a, first, count, out);
        return IGVK_OK;
    default:
        return parameter_initialise(&a->seed, l, i, first, count, out);
    }
}
