// SPDX-License-Identifier: MIT
#include "vulkan/internal.h"

#include "core/text.h"

// The first memory type that a buffer may use and that has all of `flags`; false where none.
static bool find_type(const device *d, uint32_t allowed, VkMemoryPropertyFlags flags, uint32_t *type) {
    const VkPhysicalDeviceMemoryProperties *m = &d->physical.memory;
    for (uint32_t i = 0; i < m->memoryTypeCount; i++)
        if ((allowed >> i & 1) && (m->memoryTypes[i].propertyFlags & flags) == flags) {
            *type = i;
            return true;
        }
    return false;
}

// Most wanted first. Device memory never falls back on the host's: a full device is an error, not a slow run.
static bool choose_type(const device *d, buffer_place place, uint32_t allowed, uint32_t *type) {
    const VkMemoryPropertyFlags seen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    if (place == PLACE_HOST)
        return find_type(d, allowed, seen | cached, type) || find_type(d, allowed, seen, type);
    if (device_has(d, OPTIONAL_UNIFIED) &&
        (find_type(d, allowed, local | seen | cached, type) || find_type(d, allowed, local | seen, type)))
        return true;
    return find_type(d, allowed, local, type) || find_type(d, allowed, 0, type);
}

static igvk_status does_not_fit(device *d, const char *what, uint64_t bytes) {
    char need[32], unused[32];
    return fail(IGVK_ERROR_DEVICE_MEMORY,
                "%s needs %s and %s has %s of memory free: take a smaller batch or model, or "
                "another device",
                what, format_bytes(need, bytes), d->physical.facts.name, format_bytes(unused, device_memory_free(d)));
}

// Asked before the driver is. CPU devices overcommit: there the system's memory counts, whatever heap they report, else
// the kernel kills the process later; memory promised and not yet touched shows only in memory_used.
igvk_status memory_check_room(device *d, const char *what, uint64_t bytes) {
    uint64_t unused = device_memory_free(d);
    bool promised =
        d->physical.facts.capabilities.cpu && d->memory_at_open && d->memory_used + bytes > d->memory_at_open;
    return promised || (unused && bytes > unused) ? does_not_fit(d, what, bytes) : IGVK_OK;
}

static igvk_status check_limits(device *d, const char *what, uint64_t bytes) {
    const device_facts *f = &d->physical.facts;
    char need[32], limit[32];
    if (bytes > f->capabilities.max_allocation)
        return fail(IGVK_ERROR_DEVICE_MEMORY, "%s needs %s in one piece and %s allocates at most %s", what,
                    format_bytes(need, bytes), f->name, format_bytes(limit, f->capabilities.max_allocation));
    if (d->memory_objects >= d->physical.max_memory_objects)
        return fail(IGVK_ERROR_DEVICE_MEMORY, "%s: %s keeps at most %u allocations", what, f->name,
                    d->physical.max_memory_objects);
    return IGVK_OK;
}

static igvk_status bind_memory(device *d, const char *what, buffer_place place, device_buffer *b) {
    igvk_status status = IGVK_OK;
    VkMemoryRequirements need;
    d->vk.vkGetBufferMemoryRequirements(d->handle, b->handle, &need);
    uint32_t type;
    if (!choose_type(d, place, need.memoryTypeBits, &type))
        THROW(IGVK_ERROR_DEVICE, "%s: %s has no memory of the kind needed", what, d->physical.facts.name);
    VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                       .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                     .pNext = device_has(d, OPTIONAL_ADDRESS) ? &flags : NULL,
                                     .allocationSize = need.size,
                                     .memoryTypeIndex = type};
    VkResult result = d->vk.vkAllocateMemory(d->handle, &allocate, NULL, &b->memory);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) {
        status = does_not_fit(d, what, need.size);
        goto done;
    }
    TRY_VULKAN(result, "an allocation");
    b->allocated = need.size;
    d->memory_used += need.size;
    d->memory_objects++;
    TRY_VULKAN(d->vk.vkBindBufferMemory(d->handle, b->handle, b->memory, 0), "binding a buffer to its memory");
    const VkMemoryPropertyFlags seen = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    bool mapped = place == PLACE_HOST || device_has(d, OPTIONAL_UNIFIED);
    if (mapped && (d->physical.memory.memoryTypes[type].propertyFlags & seen) == seen)
        TRY_VULKAN(d->vk.vkMapMemory(d->handle, b->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped), "mapping memory");
done:
    return status;
}

igvk_status buffer_create(device *d, const char *what, uint64_t bytes, buffer_place place, device_buffer *out) {
    igvk_status status = IGVK_OK;
    *out = (device_buffer){.bytes = bytes};
    TRY(check_limits(d, what, bytes));
    if (place == PLACE_DEVICE || d->physical.facts.capabilities.cpu)
        TRY(memory_check_room(d, what, bytes));
    if (d->planning)
        return planned_buffer(d, what, place, out);
    VkBufferCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage =
            VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    if (device_has(d, OPTIONAL_ADDRESS))
        create.usage |= VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    VkResult result = d->vk.vkCreateBuffer(d->handle, &create, NULL, &out->handle);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) {
        status = does_not_fit(d, what, bytes);
        goto done;
    }
    TRY_VULKAN(result, "a buffer");
    TRY(bind_memory(d, what, place, out));
    if (device_has(d, OPTIONAL_ADDRESS)) {
        VkBufferDeviceAddressInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = out->handle};
        out->address = d->vk.vkGetBufferDeviceAddress(d->handle, &info);
    }
done:
    if (status != IGVK_OK)
        buffer_destroy(d, out);
    return status;
}

void buffer_destroy(device *d, device_buffer *b) {
    if (d->planning)
        planned_buffer_release(d, b);
    if (b->handle)
        d->vk.vkDestroyBuffer(d->handle, b->handle, NULL);
    if (b->memory) {
        d->vk.vkFreeMemory(d->handle, b->memory, NULL); // unmaps as well
        d->memory_used -= b->allocated;
        d->memory_objects -= b->allocated > 0;
    }
    *b = (device_buffer){0};
}
