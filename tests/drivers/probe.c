// SPDX-License-Identifier: MIT
// What CTest asks before it registers the tests that need a device (register.cmake). Prints one line; exits 0, or 77
// (skipped) with the reason.
//
//     driver_probe               can the device of this environment be opened? Prints its driver and its name.
//     driver_probe --layer NAME  does the loader offer this layer?
#include "vulkan/device.h"
#include "vulkan/functions.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77

static int skipped(const char *why) {
    printf("skipped: %s\n", why);
    return SKIPPED;
}

static bool layer_offered(const char *name) {
    VkLayerProperties *list = NULL;
    uint32_t count = 0;
    bool found = false;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) == VK_SUCCESS)
        list = calloc(count + 1, sizeof *list);
    if (list && vkEnumerateInstanceLayerProperties(&count, list) == VK_SUCCESS)
        for (uint32_t i = 0; i < count; i++)
            found = found || !strcmp(list[i].layerName, name);
    free(list);
    return found;
}

static int probe_layer(const char *name) {
    char why[128];
    if (volkInitialize() != VK_SUCCESS)
        return skipped("no Vulkan loader (Debian package libvulkan1)");
    if (!layer_offered(name)) {
        snprintf(why, sizeof why, "no %s (Debian package vulkan-validationlayers)", name);
        return skipped(why);
    }
    printf("%s\n", name);
    return 0;
}

static int probe_device(void) {
    device *d = NULL;
    if (device_open(NULL, &d) != IGVK_OK)
        return skipped(igvk_error_text());
    const device_facts *f = device_facts_of(d);
    printf("%s: %s\n", f->driver, f->name);
    device_close(&d);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 1)
        return probe_device();
    if (argc == 3 && !strcmp(argv[1], "--layer"))
        return probe_layer(argv[2]);
    fprintf(stderr, "usage: driver_probe [--layer NAME]\n");
    return 2;
}
