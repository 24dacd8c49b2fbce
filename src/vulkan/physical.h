// SPDX-License-Identifier: MIT
// The instance and the physical devices it offers.
#ifndef IGVK_VULKAN_PHYSICAL_H
#define IGVK_VULKAN_PHYSICAL_H

#include "vulkan/functions.h"
#include "vulkan/paths.h"

// Fails with one line where there is no loader, no driver, or only a loader older than Vulkan 1.2.
igvk_status instance_create(VkInstance *out);
void instance_destroy(VkInstance *instance); // takes null

typedef struct physical_device {
    VkPhysicalDevice handle;
    device_facts facts;
    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t queue_family;
    uint64_t timestamp_mask; // the bits of a timestamp that count
    uint32_t max_memory_objects;
    bool portability_subset; // the extension must be enabled where it is offered
    uint8_t uuid[VK_UUID_SIZE], pipeline_cache_uuid[VK_UUID_SIZE];
    uint32_t driver_version;
} physical_device;

// All of them, best first; malloc'd. Of `o` the limits and `no_address` count.
igvk_status physical_devices(VkInstance instance, const device_options *o, physical_device **out, size_t *count);
// Budget less use of the largest device-local heap, or the system's available memory on CPU devices.
uint64_t physical_memory_free(const physical_device *p);

#endif
