// SPDX-License-Identifier: MIT
#include "vulkan/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool device_is_planning(const device *d) {
    return d->planning;
}

size_t device_planned(const device *d, const planned_memory **rows) {
    *rows = d->planned.at_peak;
    return d->planned.count;
}

uint64_t device_planned_bytes(const device *d) {
    return d->planned.peak;
}

uint64_t device_planned_activations(const device *d) {
    return d->planned.activations;
}

void device_plan_kind(device *d, const char *kind) {
    d->planned.kind = kind;
}

static size_t kind_index(planned *p, const char *what) {
    const char *name = p->kind ? p->kind : what, *dot = strchr(name, '.');
    const size_t length = dot ? (size_t)(dot - name) : strlen(name);
    for (size_t i = 0; i < p->count; i++)
        if (strlen(p->now[i].kind) == length && !strncmp(p->now[i].kind, name, length))
            return i;
    if (p->count == PLANNED_KINDS)
        return PLANNED_KINDS - 1;
    snprintf(p->now[p->count].kind, sizeof p->now->kind, "%.*s", (int)length, name);
    snprintf(p->at_peak[p->count].kind, sizeof p->now->kind, "%.*s", (int)length, name);
    return p->count++;
}

igvk_status planned_buffer(device *d, const char *what, buffer_place place, device_buffer *b) {
    planned *p = &d->planned;
    if (place == PLACE_HOST && !(b->mapped = calloc(1, b->bytes)))
        return fail_memory(what, b->bytes);
    b->kind = kind_index(p, what);
    b->allocated = b->bytes;
    p->now[b->kind].bytes += b->bytes;
    d->memory_used += b->bytes;
    d->memory_objects++;
    if (d->memory_used > p->peak) {
        p->peak = d->memory_used;
        for (size_t i = 0; i < p->count; i++)
            p->at_peak[i].bytes = p->now[i].bytes;
    }
    return IGVK_OK;
}

void planned_buffer_release(device *d, device_buffer *b) {
    d->planned.now[b->kind].bytes -= b->allocated;
    d->memory_used -= b->allocated;
    d->memory_objects -= b->allocated > 0;
    free(b->mapped);
}

void planned_activations(device *d, uint64_t bytes) {
    if (bytes > d->planned.activations)
        d->planned.activations = bytes;
}
