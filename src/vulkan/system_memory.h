// SPDX-License-Identifier: MIT
#ifndef IGVK_VULKAN_SYSTEM_MEMORY_H
#define IGVK_VULKAN_SYSTEM_MEMORY_H

#include <stdint.h>

// What counts on a CPU device, whose heap is no limit: all of the system's memory, and what can be had of it
// without swapping, as far as the process's control group lets it. 0 where unknown.
uint64_t system_memory_total(void);
uint64_t system_memory_available(void);

#endif
