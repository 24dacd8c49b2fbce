// SPDX-License-Identifier: MIT
#include "vulkan/internal.h"

#include "core/memory.h"
#include "core/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STAGING_BYTES (16u << 20)

typedef struct store_entry {
    char *name; // owned
    store_kind kind;
    device_buffer buffer;
} store_entry;

struct store {
    device *device;
    store_entry *entries; // in the order of adding: some tens
    size_t count, capacity;
};

igvk_status store_create(device *d, store **out) {
    *out = calloc(1, sizeof **out);
    if (!*out)
        return fail_memory("a store", sizeof **out);
    (*out)->device = d;
    return IGVK_OK;
}

void store_destroy(store **s) {
    if (!*s)
        return;
    (void)device_wait((*s)->device); // where the device is lost there is nothing to wait for
    for (size_t i = 0; i < (*s)->count; i++) {
        buffer_destroy((*s)->device, &(*s)->entries[i].buffer);
        free((*s)->entries[i].name);
    }
    free((*s)->entries);
    free(*s);
    *s = NULL;
}

static store_entry *find(const store *s, const char *name) {
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->entries[i].name, name))
            return &s->entries[i];
    return NULL;
}

const device_buffer *store_buffer(const store *s, const char *name) {
    const store_entry *e = find(s, name);
    return e ? &e->buffer : NULL;
}

bool store_is_planned(const store *s) {
    return s->device->planning;
}

bool store_has(const store *s, const char *name) {
    return find(s, name) != NULL;
}

uint64_t store_bytes(const store *s, const char *name) {
    const store_entry *e = find(s, name);
    return e ? e->buffer.bytes : 0;
}

void *store_map(store *s, const char *name) {
    const store_entry *e = find(s, name);
    return e && e->kind == STORE_RING ? e->buffer.mapped : NULL;
}

// ---- copies ----------------------------------------------------------------------------------------------

static void transfer_barrier(device *d, VkCommandBuffer buffer, VkPipelineStageFlags from, VkPipelineStageFlags to) {
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT};
    d->vk.vkCmdPipelineBarrier(buffer, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

typedef struct transfer {
    VkBuffer from, to; // `from` null: fill with `word`
    VkBufferCopy region;
    uint32_t word;
} transfer;

static igvk_status run_transfer(device *d, const transfer *t) {
    igvk_status status = IGVK_OK;
    VkCommandBuffer buffer = VK_NULL_HANDLE;
    const VkPipelineStageFlags all = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    TRY(command_buffer_begin(d, false, &buffer));
    transfer_barrier(d, buffer, all, VK_PIPELINE_STAGE_TRANSFER_BIT);
    if (t->from)
        d->vk.vkCmdCopyBuffer(buffer, t->from, t->to, 1, &t->region);
    else
        d->vk.vkCmdFillBuffer(buffer, t->to, t->region.dstOffset, t->region.size, t->word);
    transfer_barrier(d, buffer, VK_PIPELINE_STAGE_TRANSFER_BIT, all | VK_PIPELINE_STAGE_HOST_BIT);
    TRY(command_buffer_end(d, buffer));
    TRY(submit_and_wait(d, buffer));
done:
    command_buffer_free(d, &buffer);
    return status;
}

static igvk_status need_staging(device *d) {
    if (d->staging.handle)
        return IGVK_OK;
    uint64_t bytes = STAGING_BYTES;
    if (bytes > device_capabilities(d)->max_allocation)
        bytes = device_capabilities(d)->max_allocation;
    return buffer_create(d, PLANNED_STAGING, bytes, PLACE_HOST, &d->staging);
}

// Host to buffer (`write`) or back, through the staging buffer in pieces.
static igvk_status staged_copy(device *d, const device_buffer *b, uint64_t offset, char *host, uint64_t bytes,
                               bool write) {
    igvk_status status = IGVK_OK;
    TRY(need_staging(d));
    for (uint64_t at = 0; at < bytes;) {
        uint64_t piece = bytes - at < d->staging.bytes ? bytes - at : d->staging.bytes;
        transfer t = {.from = b->handle, .to = d->staging.handle, .region = {.srcOffset = offset + at, .size = piece}};
        if (write) {
            memcpy(d->staging.mapped, host + at, piece);
            t = (transfer){
                .from = d->staging.handle, .to = b->handle, .region = {.dstOffset = offset + at, .size = piece}};
        }
        TRY(run_transfer(d, &t));
        if (!write)
            memcpy(host + at, d->staging.mapped, piece);
        at += piece;
    }
done:
    return status;
}

// Copies do nothing, but where the host does not see the device's memory they stage.
static igvk_status planned_copy(device *d) {
    return device_has(d, OPTIONAL_UNIFIED) ? IGVK_OK : need_staging(d);
}

igvk_status buffer_write(device *d, const device_buffer *b, uint64_t offset, const void *data, uint64_t bytes) {
    igvk_status status = device_wait(d);
    if (status != IGVK_OK || !bytes)
        return status;
    if (d->planning)
        return planned_copy(d);
    if (!b->mapped)
        return staged_copy(d, b, offset, (char *)(uintptr_t)data, bytes, true);
    memcpy((char *)b->mapped + offset, data, bytes);
    return IGVK_OK;
}

igvk_status buffer_read(device *d, const device_buffer *b, uint64_t offset, void *data, uint64_t bytes) {
    igvk_status status = device_wait(d);
    if (status != IGVK_OK || !bytes)
        return status;
    if (d->planning) {
        memset(data, 0, bytes);
        return planned_copy(d);
    }
    if (!b->mapped)
        return staged_copy(d, b, offset, data, bytes, false);
    memcpy(data, (const char *)b->mapped + offset, bytes);
    return IGVK_OK;
}

// ---- by name ---------------------------------------------------------------------------------------------

static igvk_status find_range(const store *s, const char *name, uint64_t offset, uint64_t bytes, store_entry **out) {
    *out = find(s, name);
    if (!*out)
        return fail(IGVK_ERROR_INTERNAL, "'%s' is not in the store", name);
    uint64_t size = (*out)->buffer.bytes;
    if (offset > size || bytes > size - offset)
        return fail(IGVK_ERROR_INTERNAL, "'%s' has %" PRIu64 " bytes; %" PRIu64 " from %" PRIu64 " lie outside", name,
                    size, bytes, offset);
    return IGVK_OK;
}

static igvk_status fill(device *d, const device_buffer *b, uint64_t offset, uint64_t bytes, uint32_t word) {
    igvk_status status = device_wait(d);
    if (status != IGVK_OK || !bytes)
        return status;
    if (d->planning)
        return IGVK_OK;
    if (!b->mapped) {
        transfer t = {.to = b->handle, .region = {.dstOffset = offset, .size = bytes}, .word = word};
        return run_transfer(d, &t);
    }
    uint32_t *words = (uint32_t *)((char *)b->mapped + offset);
    for (uint64_t i = 0; i < bytes / 4; i++)
        words[i] = word;
    return IGVK_OK;
}

// A new entry with zeroed memory.
static igvk_status add_entry(store *s, const char *name, uint64_t bytes, store_kind kind) {
    igvk_status status = IGVK_OK;
    store_entry e = {.name = malloc(strlen(name) + 1), .kind = kind};
    if (!e.name || !ARRAY_RESERVE(s->entries, s->capacity, s->count + 1)) {
        status = fail_memory("the store", (s->count + 1) * sizeof e);
        goto done;
    }
    strcpy(e.name, name);
    uint64_t whole = align_up(bytes, 4); // fills go by words
    TRY(buffer_create(s->device, name, whole, kind == STORE_RING ? PLACE_HOST : PLACE_DEVICE, &e.buffer));
    TRY(fill(s->device, &e.buffer, 0, whole, 0));
    e.buffer.bytes = bytes;
    s->entries[s->count++] = e;
    e = (store_entry){0};
done:
    buffer_destroy(s->device, &e.buffer);
    free(e.name);
    return status;
}

igvk_status store_add(store *s, const char *name, uint64_t bytes, store_kind kind) {
    const store_entry *old = find(s, name);
    if (!bytes)
        return fail(IGVK_ERROR_INTERNAL, "'%s' in the store without a byte", name);
    if (!old)
        return add_entry(s, name, bytes, kind);
    if (old->buffer.bytes != bytes)
        return fail(IGVK_ERROR_INTERNAL, "'%s' is in the store with %" PRIu64 " bytes, and is asked for with %" PRIu64,
                    name, old->buffer.bytes, bytes);
    return IGVK_OK;
}

igvk_status store_write(store *s, const char *name, uint64_t offset, const void *data, uint64_t bytes) {
    store_entry *e;
    igvk_status status = find_range(s, name, offset, bytes, &e);
    return status == IGVK_OK ? buffer_write(s->device, &e->buffer, offset, data, bytes) : status;
}

igvk_status store_read(store *s, const char *name, uint64_t offset, void *data, uint64_t bytes) {
    store_entry *e;
    igvk_status status = find_range(s, name, offset, bytes, &e);
    return status == IGVK_OK ? buffer_read(s->device, &e->buffer, offset, data, bytes) : status;
}

igvk_status store_fill(store *s, const char *name, uint64_t offset, uint64_t bytes, uint32_t word) {
    store_entry *e;
    igvk_status status = find_range(s, name, offset, bytes, &e);
    if (status == IGVK_OK && (offset % 4 || bytes % 4))
        return fail(IGVK_ERROR_INTERNAL, "'%s': fills go by words of 4 bytes", name);
    return status == IGVK_OK ? fill(s->device, &e->buffer, offset, bytes, word) : status;
}

igvk_status store_copy(store *s, const char *from, uint64_t from_offset, const char *to, uint64_t to_offset,
                       uint64_t bytes) {
    igvk_status status = IGVK_OK;
    store_entry *source, *target;
    TRY(find_range(s, from, from_offset, bytes, &source));
    TRY(find_range(s, to, to_offset, bytes, &target));
    uint64_t apart = from_offset > to_offset ? from_offset - to_offset : to_offset - from_offset;
    if (source == target && apart < bytes)
        THROW(IGVK_ERROR_INTERNAL, "'%s': a copy over itself", from);
    if (!bytes || s->device->planning)
        goto done;
    transfer t = {.from = source->buffer.handle,
                  .to = target->buffer.handle,
                  .region = {.srcOffset = from_offset, .dstOffset = to_offset, .size = bytes}};
    TRY(device_wait(s->device));
    TRY(run_transfer(s->device, &t));
done:
    return status;
}
