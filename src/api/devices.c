// SPDX-License-Identifier: MIT
// The list of devices, as the public header shows it.
#include "vulkan/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_paths(const device_facts *f, igvk_device_info *info) {
    enum { MOST = sizeof info->paths / sizeof *info->paths };
    _Static_assert(DEVICE_MAX_PATHS <= (int)MOST, "every path has a place in igvk_device_info");
    info->path_count = f->path_count;
    for (size_t i = 0; i < f->path_count; i++) {
        const device_path *p = &f->paths[i];
        info->paths[i] = (igvk_device_path){p->name, p->what, p->present, p->compiled, p->enabled};
    }
}

static void copy_facts(const device_facts *f, igvk_device_info *info) {
    *info = (igvk_device_info){
        .index = f->index,
        .kind = f->kind,
        .usable = f->usable,
        .api_major = f->api_version >> 22 & 0x7f, // VK_API_VERSION_MAJOR and so on
        .api_minor = f->api_version >> 12 & 0x3ff,
        .api_patch = f->api_version & 0xfff,
        .subgroup_size = f->subgroup_size,
        .subgroup_min = f->subgroup_min,
        .subgroup_max = f->subgroup_max,
        .memory_bytes = f->memory_bytes,
        .free_bytes = f->free_bytes,
        .max_storage_range = f->max_storage_range,
        .max_allocation = f->max_allocation,
        .max_invocations = f->capabilities.max_invocations,
        .max_shared_bytes = f->capabilities.max_shared_bytes,
    };
    snprintf(info->name, sizeof info->name, "%s", f->name);
    snprintf(info->why_not, sizeof info->why_not, "%s", f->why_not);
    // Both parts are up to 255 bytes long: the driver's own version is cut first.
    snprintf(info->driver, sizeof info->driver, "%.127s %.127s", f->driver, f->driver_info);
    copy_paths(f, info);
}

igvk_status igvk_device_list(igvk_device_info **devices, size_t *count) {
    igvk_status status = IGVK_OK;
    device_facts *facts = NULL;
    igvk_device_info *list = NULL;
    size_t found = 0, chosen = 0;
    TRY(device_list(&facts, &found));
    list = calloc(found + 1, sizeof *list);
    if (!list)
        THROW(IGVK_ERROR_MEMORY, "out of memory for the list of devices");
    for (size_t i = 0; i < found; i++)
        copy_facts(&facts[i], &list[i]);
    // A list of devices of which none would be taken is a list too.
    if (device_choose(facts, found, NULL, &chosen) == IGVK_OK)
        list[chosen].chosen = true;
    *devices = list;
    *count = found;
done:
    free(facts);
    return status;
}

void igvk_free(void *p) { free(p); }
