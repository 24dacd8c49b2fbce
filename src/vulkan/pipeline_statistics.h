// SPDX-License-Identifier: MIT
// What a driver tells of the machine code that it made of a kernel (VK_KHR_pipeline_executable_properties): registers,
// spills, shared memory. Of devices opened with device_options.statistics.
#ifndef IGVK_VULKAN_PIPELINE_STATISTICS_H
#define IGVK_VULKAN_PIPELINE_STATISTICS_H

#include "graph/lower.h"
#include "vulkan/device.h"

#define MOST_PIPELINE_STATISTICS 48
typedef struct pipeline_statistics {
    bool fresh; // this device had not compiled the pipeline before; else the rest is empty
    size_t count;
    struct {
        char name[256];
        double value;
    } items[MOST_PIPELINE_STATISTICS];
} pipeline_statistics;

// Compiles the pipeline that the dispatch would run, and asks. A driver that tells nothing gives no items.
igvk_status pipeline_statistics_read(device *d, const dispatch *x, pipeline_statistics *out);

#endif
