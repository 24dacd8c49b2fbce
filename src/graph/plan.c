// SPDX-License-Identifier: MIT
// The memory plan. Three steps: live ranges of activation roots, in-place pairs merged into slots (tensors that
// share one place one after the other), slots packed into blocks (packing.c).
#include "graph/plan.h"
#include "core/text.h"
#include "graph/internal.h"
#include "graph/packing.h"

#include <stdlib.h>
#include <string.h>

#define NOWHERE UINT32_MAX

typedef struct planner {
    const dispatch_list *list;
    const graph *graph;
    const plan_options *options;
    placement *placements; // by tensor id; the result's
    size_t tensor_count;   // with id 0
    uint32_t *slot_of;     // by tensor id, NOWHERE where it has none
    slot *slots;
    size_t slot_count;
} planner;

// ---- live ranges -------------------------------------------------------------------------------------

static tensor_id root_of(const planner *p, tensor_id t) {
    return tensor_of(p->graph, t)->root;
}
static bool is_activation(const planner *p, tensor_id t) {
    return tensor_of(p->graph, t)->role == ROLE_ACTIVATION;
}

static igvk_status touch(planner *p, uint32_t index, const argument *a) {
    tensor_id root = root_of(p, a->tensor);
    placement *place = &p->placements[root.i];
    if (!place->placed) {
        char text[DESCRIPTION_SIZE], reader[DESCRIPTION_SIZE];
        if (a->access == ACCESS_READ)
            return fail(IGVK_ERROR_INTERNAL, "shader %s of %s reads %s before any dispatch writes it",
                        p->list->items[index].shader, describe_node(reader, p->graph, p->list->items[index].node),
                        describe_tensor(text, p->graph, root));
        *place = (placement){.placed = true, .bytes = tensor_bytes(p->graph, root), .first = index};
    }
    place->last = index;
    return IGVK_OK;
}

static igvk_status find_live_ranges(planner *p) {
    igvk_status status = IGVK_OK;
    const dispatch_list *l = p->list;
    for (uint32_t i = 0; i < l->count; i++) {
        const dispatch *d = &l->items[i];
        // What is read must have been written by an earlier dispatch, so reads come first.
        for (int pass = 0; pass < 2; pass++)
            for (uint32_t k = 0; k < d->argument_count; k++)
                if (is_activation(p, d->arguments[k].tensor) && (d->arguments[k].access == ACCESS_READ) == (pass == 0))
                    TRY(touch(p, i, &d->arguments[k]));
    }
    for (size_t k = 0; k < p->options->keep_count; k++) {
        placement *place = &p->placements[root_of(p, p->options->keep[k]).i];
        if (place->placed)
            place->last = (uint32_t)l->count - 1;
    }
done:
    return status;
}

// ---- slots -------------------------------------------------------------------------------------------

static bool bound_once(const planner *p, const dispatch *d, tensor_id root) {
    uint32_t times = 0;
    for (uint32_t k = 0; k < d->argument_count; k++)
        times += tensor_same(root_of(p, d->arguments[k].tensor), root);
    return times == 1;
}

// Whether dispatch i is where `from` ends and `to` begins and the kernel may write one over the other. The kernel's
// promise is about the two arguments as bound: whole tensors of one size, and neither bound a second time.
static bool takes_place_of(const planner *p, uint32_t i, tensor_id to, tensor_id from) {
    const dispatch *d = &p->list->items[i];
    if (!is_activation(p, to) || !is_activation(p, from))
        return false;
    tensor_id to_root = root_of(p, to), from_root = root_of(p, from);
    const placement *a = &p->placements[from_root.i], *b = &p->placements[to_root.i];
    return a->last == i && b->first == i && a->first < i && a->bytes == b->bytes &&
           tensor_bytes(p->graph, from) == a->bytes && tensor_bytes(p->graph, to) == b->bytes &&
           bound_once(p, d, to_root) && bound_once(p, d, from_root);
}

static bool kept(const planner *p, tensor_id t) {
    for (size_t k = 0; k < p->options->keep_count; k++)
        if (tensor_same(root_of(p, p->options->keep[k]), root_of(p, t)))
            return true;
    return false;
}

// Slots in order of first use. A tensor that takes another's place joins its slot.
static void make_slots(planner *p) {
    for (uint32_t i = 0; i < p->list->count; i++) {
        const dispatch *d = &p->list->items[i];
        for (uint32_t k = 0; k < d->argument_count; k++) {
            const argument *a = &d->arguments[k];
            tensor_id root = root_of(p, a->tensor);
            const placement *place = &p->placements[root.i];
            if (!is_activation(p, root) || p->slot_of[root.i] != NOWHERE)
                continue;
            const argument *from = a->in_place_of ? &d->arguments[a->in_place_of - 1] : NULL;
            if (from && !p->options->no_reuse && takes_place_of(p, i, a->tensor, from->tensor) &&
                !kept(p, from->tensor)) {
                p->slot_of[root.i] = p->slot_of[root_of(p, from->tensor).i];
                p->slots[p->slot_of[root.i]].last = place->last;
                continue;
            }
            p->slot_of[root.i] = (uint32_t)p->slot_count;
            p->slots[p->slot_count++] = (slot){
                .size = align_up(place->bytes, p->options->alignment), .first = place->first, .last = place->last};
        }
    }
    if (p->options->no_reuse)
        for (size_t k = 0; k < p->slot_count; k++) {
            p->slots[k].first = 0;
            p->slots[k].last = (uint32_t)p->list->count - 1;
        }
}

// A smaller batch may do: callers that choose one try it.
static igvk_status refuse_large(const planner *p) {
    for (uint32_t i = 1; i < p->tensor_count; i++) {
        const placement *place = &p->placements[i];
        if (!place->placed || p->slots[p->slot_of[i]].size <= p->options->max_block)
            continue;
        char text[DESCRIPTION_SIZE], need[32], limit[32];
        return fail(IGVK_ERROR_DEVICE_MEMORY,
                    "%s needs %s in one piece, but one piece of device memory has at most %s: use a smaller batch",
                    describe_tensor(text, p->graph, (tensor_id){i}), format_bytes(need, place->bytes),
                    format_bytes(limit, p->options->max_block));
    }
    return IGVK_OK;
}

// ---- the plan ----------------------------------------------------------------------------------------

// The largest sum of sizes live at one dispatch, from live ranges alone.
static igvk_status find_live_peak(const planner *p, uint64_t *peak) {
    size_t count = p->list->count + 1;
    uint64_t *change = calloc(count, sizeof *change); // differences, modulo 2^64
    if (!change)
        return fail_memory("the memory plan", count * sizeof *change);
    for (size_t k = 0; k < p->slot_count; k++) {
        change[p->slots[k].first] += p->slots[k].size;
        change[p->slots[k].last + 1] -= p->slots[k].size;
    }
    uint64_t live = 0;
    *peak = 0;
    for (size_t i = 0; i < count; i++) {
        live += change[i];
        *peak = live > *peak ? live : *peak;
    }
    free(change);
    return IGVK_OK;
}

static igvk_status planner_open(planner *p) {
    p->placements = calloc(p->tensor_count, sizeof *p->placements);
    p->slot_of = calloc(p->tensor_count, sizeof *p->slot_of);
    p->slots = calloc(p->tensor_count, sizeof *p->slots); // at most one a tensor
    if (!p->placements || !p->slot_of || !p->slots)
        return fail_memory("the memory plan", p->tensor_count * (sizeof *p->placements + sizeof *p->slots));
    for (size_t i = 0; i < p->tensor_count; i++)
        p->slot_of[i] = NOWHERE;
    return IGVK_OK;
}

static void take_places(planner *p) {
    for (size_t i = 0; i < p->tensor_count; i++)
        if (p->placements[i].placed) {
            p->placements[i].block = p->slots[p->slot_of[i]].block;
            p->placements[i].offset = p->slots[p->slot_of[i]].offset;
        }
}

igvk_status memory_plan_make(const dispatch_list *l, const plan_options *o, memory_plan *out) {
    igvk_status status = IGVK_OK;
    *out = (memory_plan){0};
    planner p = {.list = l, .graph = l->graph, .options = o, .tensor_count = graph_tensor_count(l->graph) + 1};
    TRY(planner_open(&p));
    TRY(find_live_ranges(&p));
    make_slots(&p);
    TRY(refuse_large(&p));
    TRY(find_live_peak(&p, &out->live_peak));
    TRY(pack_slots(p.slots, p.slot_count, o->max_block, out->live_peak, &out->block_bytes, &out->block_count));
    take_places(&p);
    for (size_t k = 0; k < out->block_count; k++)
        out->peak += out->block_bytes[k];
    out->placements = p.placements;
    out->placement_count = p.tensor_count;
    p.placements = NULL;
done:
    free(p.placements);
    free(p.slot_of);
    free(p.slots);
    if (status != IGVK_OK)
        memory_plan_free(out);
    return status;
}

void memory_plan_free(memory_plan *p) {
    free(p->placements);
    free(p->block_bytes);
    *p = (memory_plan){0};
}

byte_range tensor_range(const graph *g, const memory_plan *p, tensor_id t) {
    const tensor *it = tensor_of(g, t);
    byte_range range = {(uint32_t)p->block_count + it->root.i, it->offset, it->offset + tensor_bytes(g, t)};
    if (it->root.i < p->placement_count && p->placements[it->root.i].placed) {
        const placement *place = &p->placements[it->root.i];
        range = (byte_range){place->block, place->offset + range.begin, place->offset + range.end};
    }
    return range;
}
