// SPDX-License-Identifier: MIT
// Barriers, derived from what each dispatch reads and writes. Greedy from the front: a barrier comes before the
// first dispatch that touches what a dispatch since the last barrier left unsettled. No list of barriers is shorter,
// and none of these can be left out.
#include "core/memory.h"
#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct access_record {
    byte_range range;
    bool write;
    uint32_t next; // 1 + index of another record of the same space, 0 none
} access_record;

// What the dispatches since the last barrier touched, chained by memory space.
typedef struct epoch {
    access_record *records;
    size_t count, capacity;
    uint32_t *first; // [space]: 1 + index of a record
} epoch;

static bool conflicts(const epoch *e, byte_range range, bool write) {
    for (uint32_t i = e->first[range.space]; i; i = e->records[i - 1].next) {
        const access_record *r = &e->records[i - 1];
#ifdef IGVK_BREAK_BARRIER // write after read forgotten
        write = false;
#endif
        if ((write || r->write) && r->range.begin < range.end && range.begin < r->range.end)
            return true;
    }
    return false;
}

static void epoch_clear(epoch *e) {
    for (size_t i = 0; i < e->count; i++)
        e->first[e->records[i].range.space] = 0;
    e->count = 0;
}

static igvk_status epoch_add(epoch *e, byte_range range, bool write) {
    if (!ARRAY_RESERVE(e->records, e->capacity, e->count + 1))
        return fail_memory("deriving barriers", (e->count + 1) * sizeof *e->records);
    e->records[e->count++] = (access_record){range, write, e->first[range.space]};
    e->first[range.space] = (uint32_t)e->count;
    return IGVK_OK;
}

igvk_status barriers_make(const dispatch_list *l, const memory_plan *p, bool *before) {
    igvk_status status = IGVK_OK;
    epoch e = {0};
    size_t spaces = p->block_count + graph_tensor_count(l->graph) + 1;
    e.first = calloc(spaces, sizeof *e.first);
    if (!e.first)
        TRY(fail_memory("deriving barriers", spaces * sizeof *e.first));
    for (size_t i = 0; i < l->count; i++) {
        const dispatch *d = &l->items[i];
        byte_range ranges[DISPATCH_MAX_ARGUMENTS];
        before[i] = false;
        for (uint32_t k = 0; k < d->argument_count; k++) {
            ranges[k] = tensor_range(l->graph, p, d->arguments[k].tensor);
            before[i] = before[i] || conflicts(&e, ranges[k], d->arguments[k].access & ACCESS_WRITE);
        }
        if (before[i])
            epoch_clear(&e);
        for (uint32_t k = 0; k < d->argument_count; k++)
            TRY(epoch_add(&e, ranges[k], d->arguments[k].access & ACCESS_WRITE));
    }
done:
    free(e.records);
    free(e.first);
    return status;
}
