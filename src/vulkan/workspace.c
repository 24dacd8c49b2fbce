// SPDX-License-Identifier: MIT
#include "vulkan/internal.h"

#include "core/memory.h"

#include <stdlib.h>

struct workspace {
    device *device;
    device_buffer *blocks;
    size_t count, capacity;
    uint64_t generation;
};

igvk_status workspace_create(device *d, workspace **out) {
    *out = calloc(1, sizeof **out);
    if (!*out)
        return fail_memory("a workspace", sizeof **out);
    (*out)->device = d;
    return IGVK_OK;
}

void workspace_destroy(workspace **w) {
    if (!*w)
        return;
    (void)device_wait((*w)->device);
    for (size_t i = 0; i < (*w)->count; i++)
        buffer_destroy((*w)->device, &(*w)->blocks[i]);
    free((*w)->blocks);
    free(*w);
    *w = NULL;
}

#define WHAT PLANNED_WORKSPACE

// Refused whole, before the first block is taken.
static igvk_status check_growth(const workspace *w, const memory_plan *p) {
    uint64_t growth = 0;
    for (size_t i = 0; i < p->block_count; i++) {
        uint64_t present = i < w->count ? w->blocks[i].bytes : 0;
        growth += p->block_bytes[i] > present ? p->block_bytes[i] - present : 0;
    }
    return memory_check_room(w->device, WHAT, growth);
}

igvk_status workspace_reserve(workspace *w, const memory_plan *p) {
    igvk_status status = IGVK_OK;
    TRY(check_growth(w, p));
    if (w->device->planning)
        planned_activations(w->device, p->live_peak);
    if (!ARRAY_RESERVE(w->blocks, w->capacity, p->block_count + 1)) {
        status = fail_memory("a workspace", p->block_count * sizeof *w->blocks);
        goto done;
    }
    if (w->count < p->block_count)
        w->count = p->block_count; // the new ones are empty
    for (size_t i = 0; i < p->block_count; i++) {
        if (p->block_bytes[i] <= w->blocks[i].bytes)
            continue;
        TRY(device_wait(w->device));
        // Nothing in it lasts: the old block goes before the larger one comes.
        buffer_destroy(w->device, &w->blocks[i]);
        w->generation++;
        TRY(buffer_create(w->device, WHAT, p->block_bytes[i], PLACE_DEVICE, &w->blocks[i]));
    }
done:
    return status;
}

uint64_t workspace_bytes(const workspace *w) {
    uint64_t sum = 0;
    for (size_t i = 0; i < w->count; i++)
        sum += w->blocks[i].bytes;
    return sum;
}

const device_buffer *workspace_block(const workspace *w, size_t block) {
    return block < w->count && w->blocks[block].handle ? &w->blocks[block] : NULL;
}

uint64_t workspace_generation(const workspace *w) {
    return w->generation;
}
