// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "vulkan/program_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

// ---- where tensors lie -----------------------------------------------------------------------------------

static igvk_status external_location(const char *name, const store *s, location *out) {
    out->buffer = store_buffer(s, name);
    out->kept = true;
    if (!out->buffer)
        return fail(IGVK_ERROR_INTERNAL, "'%s' is not in the store: add it before its program is recorded", name);
    if (out->offset + out->bytes > out->buffer->bytes)
        return fail(IGVK_ERROR_INTERNAL,
                    "'%s' has %" PRIu64 " bytes in the store and the program reaches byte %" PRIu64, name,
                    out->buffer->bytes, out->offset + out->bytes);
    return IGVK_OK;
}

static igvk_status block_location(const workspace *w, uint64_t block_bytes, size_t block, location *out) {
    out->buffer = workspace_block(w, block);
    if (!out->buffer || out->buffer->bytes < block_bytes)
        return fail(IGVK_ERROR_INTERNAL, "the workspace is smaller than the program's plan: reserve it first");
    return IGVK_OK;
}

// An activation that the plan did not place stays nowhere.
static igvk_status locate(program *p, const dispatch_list *l, const memory_plan *plan, const store *s, tensor_id id) {
    location *out = &p->locations[id.i];
    const tensor *root = tensor_of(l->graph, tensor_of(l->graph, id)->root);
    if (out->buffer)
        return IGVK_OK;
    byte_range range = tensor_range(l->graph, plan, id);
    out->offset = range.begin;
    out->bytes = range.end - range.begin;
    if (range.space < plan->block_count) {
        out->kept = plan->placements[root->root.i].last + 1 >= l->count;
        return block_location(p->workspace, plan->block_bytes[range.space], range.space, out);
    }
    return root->role == ROLE_ACTIVATION ? IGVK_OK : external_location(root->name, s, out);
}

static igvk_status locate_all(program *p, const dispatch_list *l, const memory_plan *plan, const store *s) {
    igvk_status status = IGVK_OK;
    uint32_t count = graph_tensor_count(l->graph);
    p->locations = calloc((size_t)count + 1, sizeof *p->locations);
    if (!p->locations) {
        status = fail_memory("a program", (count + 1) * sizeof *p->locations);
        goto done;
    }
    p->location_count = (size_t)count + 1;
    for (size_t i = 0; i < l->count; i++)
        for (uint32_t k = 0; k < l->items[i].argument_count; k++)
            TRY(locate(p, l, plan, s, l->items[i].arguments[k].tensor));
    // For program_read: other views of what the plan placed. Externals that no dispatch touches need no memory.
    for (uint32_t i = 1; i <= count; i++) {
        tensor_id root = tensor_of(l->graph, (tensor_id){i})->root;
        if (root.i < plan->placement_count && plan->placements[root.i].placed)
            TRY(locate(p, l, plan, s, (tensor_id){i}));
    }
done:
    return status;
}

// ---- life ------------------------------------------------------------------------------------------------

igvk_status program_record(device *d, const dispatch_list *l, const memory_plan *plan, store *s, workspace *w,
                           const program_options *o, program **out) {
    igvk_status status = IGVK_OK;
    bool *before = NULL;
    *out = NULL;
    program *p = calloc(1, sizeof *p);
    if (!p)
        return fail_memory("a program", sizeof *p);
    p->device = d;
    p->workspace = w;
    p->generation = workspace_generation(w);
    p->dispatch_count = l->count;
    before = calloc(l->count + 1, sizeof *before);
    if (!before) {
        status = fail_memory("a program's barriers", l->count);
        goto done;
    }
    if (d->planning) {
        *out = p;
        p = NULL;
        goto done;
    }
    TRY(locate_all(p, l, plan, s));
    TRY(barriers_make(l, plan, before));
    TRY(record_commands(p, l, before, o));
    *out = p;
    p = NULL;
done:
    free(before);
    program_destroy(&p);
    return status;
}

void program_destroy(program **program_at) {
    program *p = *program_at;
    *program_at = NULL;
    if (!p)
        return;
    device *d = p->device;
    (void)device_wait_for(d, p->last_ticket);
    for (size_t i = 0; i < p->part_count; i++)
        command_buffer_free(d, &p->parts[i]);
    if (!d->planning) {
        d->vk.vkDestroyDescriptorPool(d->handle, p->sets, NULL); // takes null
        d->vk.vkDestroyQueryPool(d->handle, p->queries, NULL);
    }
    free(p->parts);
    free(p->locations);
    free(p);
}

static double cpu_microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

igvk_status program_run(program *p, uint64_t *ticket) {
    igvk_status status = IGVK_OK;
    double start = cpu_microseconds();
    if (p->device->planning)
        THROW(IGVK_ERROR_INTERNAL, "a program was run on a planning device");
    if (workspace_generation(p->workspace) != p->generation)
        THROW(IGVK_ERROR_INTERNAL, "the workspace grew after a program was recorded: reserve for all, then record");
    TRY(submit_run(p->device, p->parts, p->part_count, &p->last_ticket));
    if (ticket)
        *ticket = p->last_ticket;
    double cost = cpu_microseconds() - start;
    p->submit_cost = p->submit_cost > 0 ? 0.9 * p->submit_cost + 0.1 * cost : cost;
done:
    return status;
}

double program_submit_cost(const program *p) {
    return p->submit_cost;
}

igvk_status program_read(program *p, tensor_id t, void *out, uint64_t bytes) {
    const location *l = t.i < p->location_count ? &p->locations[t.i] : NULL;
    if (!l || !l->buffer || !l->kept)
        return fail(IGVK_ERROR_INTERNAL, "tensor %u is not kept to the end of the program", t.i);
    if (bytes != l->bytes)
        return fail(IGVK_ERROR_INTERNAL, "tensor %u has %" PRIu64 " bytes and %" PRIu64 " are asked for", t.i, l->bytes,
                    bytes);
    return buffer_read(p->device, l->buffer, l->offset, out, bytes);
}

igvk_status program_times(program *p, double *nanoseconds, size_t count) {
    igvk_status status = IGVK_OK;
    device *d = p->device;
    uint64_t *stamps = calloc(2 * count + 1, sizeof *stamps);
    if (!stamps) {
        status = fail_memory("timestamps", 2 * count * sizeof *stamps);
        goto done;
    }
    if (!p->queries || count != p->dispatch_count || !p->last_ticket)
        THROW(IGVK_ERROR_INTERNAL,
              "times of a program that was recorded without them, never ran, or has another length");
    TRY(device_wait_for(d, p->last_ticket));
    TRY_VULKAN(d->vk.vkGetQueryPoolResults(d->handle, p->queries, 0, (uint32_t)(2 * count), 2 * count * sizeof *stamps,
                                           stamps, sizeof *stamps, VK_QUERY_RESULT_64_BIT),
               "reading timestamps");
    for (size_t i = 0; i < count; i++)
        nanoseconds[i] = (double)((stamps[2 * i + 1] - stamps[2 * i]) & d->physical.timestamp_mask) *
                         (double)d->physical.limits.timestampPeriod;
done:
    free(stamps);
    return status;
}
