// SPDX-License-Identifier: MIT
// A planning device: one that was opened with device_options.planning. It counts the memory that would be allocated,
// by kind, and allocates none; programs are not recorded, copies do nothing. So the code that makes a job ready says
// what it needs, the same way as it then takes it.
#ifndef IGVK_VULKAN_PLANNING_H
#define IGVK_VULKAN_PLANNING_H

#include "vulkan/device.h"

// Kinds are what the memory's names begin with, up to a dot ("model", "gradient"), or one of these.
#define PLANNED_WORKSPACE "the workspace for activations"
#define PLANNED_STAGING "the staging buffer"

typedef struct planned_memory {
    char kind[40];
    uint64_t bytes;
} planned_memory;
#define PLANNED_KINDS 24

bool device_is_planning(const device *d);
// What there was at the moment of the largest sum, in the order of first use. Returns the count; *rows live as long as
// the device.
size_t device_planned(const device *d, const planned_memory **rows);
uint64_t device_planned_bytes(const device *d); // the largest sum
// Of the workspaces, what the activations of one program need at once; the rest lies between or is other programs'.
uint64_t device_planned_activations(const device *d);
// Until it is called with null, all memory is of this kind.
void device_plan_kind(device *d, const char *kind);

#endif
