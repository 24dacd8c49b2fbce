// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE
#include "vulkan/system_memory.h"

#include "vulkan/control_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// "MemAvailable:   12345 kB" of /proc/meminfo, in bytes.
static uint64_t meminfo(const char *key) {
    FILE *f = fopen("/proc/meminfo", "r");
    if (!f)
        return 0;
    char line[128];
    uint64_t kibibytes = 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), ": %" SCNu64, &kibibytes) == 1)
            break;
    fclose(f);
    return kibibytes * 1024;
}

// Systems without /proc know pages.
static uint64_t pages(int name) {
    long count = sysconf(name), size = sysconf(_SC_PAGESIZE);
    return count > 0 && size > 0 ? (uint64_t)count * (uint64_t)size : 0;
}

static control_group_memory control_group(void) {
    return control_group_memory_of("/proc/self/cgroup", "/sys/fs/cgroup");
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t system_memory_total(void) {
    uint64_t total = meminfo("MemTotal");
    return smaller(total ? total : pages(_SC_PHYS_PAGES), control_group().limit);
}

uint64_t system_memory_available(void) {
    uint64_t available = meminfo("MemAvailable");
#ifdef _SC_AVPHYS_PAGES
    available = available ? available : pages(_SC_AVPHYS_PAGES);
#endif
    return smaller(available, control_group().available);
}
