// SPDX-License-Identifier: MIT
// What CTest asks before it registers the tests that need a device (register.cmake). Prints one line; exits 0, or 77
// (skipped) with the reason.
//
//     driver_probe               can the device of this environment be opened? "driver WORD, device NAME"
//     driver_probe --layer NAME  does the loader offer this layer? "layer NAME 1.3.239"
#include "vulkan/device.h"
#include "vulkan/functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77

static int skipped(const char *why) {
    printf("skipped: %s\n", why);
    return SKIPPED;
}

// The version of Vulkan that the layer is written for; 0: there is no such layer.
static uint32_t layer_version(const char *name) {
    VkLayerProperties *list = NULL;
    uint32_t count = 0, version = 0;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) == VK_SUCCESS)
        list = calloc(count + 1, sizeof *list);
    if (list && vkEnumerateInstanceLayerProperties(&count, list) == VK_SUCCESS)
        for (uint32_t i = 0; i < count; i++)
            if (!strcmp(list[i].layerName, name))
                version = list[i].specVersion;
    free(list);
    return version;
}

static int probe_layer(const char *name) {
    char why[128];
    if (volkInitialize() != VK_SUCCESS)
        return skipped("no Vulkan loader (Debian package libvulkan1)");
    uint32_t version = layer_version(name);
    if (!version) {
        snprintf(why, sizeof why, "no %s (Debian package vulkan-validationlayers)", name);
        return skipped(why);
    }
    printf("layer %s %u.%u.%u\n", name, VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
           VK_API_VERSION_PATCH(version));
    return 0;
}

static int probe_device(void) {
    device *d = NULL;
    if (device_open(NULL, &d) != IGVK_OK)
        return skipped(igvk_error_text());
    const device_facts *f = device_facts_of(d);
    printf("driver %s, device %s\n", f->driver, f->name);
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
