// SPDX-License-Identifier: MIT
// Greedy best fit, one slot after the other in some order. Which order is best depends on the graph (by size where
// sizes differ much, by first use where lifetimes nest as a backward pass's do), so several are tried and the
// smallest result is kept.
#include "graph/packing.h"
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
    uint32_t *placed; // slots by offset; owned
    size_t count, capacity;
    uint64_t size;
} block;

typedef struct packer {
    slot *slots;
    size_t slot_count;
    uint64_t max_block;
    block *blocks; // owned
    size_t block_count, block_capacity;
} packer;

static void packer_clear(packer *p) {
    for (size_t k = 0; k < p->block_count; k++)
        free(p->blocks[k].placed);
    free(p->blocks);
    p->blocks = NULL;
    p->block_count = p->block_capacity = 0;
}

// ---- one slot ----------------------------------------------------------------------------------------

static bool live_together(const slot *a, const slot *b) { return a->first <= b->last && b->first <= a->last; }

// A place found for a slot: by how much it makes its block grow, then what it leaves unused of the gap it lies in.
typedef struct gap {
    block *block;
    uint64_t offset, growth, waste;
} gap;

static void keep_better(gap *best, gap found) {
    if (found.growth < best->growth || (found.growth == best->growth && found.waste < best->waste))
        *best = found;
}

// Looks through one block, in order of offset, at the room between what lives at the same time as `s`.
static void search_block(const packer *p, block *b, const slot *s, gap *best) {
    uint64_t end = 0; // of what was met so far
    for (size_t k = 0; k < b->count; k++) {
        const slot *other = &p->slots[b->placed[k]];
        if (!live_together(s, other))
            continue;
        if (other->offset >= end && other->offset - end >= s->size)
            keep_better(best, (gap){b, end, 0, other->offset - end - s->size});
        if (other->offset + other->size > end)
            end = other->offset + other->size;
    }
    if (end > p->max_block - s->size)
        return;
    uint64_t after = end + s->size;
    keep_better(best, after > b->size ? (gap){b, end, after - b->size, 0} : (gap){b, end, 0, b->size - after});
}

static igvk_status place_slot(packer *p, uint32_t index) {
    slot *s = &p->slots[index];
    gap best = {NULL, 0, s->size, UINT64_MAX}; // a new block grows by all of it
    for (size_t k = 0; k < p->block_count; k++)
        search_block(p, &p->blocks[k], s, &best);
    if (!best.block) {
        if (!ARRAY_RESERVE(p->blocks, p->block_capacity, p->block_count + 1))
            return fail_memory("the memory plan", (p->block_count + 1) * sizeof *p->blocks);
        best.block = &p->blocks[p->block_count++];
    }
    block *b = best.block;
    if (!ARRAY_RESERVE(b->placed, b->capacity, b->count + 1))
        return fail_memory("the memory plan", (b->count + 1) * sizeof *b->placed);
    size_t at = b->count++;
    for (; at > 0 && p->slots[b->placed[at - 1]].offset > best.offset; at--)
        b->placed[at] = b->placed[at - 1];
    b->placed[at] = index;
    s->block = (uint32_t)(b - p->blocks);
    s->offset = best.offset;
    if (s->offset + s->size > b->size)
        b->size = s->offset + s->size;
    return IGVK_OK;
}

// ---- orders ------------------------------------------------------------------------------------------

typedef enum packing_order {
    BY_SIZE,
    BY_SIZE_AND_TIME,
    BY_TIME,
    BY_FIRST_USE,
    BY_LAST_USE,
    PACKING_ORDERS
} packing_order;

typedef struct ranked {
    double rank; // the larger, the earlier
    uint32_t slot;
} ranked;

static int by_rank(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

static double rank_of(const slot *s, packing_order order) {
    double size = (double)s->size, time = (double)s->last - s->first + 1;
    switch (order) {
    case BY_SIZE:
        return size;
    case BY_SIZE_AND_TIME:
        return size * time;
    case BY_TIME:
        return time;
    case BY_FIRST_USE:
        return -(double)s->first;
    default:
        return s->last;
    }
}

static igvk_status pack_in_order(packer *p, packing_order order, uint64_t *peak) {
    igvk_status status = IGVK_OK;
    ranked *ranks = calloc(p->slot_count + 1, sizeof *ranks);
    if (!ranks)
        TRY(fail_memory("the memory plan", (p->slot_count + 1) * sizeof *ranks));
    for (uint32_t k = 0; k < p->slot_count; k++)
        ranks[k] = (ranked){rank_of(&p->slots[k], order), k};
    qsort(ranks, p->slot_count, sizeof *ranks, by_rank);
    packer_clear(p);
    for (size_t k = 0; k < p->slot_count; k++)
        TRY(place_slot(p, ranks[k].slot));
    *peak = 0;
    for (size_t k = 0; k < p->block_count; k++)
        *peak += p->blocks[k].size;
done:
    free(ranks);
    return status;
}

igvk_status pack_slots(slot *slots, size_t count, uint64_t max_block, uint64_t enough, uint64_t **block_bytes,
                       size_t *block_count) {
    igvk_status status = IGVK_OK;
    packer p = {.slots = slots, .slot_count = count, .max_block = max_block};
    packing_order order = BY_SIZE, best = BY_SIZE;
    uint64_t peak = UINT64_MAX, best_peak = UINT64_MAX;
    for (; order < PACKING_ORDERS && best_peak > enough; order++) {
        TRY(pack_in_order(&p, order, &peak));
        if (peak < best_peak) {
            best = order;
            best_peak = peak;
        }
    }
    if (peak != best_peak)
        TRY(pack_in_order(&p, best, &peak));
    *block_bytes = calloc(p.block_count + 1, sizeof **block_bytes);
    if (!*block_bytes)
        TRY(fail_memory("the memory plan", (p.block_count + 1) * sizeof **block_bytes));
    *block_count = p.block_count;
    for (size_t k = 0; k < p.block_count; k++)
        (*block_bytes)[k] = p.blocks[k].size;
done:
    packer_clear(&p);
    return status;
}
