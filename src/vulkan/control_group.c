// SPDX-License-Identifier: MIT
#include "vulkan/control_group.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 4096

typedef struct version {
    const char *folder; // below the mount
    const char *limit, *usage, *droppable;
} version;

static const version versions[] = {
    {"", "memory.max", "memory.current", "inactive_file "},
    {"/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
};

// The number after `key` at a line's start ("" for a file of one number); false where there is none ("max").
static bool read_number(const char *group, const char *file, const char *key, uint64_t *out) {
    char path[PATH_SIZE + 64], line[256];
    bool found = false;
    snprintf(path, sizeof path, "%s/%s", group, file);
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%" SCNu64, out) == 1;
    if (f)
        fclose(f);
    return found;
}

static void apply_group(const version *v, const char *group, control_group_memory *m) {
    uint64_t limit = 0, usage = 0, droppable = 0;
    if (!read_number(group, v->limit, "", &limit))
        return;
    read_number(group, v->usage, "", &usage);
    read_number(group, "memory.stat", v->droppable, &droppable);
    usage -= droppable < usage ? droppable : usage;
    uint64_t available = limit > usage ? limit - usage : 1; // 0 is taken for unknown
    m->limit = limit < m->limit ? limit : m->limit;
    m->available = available < m->available ? available : m->available;
}

// The group and all above it. A container may show its own group as the root and name it by the host's path: groups
// that are not there are passed over.
static void apply_path(const version *v, const char *mount, const char *path, control_group_memory *m) {
    char group[PATH_SIZE];
    int root = snprintf(group, sizeof group, "%s%s", mount, v->folder);
    int length = snprintf(group, sizeof group, "%s%s%s", mount, v->folder, path);
    if (length >= (int)sizeof group)
        return;
    for (char *end = group + length; end; end = strrchr(group + root, '/')) {
        *end = 0;
        apply_group(v, group, m);
    }
}

// "0::/PATH" is version 2's line, "4:memory:/PATH" (or more controllers with commas) version 1's.
static bool version_of(const char *controllers, size_t *index) {
    char list[256];
    snprintf(list, sizeof list, ",%s,", controllers);
    *index = controllers[0] != 0;
    return !controllers[0] || strstr(list, ",memory,");
}

control_group_memory control_group_memory_of(const char *membership, const char *mount) {
    control_group_memory m = {UINT64_MAX, UINT64_MAX};
    char line[PATH_SIZE];
    FILE *f = fopen(membership, "r");
    while (f && fgets(line, sizeof line, f)) {
        size_t index = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        if (version_of(controllers + 1, &index))
            apply_path(&versions[index], mount, path, &m);
    }
    if (f)
        fclose(f);
    return m;
}
