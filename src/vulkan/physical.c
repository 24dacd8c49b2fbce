// SPDX-License-Identifier: MIT
#include "vulkan/physical.h"

#include "graph/lower.h"
#include "vulkan/system_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Headers of Debian 12 do not know this extension yet.
#ifndef VK_KHR_cooperative_matrix
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR ((VkStructureType)1000506000)
typedef struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix;
    VkBool32 cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;
#endif

// What a device says of itself, before it is judged.
typedef struct device_answers {
    VkExtensionProperties *extensions;
    uint32_t extension_count;
    VkPhysicalDeviceProperties2 properties;
    VkPhysicalDeviceVulkan11Properties vulkan11;
    VkPhysicalDeviceVulkan12Properties vulkan12;
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT subgroups;
    VkPhysicalDeviceFeatures2 features;
    VkPhysicalDeviceVulkan11Features features11;
    VkPhysicalDeviceVulkan12Features features12;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices;
    uint32_t timestamp_bits;
} device_answers;

static bool has_extension(const device_answers *a, const char *name) {
    for (uint32_t i = 0; i < a->extension_count; i++)
        if (!strcmp(a->extensions[i].extensionName, name))
            return true;
    return false;
}

static bool read_extensions(VkPhysicalDevice handle, device_answers *a) {
    uint32_t count = 0;
    if (vkEnumerateDeviceExtensionProperties(handle, NULL, &count, NULL) != VK_SUCCESS)
        return true; // taken as none
    a->extensions = calloc(count + 1, sizeof *a->extensions);
    if (!a->extensions)
        return false;
    if (vkEnumerateDeviceExtensionProperties(handle, NULL, &count, a->extensions) >= VK_SUCCESS)
        a->extension_count = count;
    return true;
}

// Properties and features; only for devices of Vulkan 1.2.
static void read_answers(VkPhysicalDevice handle, device_answers *a) {
    a->vulkan11 =
        (VkPhysicalDeviceVulkan11Properties){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    a->vulkan12 = (VkPhysicalDeviceVulkan12Properties){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
                                                       .pNext = &a->vulkan11};
    a->subgroups = (VkPhysicalDeviceSubgroupSizeControlPropertiesEXT){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT};
    if (has_extension(a, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        a->vulkan11.pNext = &a->subgroups;
    a->properties =
        (VkPhysicalDeviceProperties2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &a->vulkan12};
    vkGetPhysicalDeviceProperties2(handle, &a->properties);

    a->features11 = (VkPhysicalDeviceVulkan11Features){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
    a->features12 = (VkPhysicalDeviceVulkan12Features){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                       .pNext = &a->features11};
    a->matrices = (VkPhysicalDeviceCooperativeMatrixFeaturesKHR){
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    if (has_extension(a, "VK_KHR_cooperative_matrix"))
        a->features11.pNext = &a->matrices;
    a->features =
        (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &a->features12};
    vkGetPhysicalDeviceFeatures2(handle, &a->features);
}

// A family that computes and draws nothing where there is one: it does not compete with a display.
static bool find_queue(VkPhysicalDevice handle, uint32_t *family, uint32_t *timestamp_bits) {
    VkQueueFamilyProperties families[32];
    uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(handle, &count, NULL);
    count = count < 32 ? count : 32;
    vkGetPhysicalDeviceQueueFamilyProperties(handle, &count, families);
    bool found = false, draws = true;
    for (uint32_t i = 0; i < count; i++) {
        bool graphics = families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT;
        if (!families[i].queueCount || !(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) ||
            (found && (graphics || !draws)))
            continue;
        *family = i;
        *timestamp_bits = families[i].timestampValidBits;
        draws = graphics;
        found = true;
    }
    return found;
}

static const char *kind_name(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "cpu";
    default:
        return "other";
    }
}

// Rank in device_list: usable ones first, then by kind.
static int rank(const device_facts *f) {
    static const char *const order[] = {"discrete", "integrated", "virtual", "cpu", "other"};
    int place = 0;
    while (place < 4 && strcmp(order[place], f->kind))
        place++;
    return place + (f->usable ? 0 : 5);
}

static int compare_devices(const void *a, const void *b) {
    const device_facts *x = &((const physical_device *)a)->facts, *y = &((const physical_device *)b)->facts;
    return rank(x) != rank(y) ? rank(x) - rank(y) : x->index < y->index ? -1 : 1;
}

// Mesa's major version in "Mesa 26.2.6 (LLVM 22.1.8)", else 0.
static int mesa_major(const char *driver_info) {
    int major = 0;
    return sscanf(driver_info, "Mesa %d.", &major) == 1 ? major : 0;
}

static uint64_t largest_local_heap(const VkPhysicalDeviceMemoryProperties *m, uint32_t *heap) {
    uint64_t size = 0;
    for (uint32_t i = 0; i < m->memoryHeapCount; i++)
        if ((m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && m->memoryHeaps[i].size > size) {
            size = m->memoryHeaps[i].size;
            *heap = i;
        }
    return size;
}

// Memory of the device that the host reaches too; on discrete devices that way is slow for reading.
static bool is_unified(const physical_device *p, VkPhysicalDeviceType type) {
    const VkMemoryPropertyFlags all = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                      VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (type != VK_PHYSICAL_DEVICE_TYPE_CPU && type != VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU)
        return false;
    for (uint32_t i = 0; i < p->memory.memoryTypeCount; i++)
        if ((p->memory.memoryTypes[i].propertyFlags & all) == all)
            return true;
    return false;
}

static void find_paths(physical_device *p, const device_answers *a, const device_options *o) {
    device_path *paths = p->facts.paths;
    VkPhysicalDeviceType type = a->properties.properties.deviceType;
    bool cpu = type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    path_found(paths, OPTIONAL_ADDRESS, a->features12.bufferDeviceAddress && a->features.features.shaderInt64);
    if (o->no_address)
        paths[OPTIONAL_ADDRESS].enabled = false;
    path_found(paths, OPTIONAL_REGISTER_TILE, cpu);
    path_found(paths, OPTIONAL_LANES_BROADCAST,
               a->vulkan12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE && mesa_major(a->vulkan12.driverInfo) >= 26);
    path_found(paths, OPTIONAL_SUBGROUP_BROADCAST,
               cpu && (a->vulkan11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                   (a->vulkan11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT));
    path_found(paths, OPTIONAL_SUBGROUP_SHUFFLE,
               (a->vulkan11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                   (a->vulkan11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT));
    path_found(paths, OPTIONAL_WRITTEN_OUT, a->vulkan12.driverID == VK_DRIVER_ID_GOOGLE_SWIFTSHADER);
    path_found(paths, OPTIONAL_STORAGE_16BIT, a->features11.storageBuffer16BitAccess);
    path_found(paths, OPTIONAL_UNIFIED, is_unified(p, type));
    path_found(paths, OPTIONAL_TIMESTAMPS, a->timestamp_bits > 0);
    path_found(paths, OPTIONAL_MEMORY_BUDGET, has_extension(a, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) && !cpu);
    path_found(paths, OPTIONAL_PIPELINE_CACHE, true);
    path_found(paths, OPTIONAL_PIPELINE_STATISTICS,
               has_extension(a, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME));
    // The bit, not the extension: llvmpipe at 128 bits lists the one without the other.
    // llvmpipe splits vectors of 1024 bits: at 512-bit vectors pairs are slower by half.
    path_found(paths, OPTIONAL_PAIRS, paths[OPTIONAL_ADDRESS].enabled && (!cpu || a->vulkan11.subgroupSize <= 8));
    path_found(paths, OPTIONAL_COOPERATIVE_MATRIX, a->matrices.cooperativeMatrix);
}

static uint64_t limited(uint64_t value, uint64_t limit) {
    return limit && limit < value ? limit : value;
}

static void fill_capabilities(physical_device *p, const device_options *o) {
    device_facts *f = &p->facts;
    bool address = f->paths[OPTIONAL_ADDRESS].enabled;
    f->capabilities = (capabilities){
        .cpu = !strcmp(f->kind, "cpu"),
        .address = address,
        .vector_width = f->subgroup_size,
        .max_invocations = p->limits.maxComputeWorkGroupInvocations,
        .max_groups = {p->limits.maxComputeWorkGroupCount[0], p->limits.maxComputeWorkGroupCount[1],
                       p->limits.maxComputeWorkGroupCount[2]},
        .max_shared_bytes = p->limits.maxComputeSharedMemorySize,
        .max_binding = limited(address ? UINT64_MAX : f->max_storage_range, o->max_binding),
        .max_allocation = limited(f->max_allocation, o->max_allocation),
        .storage_16bit = f->paths[OPTIONAL_STORAGE_16BIT].enabled,
        .register_tile = f->paths[OPTIONAL_REGISTER_TILE].enabled,
        .lanes_broadcast = f->paths[OPTIONAL_LANES_BROADCAST].enabled,
        .subgroup_broadcast = f->paths[OPTIONAL_SUBGROUP_BROADCAST].enabled,
        .shuffle_lanes = f->paths[OPTIONAL_SUBGROUP_SHUFFLE].enabled ? f->subgroup_min : 0,
        .pairs = f->paths[OPTIONAL_PAIRS].enabled,
        .written_out = f->paths[OPTIONAL_WRITTEN_OUT].enabled,
    };
    if (p->limits.maxComputeWorkGroupSize[0] < f->capabilities.max_invocations)
        f->capabilities.max_invocations = p->limits.maxComputeWorkGroupSize[0];
}

static void fill_facts(physical_device *p, const device_answers *a) {
    device_facts *f = &p->facts;
    uint32_t heap = 0;
    snprintf(f->driver, sizeof f->driver, "%s", a->vulkan12.driverName);
    snprintf(f->driver_info, sizeof f->driver_info, "%s", a->vulkan12.driverInfo);
    f->subgroup_size = f->subgroup_min = f->subgroup_max = a->vulkan11.subgroupSize;
    if (a->subgroups.maxSubgroupSize) {
        f->subgroup_min = a->subgroups.minSubgroupSize;
        f->subgroup_max = a->subgroups.maxSubgroupSize;
    }
    f->max_storage_range = p->limits.maxStorageBufferRange;
    // Rounded down, so that a buffer of this size still fits after the driver's own rounding.
    f->max_allocation = a->vulkan11.maxMemoryAllocationSize / 65536 * 65536;
    p->max_memory_objects = p->limits.maxMemoryAllocationCount;
    memcpy(p->uuid, a->vulkan11.deviceUUID, VK_UUID_SIZE);
    memcpy(p->pipeline_cache_uuid, a->properties.properties.pipelineCacheUUID, VK_UUID_SIZE);
    p->portability_subset = has_extension(a, "VK_KHR_portability_subset");
    bool cpu = a->properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    f->memory_bytes = cpu ? system_memory_total() : largest_local_heap(&p->memory, &heap);
}

// Sets why_not, or usable.
static void judge(physical_device *p, bool has_queue) {
    device_facts *f = &p->facts;
    char *why = f->why_not;
    if (!has_queue)
        snprintf(why, sizeof f->why_not, "it has no queue that computes");
    else if (!f->subgroup_size)
        snprintf(why, sizeof f->why_not, "it reports no subgroup size: it computes nothing (a mock driver?)");
    else if (!f->capabilities.address && p->limits.maxPerStageDescriptorStorageBuffers < DISPATCH_MAX_ARGUMENTS)
        snprintf(why, sizeof f->why_not, "it binds %u buffers to a shader and igvk needs %d, or device addresses%s",
                 p->limits.maxPerStageDescriptorStorageBuffers, DISPATCH_MAX_ARGUMENTS,
                 f->paths[OPTIONAL_ADDRESS].present ? " (they are switched off)" : "");
    else
        f->usable = true;
}

static igvk_status query_device(VkPhysicalDevice handle, uint32_t index, const device_options *o, physical_device *p) {
    igvk_status status = IGVK_OK;
    device_answers answers = {0};
    device_facts *f = &p->facts;
    VkPhysicalDeviceProperties basic;
    vkGetPhysicalDeviceProperties(handle, &basic);
    vkGetPhysicalDeviceMemoryProperties(handle, &p->memory);
    p->handle = handle;
    p->limits = basic.limits;
    p->driver_version = basic.driverVersion;
    f->index = index;
    snprintf(f->name, sizeof f->name, "%s", basic.deviceName);
    f->api_version = basic.apiVersion;
    f->vendor = basic.vendorID;
    f->device_id = basic.deviceID;
    f->kind = kind_name(basic.deviceType);
    f->path_count = OPTIONAL_COUNT;
    TRY(paths_create(f->paths));
    if (basic.apiVersion < VK_API_VERSION_1_2) {
        for (int i = 0; i < OPTIONAL_COUNT; i++)
            path_found(f->paths, i, false);
        snprintf(f->why_not, sizeof f->why_not, "it offers Vulkan %u.%u and igvk needs 1.2",
                 VK_API_VERSION_MAJOR(basic.apiVersion), VK_API_VERSION_MINOR(basic.apiVersion));
        goto done;
    }
    if (!read_extensions(handle, &answers)) {
        status = fail_memory("the list of a device's extensions", 0);
        goto done;
    }
    read_answers(handle, &answers);
    bool has_queue = find_queue(handle, &p->queue_family, &answers.timestamp_bits);
    p->timestamp_mask = answers.timestamp_bits < 64 ? (1ull << answers.timestamp_bits) - 1 : UINT64_MAX;
    find_paths(p, &answers, o);
    fill_facts(p, &answers);
    fill_capabilities(p, o);
    f->free_bytes = physical_memory_free(p);
    judge(p, has_queue);
done:
    free(answers.extensions);
    return status;
}

igvk_status physical_devices(VkInstance instance, const device_options *o, physical_device **out, size_t *out_count) {
    igvk_status status = IGVK_OK;
    uint32_t count = 0;
    VkPhysicalDevice *handles = NULL;
    physical_device *list = NULL;
    if (vkEnumeratePhysicalDevices(instance, &count, NULL) != VK_SUCCESS)
        count = 0;
    handles = calloc(count + 1, sizeof *handles);
    list = calloc(count + 1, sizeof *list);
    if (!handles || !list) {
        status = fail_memory("the list of devices", count * sizeof *list);
        goto done;
    }
    if (count && vkEnumeratePhysicalDevices(instance, &count, handles) < VK_SUCCESS)
        THROW(IGVK_ERROR_DEVICE, "the Vulkan driver does not list its devices");
    for (uint32_t i = 0; i < count; i++)
        TRY(query_device(handles[i], i, o, &list[i]));
    qsort(list, count, sizeof *list, compare_devices);
    *out = list;
    *out_count = count;
    list = NULL;
done:
    free(list);
    free(handles);
    return status;
}

uint64_t physical_memory_free(const physical_device *p) {
    if (!strcmp(p->facts.kind, "cpu"))
        return system_memory_available();
    uint32_t heap = 0;
    uint64_t size = largest_local_heap(&p->memory, &heap);
    if (!p->facts.paths[OPTIONAL_MEMORY_BUDGET].enabled)
        return size;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                .pNext = &budget};
    vkGetPhysicalDeviceMemoryProperties2(p->handle, &memory);
    return budget.heapBudget[heap] > budget.heapUsage[heap] ? budget.heapBudget[heap] - budget.heapUsage[heap] : 0;
}
