// SPDX-License-Identifier: MIT
// Listing, choosing, opening and closing devices.
#include "vulkan/internal.h"

#include "core/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

igvk_status device_list(device_facts **facts, size_t *count) {
    igvk_status status = IGVK_OK;
    VkInstance instance = VK_NULL_HANDLE;
    physical_device *devices = NULL;
    device_options defaults = {0};
    *facts = NULL;
    *count = 0;
    TRY(instance_create(&instance));
    TRY(physical_devices(instance, &defaults, &devices, count));
    *facts = calloc(*count + 1, sizeof **facts);
    if (!*facts) {
        status = fail_memory("the list of devices", *count * sizeof **facts);
        goto done;
    }
    for (size_t i = 0; i < *count; i++)
        (*facts)[i] = devices[i].facts;
done:
    if (status != IGVK_OK)
        *count = 0;
    free(devices);
    instance_destroy(&instance);
    return status;
}

// ---- choice ----------------------------------------------------------------------------------------------

static bool contains(const char *text, const char *part) {
    for (size_t length = strlen(part); *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == length)
            return true;
    }
    return false;
}

static bool is_index(const char *text, uint32_t index) {
    uint64_t value;
    return parse_u64("device", text, 0, UINT32_MAX, &value) == IGVK_OK && value == index;
}

static igvk_status none_usable(const device_facts *f, size_t count, const char *select) {
    text_buffer list = {0};
    for (size_t i = 0; i < count; i++)
        text_append(&list, "%s%u (%s)%s%s", i ? ", " : "", f[i].index, f[i].name, f[i].usable ? "" : ": ",
                    f[i].usable ? "" : f[i].why_not);
    const char *text = list.text ? list.text : "none";
    igvk_status status =
        select ? fail(IGVK_ERROR_INVALID, "no device '%s' by index or part of the name; there are: %s", select, text)
               : fail(IGVK_ERROR_DEVICE, "no device can be used: %s", text);
    text_free(&list);
    return status;
}

// Of devices listed best first. An index wins over a name that holds the same digits.
igvk_status device_choose(const device_facts *facts, size_t count, const char *select, size_t *chosen) {
    const char *variable = getenv("IGVK_DEVICE");
    if (!select && variable && *variable)
        select = variable;
    size_t found = count;
    for (size_t i = 0; i < count && select && found == count; i++)
        if (is_index(select, facts[i].index))
            found = i;
    for (size_t i = 0; i < count && found == count; i++)
        if (select ? *select && contains(facts[i].name, select) : facts[i].usable)
            found = i;
    if (found == count)
        return none_usable(facts, count, select);
    if (!facts[found].usable)
        return fail(IGVK_ERROR_INVALID, "device %u (%s) cannot be used: %s", facts[found].index, facts[found].name,
                    facts[found].why_not);
    *chosen = found;
    return IGVK_OK;
}

static igvk_status choose(const physical_device *devices, size_t count, const char *select, size_t *chosen) {
    device_facts *facts = calloc(count + 1, sizeof *facts);
    if (!facts)
        return fail_memory("the list of devices", count * sizeof *facts);
    for (size_t i = 0; i < count; i++)
        facts[i] = devices[i].facts;
    igvk_status status = device_choose(facts, count, select, chosen);
    free(facts);
    return status;
}

// ---- open and close --------------------------------------------------------------------------------------

static igvk_status create_logical(device *d) {
    igvk_status status = IGVK_OK;
    float priority = 1;
    bool address = device_has(d, OPTIONAL_ADDRESS);
    const char *extensions[3];
    uint32_t extension_count = 0;
    if (d->physical.portability_subset)
        extensions[extension_count++] = "VK_KHR_portability_subset";
    if (device_has(d, OPTIONAL_MEMORY_BUDGET))
        extensions[extension_count++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (d->statistics)
        extensions[extension_count++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = d->physical.queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE};
    VkPhysicalDeviceVulkan11Features features11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                                   .pNext = d->statistics ? &statistics : NULL,
                                                   .storageBuffer16BitAccess = device_has(d, OPTIONAL_STORAGE_16BIT)};
    VkPhysicalDeviceVulkan12Features features12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                   .pNext = &features11,
                                                   .bufferDeviceAddress = address};
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &features12, .features.shaderInt64 = address};
    VkDeviceCreateInfo create = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                 .pNext = &features,
                                 .queueCreateInfoCount = 1,
                                 .pQueueCreateInfos = &queue,
                                 .enabledExtensionCount = extension_count,
                                 .ppEnabledExtensionNames = extensions};
    TRY_VULKAN(vkCreateDevice(d->physical.handle, &create, NULL, &d->handle), "to be opened");
    volkLoadDeviceTable(&d->vk, d->handle);
    d->vk.vkGetDeviceQueue(d->handle, d->physical.queue_family, 0, &d->queue);
done:
    return status;
}

static igvk_status limit_from(const char *variable, uint64_t *limit) {
    const char *text = getenv(variable);
    return *limit || !text || !*text ? IGVK_OK : parse_u64(variable, text, 1, UINT64_MAX / 4, limit);
}

static igvk_status limits_from_environment(device_options *o) {
    igvk_status status = IGVK_OK;
    TRY(limit_from("IGVK_MAX_ALLOCATION", &o->max_allocation));
    TRY(limit_from("IGVK_MAX_BINDING", &o->max_binding));
    TRY(limit_from("IGVK_MEMORY", &o->memory));
done:
    return status;
}

static igvk_status open_queue(device *d) {
    igvk_status status = IGVK_OK;
    TRY(create_logical(d));
    TRY(submissions_create(d));
    TRY(pipelines_create(d));
done:
    return status;
}

#define GENTLE_SUBMIT_MS 10.0 // less than a frame

igvk_status device_open(const device_options *given, device **out) {
    igvk_status status = IGVK_OK;
    device_options limited = given ? *given : (device_options){0};
    const device_options *o = &limited;
    physical_device *devices = NULL;
    size_t count = 0, chosen = 0;
    *out = NULL;
    device *d = calloc(1, sizeof *d);
    if (!d)
        return fail_memory("a device", sizeof *d);
    TRY(limits_from_environment(&limited));
    TRY(vector_width_set(limited.vector_width));
    TRY(instance_create(&d->instance));
    TRY(physical_devices(d->instance, o, &devices, &count));
    TRY(choose(devices, count, o->select, &chosen));
    d->physical = devices[chosen];
    d->gentle = o->gentle;
    d->max_submit_ms = o->max_submit_ms > 0 ? o->max_submit_ms : o->gentle ? GENTLE_SUBMIT_MS : 0;
    d->memory_limit = o->memory;
    d->planning = o->planning;
    d->statistics = o->statistics && device_has(d, OPTIONAL_PIPELINE_STATISTICS);
    d->memory_at_open = device_memory_free(d);
    if (!d->planning)
        TRY(open_queue(d));
    *out = d;
    d = NULL;
done:
    free(devices);
    device_close(&d);
    return status;
}

void device_close(device **device_at) {
    device *d = *device_at;
    *device_at = NULL;
    if (!d)
        return;
    if (d->handle) {
        d->vk.vkDeviceWaitIdle(d->handle); // nothing is left to do where it fails
        buffer_destroy(d, &d->staging);
        pipelines_destroy(d);
        submissions_destroy(d);
        d->vk.vkDestroyDevice(d->handle, NULL);
    }
    instance_destroy(&d->instance);
    free(d);
}

const device_facts *device_facts_of(const device *d) {
    return &d->physical.facts;
}

const capabilities *device_capabilities(const device *d) {
    return &d->physical.facts.capabilities;
}

static uint64_t less(uint64_t all, uint64_t used) {
    return all > used ? all - used : 1; // 0 would mean that nobody knows
}

// What the device and its system say.
static uint64_t memory_told(const device *d) {
    uint64_t unused = physical_memory_free(&d->physical);
    // Without a budget that is the whole heap, of which at least this much is taken.
    bool told = d->physical.facts.capabilities.cpu || device_has(d, OPTIONAL_MEMORY_BUDGET);
    if (!unused || (told && !d->planning))
        return unused;
    return less(unused, d->memory_used);
}

uint64_t device_memory_free(const device *d) {
    if (!d->memory_limit)
        return memory_told(d);
    const uint64_t told = memory_told(d), limit = less(d->memory_limit, d->memory_used);
    return d->planning || !told || limit < told ? limit : told;
}

uint64_t device_memory_used(const device *d) {
    return d->memory_used;
}
