// SPDX-License-Identifier: MIT
// The memory that Linux control groups (containers, batch systems, services) let this process have. Version 2:
// memory.max and memory.current; version 1: memory.limit_in_bytes and memory.usage_in_bytes. A group is bound by those
// above it, too.
#ifndef IGVK_VULKAN_CONTROL_GROUP_H
#define IGVK_VULKAN_CONTROL_GROUP_H

#include <stdint.h>

typedef struct control_group_memory {
    uint64_t limit;     // bytes in all; UINT64_MAX: no limit
    uint64_t available; // of them, what can still be had; file caches that can be dropped count. UINT64_MAX: no limit
} control_group_memory;

// `membership`: "/proc/self/cgroup"; `mount`: "/sys/fs/cgroup". What cannot be read sets no limit.
control_group_memory control_group_memory_of(const char *membership, const char *mount);

#endif
