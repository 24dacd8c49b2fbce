// SPDX-License-Identifier: MIT
// Parameters' places in one logical arena of chunks, and sets of them inside a graph.
#include "graph/parameters.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Kernels index a chunk's elements with 32 bits, byte offsets included.
#define CHUNK_MAX_ELEMENTS (1ull << 30)

typedef struct chunk {
    uint64_t elements;
    parameter_group group;
} chunk;

struct parameter_layout {
    arena *arena;
    parameter *items;
    size_t count, capacity;
    chunk *chunks;
    size_t chunk_count, chunk_capacity;
    enum { SPLIT_NOTHING, SPLIT_MATRICES, SPLIT_PRODUCTS } splits;
    const char *home; // of what is kept; null: nothing is
    bool (*trained)(const char *name);
    uint64_t max_chunk_elements; // a multiple of PARAMETER_GRANULE
    uint64_t elements;           // without gaps
    igvk_status status;
    char text[1024];
};

parameter_layout *parameter_layout_create(uint64_t max_chunk_bytes) {
    parameter_layout *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    uint64_t elements = max_chunk_bytes / sizeof(float) / PARAMETER_GRANULE * PARAMETER_GRANULE;
    l->max_chunk_elements = elements < CHUNK_MAX_ELEMENTS ? elements : CHUNK_MAX_ELEMENTS;
    l->arena = arena_create();
    if (!l->arena)
        parameter_layout_destroy(&l);
    return l;
}

void parameter_layout_destroy(parameter_layout **l) {
    if (!l || !*l)
        return;
    arena_destroy(&(*l)->arena);
    free((*l)->items);
    free((*l)->chunks);
    free(*l);
    *l = NULL;
}

arena *parameter_layout_arena(parameter_layout *l) {
    return l->arena;
}
void parameter_layout_split_matrices(parameter_layout *l) {
    l->splits = SPLIT_MATRICES;
}
void parameter_layout_split_products(parameter_layout *l) {
    l->splits = SPLIT_PRODUCTS;
}

void parameter_layout_keep(parameter_layout *l, const char *home, bool (*trained)(const char *name)) {
    l->home = arena_copy_text(l->arena, home);
    l->trained = trained;
    if (!l->home && l->status == IGVK_OK) {
        l->status = IGVK_ERROR_MEMORY;
        snprintf(l->text, sizeof l->text, "out of memory for the parameter layout");
    }
}

igvk_status parameter_layout_check(const parameter_layout *l) {
    return l->status == IGVK_OK ? IGVK_OK : fail(l->status, "%s", l->text);
}

static igvk_status check_parameter(const parameter_layout *l, const parameter *p) {
    char shape[64], need[32], limit[32];
    if (!p->name || !*p->name || p->shape.rank > TENSOR_MAX_RANK)
        return fail(IGVK_ERROR_INTERNAL, "a parameter needs a name and at most %d dimensions", TENSOR_MAX_RANK);
    if (parameter_find(l, p->name))
        return fail(IGVK_ERROR_INVALID, "parameter '%s' is in the model twice", p->name);
    uint64_t elements = shape_elements(p->shape);
    if (elements == 0)
        return fail(IGVK_ERROR_INVALID, "parameter '%s' (%s) is empty", p->name, shape_text(shape, p->shape));
    if (elements <= l->max_chunk_elements)
        return IGVK_OK;
    uint64_t bytes = elements <= UINT64_MAX / sizeof(float) ? elements * sizeof(float) : UINT64_MAX;
    return fail(IGVK_ERROR_INVALID,
                "parameter '%s' (%s) needs %s in one piece, but one piece of device memory has at most %s: choose a "
                "smaller width or a device with larger allocations",
                p->name, shape_text(shape, p->shape), format_bytes(need, bytes),
                format_bytes(limit, l->max_chunk_elements * sizeof(float)));
}

static igvk_status add_chunk(parameter_layout *l, parameter_group group) {
    if (!ARRAY_RESERVE(l->chunks, l->chunk_capacity, l->chunk_count + 1))
        return fail_memory("the parameter layout", (l->chunk_count + 1) * sizeof *l->chunks);
    l->chunks[l->chunk_count++] = (chunk){.group = group};
    return IGVK_OK;
}

static parameter_group group_of(const parameter_layout *l, const parameter *p) {
    if (l->home && !l->trained(p->name))
        return PARAMETER_KEPT;
    if (l->splits == SPLIT_PRODUCTS)
        return p->product ? PARAMETER_MATRICES : PARAMETER_ELEMENTS;
    return l->splits && p->shape.rank >= 2 && (!p->frozen || p->decays) ? PARAMETER_MATRICES : PARAMETER_ELEMENTS;
}

// Gives `p` the next place: its group's last chunk where it fits, else a new one.
static igvk_status place_parameter(parameter_layout *l, parameter *p) {
    igvk_status status = IGVK_OK;
    uint64_t elements = align_up(shape_elements(p->shape), PARAMETER_GRANULE);
    size_t at = l->chunk_count;
    p->group = group_of(l, p);
    if (p->group == PARAMETER_KEPT) {
        p->frozen = true;
        p->decays = false;
    }
    while (at > 0 && l->chunks[at - 1].group != p->group)
        at--;
    if (at == 0 || elements > l->max_chunk_elements - l->chunks[at - 1].elements) {
        TRY(add_chunk(l, p->group));
        at = l->chunk_count;
    }
    chunk *c = &l->chunks[at - 1];
    p->chunk = (uint32_t)(at - 1);
    p->first = c->elements;
    c->elements += elements;
    l->elements += shape_elements(p->shape);
done:
    return status;
}

static igvk_status add_parameter(parameter_layout *l, const parameter *p) {
    igvk_status status = IGVK_OK;
    TRY(check_parameter(l, p));
    parameter copy = *p;
    copy.name = arena_copy_text(l->arena, p->name);
    if (!copy.name || !ARRAY_RESERVE(l->items, l->capacity, l->count + 1))
        TRY(fail_memory("the parameter layout", (l->count + 1) * sizeof *l->items));
    TRY(place_parameter(l, &copy));
    l->items[l->count++] = copy;
done:
    return status;
}

void parameter_layout_add(parameter_layout *l, const parameter *p) {
    if (l->status != IGVK_OK)
        return;
    l->status = add_parameter(l, p);
    if (l->status != IGVK_OK)
        snprintf(l->text, sizeof l->text, "%s", igvk_error_text());
}

size_t parameter_count(const parameter_layout *l) {
    return l->count;
}
const parameter *parameter_at(const parameter_layout *l, size_t i) {
    return &l->items[i];
}
uint32_t parameter_chunk_count(const parameter_layout *l) {
    return (uint32_t)l->chunk_count;
}
uint64_t parameter_chunk_elements(const parameter_layout *l, uint32_t chunk) {
    return l->chunks[chunk].elements;
}
parameter_group parameter_chunk_group(const parameter_layout *l, uint32_t chunk) {
    return l->chunks[chunk].group;
}
const char *parameter_chunk_home(const parameter_layout *l, const char *set, uint32_t chunk) {
    return l->chunks[chunk].group == PARAMETER_KEPT ? l->home : set;
}
storage_type parameter_chunk_type(const parameter_layout *l, uint32_t chunk, storage_type set_type) {
    const bool f32 = l->splits == SPLIT_PRODUCTS && l->chunks[chunk].group != PARAMETER_MATRICES;
    return f32 ? STORAGE_F32 : set_type;
}
uint64_t parameter_elements(const parameter_layout *l) {
    return l->elements;
}

const parameter *parameter_find(const parameter_layout *l, const char *name) {
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i].name, name) == 0)
            return &l->items[i];
    return NULL;
}

void parameter_segments(const parameter_layout *l, uint32_t chunk, uint32_t *out) {
    memset(out, 0, l->chunks[chunk].elements / PARAMETER_GRANULE * sizeof *out);
    for (size_t i = 0; i < l->count; i++) {
        const parameter *p = &l->items[i];
        if (p->chunk != chunk || p->frozen)
            continue;
        uint64_t end = align_up(p->first + shape_elements(p->shape), PARAMETER_GRANULE);
        for (uint64_t granule = p->first / PARAMETER_GRANULE; granule < end / PARAMETER_GRANULE; granule++)
            out[granule] |= 1;
    }
}

// ---- a set inside a graph ----------------------------------------------------------------------------

tensor_id parameter_chunk(graph *g, const parameter_set *s, uint32_t chunk) {
    if (chunk >= s->layout->chunk_count)
        return graph_fail(g, "parameters '%s' have no chunk %u", s->arena_name, chunk);
    char name[64];
    snprintf(name, sizeof name, "%s.%u", parameter_chunk_home(s->layout, s->arena_name, chunk), chunk);
    const storage_type type = parameter_chunk_type(s->layout, chunk, s->type);
    return graph_external(g, s->role, name, type, SHAPE(s->layout->chunks[chunk].elements));
}

tensor_id parameter_copies(graph *g, const parameter_set *s, uint32_t chunk) {
    char name[64];
    snprintf(name, sizeof name, "%s.%u", s->copies, chunk);
    return graph_external(g, s->role, name, s->copies_type, SHAPE(s->layout->chunks[chunk].elements));
}

tensor_id parameter_tensor(graph *g, const parameter_set *s, const char *name) {
    const parameter *p = parameter_find(s->layout, name);
    if (!p)
        return graph_fail(g, "the model has no parameter '%s'", name);
    tensor_id chunk = p->product && s->copies ? parameter_copies(g, s, p->chunk) : parameter_chunk(g, s, p->chunk);
    return tensor_is(chunk) ? graph_view(g, chunk, p->first, p->shape, p->name) : NO_TENSOR;
}
