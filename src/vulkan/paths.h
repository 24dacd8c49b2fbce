// SPDX-License-Identifier: MIT
// Optional paths: what a device may have beyond the minimum, each of which IGVK_DISABLE=name,name switches off.
#ifndef IGVK_VULKAN_PATHS_H
#define IGVK_VULKAN_PATHS_H

#include "vulkan/device.h"

enum optional_path {
    OPTIONAL_ADDRESS,
    OPTIONAL_REGISTER_TILE,
    OPTIONAL_LANES_BROADCAST,
    OPTIONAL_SUBGROUP_BROADCAST,
    OPTIONAL_SUBGROUP_SHUFFLE,
    OPTIONAL_PAIRS,
    OPTIONAL_WRITTEN_OUT,
    OPTIONAL_STORAGE_16BIT,
    OPTIONAL_UNIFIED,
    OPTIONAL_TIMESTAMPS,
    OPTIONAL_MEMORY_BUDGET,
    OPTIONAL_PIPELINE_CACHE,
    OPTIONAL_PIPELINE_STATISTICS,
    OPTIONAL_COOPERATIVE_MATRIX,
    OPTIONAL_COUNT,
};

// The paths as rows with names and texts; none present yet. Fails where IGVK_DISABLE names an unknown one.
igvk_status paths_create(device_path paths[OPTIONAL_COUNT]);
// Notes that the device has `path`; it is enabled unless switched off or not compiled.
void path_found(device_path paths[OPTIONAL_COUNT], enum optional_path path, bool present);

#endif
