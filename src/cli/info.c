// SPDX-License-Identifier: MIT
// `igvk info`: what this build and this machine's devices can do, and which device work would go to.
#include "cli/arguments.h"
#include "cli/console.h"

#include <stdio.h>

#ifndef IGVK_BUILD_COMPILER // CMake knows both
#define IGVK_BUILD_COMPILER "unknown"
#define IGVK_BUILD_SHADER_COMPILER "unknown"
#endif

// Why a path is not taken; the first reason that holds, in the order in which one could change it least.
static const char *path_state(const igvk_device_path *p) {
    if (p->enabled)
        return "on";
    if (!p->present)
        return "off: not on this device";
    if (!p->compiled)
        return "off: beyond this build's shader compiler";
    return "off: switched off (IGVK_DISABLE)";
}

static void print_device(const igvk_device_info *d) {
    char memory[32], unused[32], range[32], allocation[32], shared[32];
    printf("\n%c %u  %s (%s)\n     %s\n", d->chosen ? '*' : ' ', d->index, d->name, d->kind, d->driver);
    if (!d->usable)
        printf("     not usable: %s\n", d->why_not);
    printf("     Vulkan %u.%u.%u, subgroups of %u (%u to %u), %u invocations and %s shared by a workgroup\n",
           d->api_major, d->api_minor, d->api_patch, d->subgroup_size, d->subgroup_min, d->subgroup_max,
           d->max_invocations, bytes_text(shared, d->max_shared_bytes));
    printf("     memory %s, %s free; up to %s a binding and %s an allocation\n", bytes_text(memory, d->memory_bytes),
           d->free_bytes ? bytes_text(unused, d->free_bytes) : "unknown", bytes_text(range, d->max_storage_range),
           bytes_text(allocation, d->max_allocation));
    for (size_t i = 0; i < d->path_count; i++)
        printf("     %-18s %-42s %s\n", d->paths[i].name, path_state(&d->paths[i]), d->paths[i].what);
}

static int run(const arguments *a) {
    (void)a;
    igvk_device_info *devices = NULL;
    size_t count = 0;
    const igvk_device_info *chosen = NULL;
    printf("igvk %s\nshaders by %s, program by %s\n", igvk_version(), IGVK_BUILD_SHADER_COMPILER, IGVK_BUILD_COMPILER);
    // A machine on which nothing can run is bad input here, not a failure of the work: there was none.
    if (igvk_device_list(&devices, &count) != IGVK_OK)
        return usage_error("%s", igvk_error_text());
    for (size_t i = 0; i < count; i++) {
        print_device(&devices[i]);
        if (devices[i].chosen)
            chosen = &devices[i];
    }
    if (chosen)
        printf("\n* is taken: %s. --device or IGVK_DEVICE takes another, by index or part of its name.\n",
               chosen->name);
    igvk_free(devices);
    return chosen ? EXIT_FINE
                  : usage_error("none of these devices would be taken: see why above, and check IGVK_DEVICE");
}

static const char *const examples[] = {"info", NULL};

const command info_command = {
    .name = "info",
    .summary = "list devices, what each can do and which is taken",
    .about =
        "Lists the Vulkan devices, best first, with their limits and the optional paths that this program takes on "
        "them or why not, and tells which device work goes to. Exit status 2 where there is none.",
    .examples = examples,
    .run = run,
};
