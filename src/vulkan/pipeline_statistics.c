// SPDX-License-Identifier: MIT
#include "vulkan/pipeline_statistics.h"

#include "vulkan/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double value_of(const VkPipelineExecutableStatisticKHR *s) {
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        return s->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        return (double)s->value.u64;
    default:
        return s->value.f64;
    }
}

// A compute pipeline has one executable.
static igvk_status ask(device *d, VkPipeline pipeline, pipeline_statistics *out) {
    igvk_status status = IGVK_OK;
    VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    VkPipelineExecutableStatisticKHR told[MOST_PIPELINE_STATISTICS];
    uint32_t count = MOST_PIPELINE_STATISTICS;
    for (size_t i = 0; i < MOST_PIPELINE_STATISTICS; i++)
        told[i] =
            (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    VkResult result = d->vk.vkGetPipelineExecutableStatisticsKHR(d->handle, &which, &count, told);
    if (result != VK_INCOMPLETE) // more than there is room for: the first ones
        TRY_VULKAN(result, "statistics of a pipeline");
    for (uint32_t i = 0; i < count; i++) {
        snprintf(out->items[i].name, sizeof out->items[i].name, "%s", told[i].name);
        out->items[i].value = value_of(&told[i]);
    }
    out->count = count;
done:
    return status;
}

igvk_status pipeline_statistics_read(device *d, const dispatch *x, pipeline_statistics *out) {
    igvk_status status = IGVK_OK;
    const size_t before = d->pipelines.count;
    VkPipeline pipeline;
    memset(out, 0, sizeof *out);
    TRY(pipeline_get(d, x, false, &pipeline));
    out->fresh = d->pipelines.count > before;
    if (out->fresh && d->statistics)
        TRY(ask(d, pipeline, out));
done:
    return status;
}
