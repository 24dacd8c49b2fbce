// SPDX-License-Identifier: MIT
// A program's inside, shared by program.c (its life) and record.c (its commands).
#ifndef IGVK_VULKAN_PROGRAM_INTERNAL_H
#define IGVK_VULKAN_PROGRAM_INTERNAL_H

#include "vulkan/internal.h"

// Where a tensor's bytes lie.
typedef struct location {
    const device_buffer *buffer; // null: nowhere
    uint64_t offset, bytes;
    bool kept; // to the end of a run: program_read may copy it
} location;

struct program {
    device *device;
    workspace *workspace;
    uint64_t generation; // of the workspace, when recorded
    location *locations; // by tensor id
    size_t location_count;
    VkCommandBuffer *parts; // submitted one after another
    size_t part_count, part_capacity;
    VkDescriptorPool sets;
    VkQueryPool queries; // two timestamps per dispatch
    size_t dispatch_count;
    uint64_t last_ticket;
    double submit_cost; // microseconds, smoothed
};

// Fills p->parts (and sets, queries) from the list; `before` are its barriers. p->locations are set.
igvk_status record_commands(program *p, const dispatch_list *l, const bool *before, const program_options *o);

#endif
