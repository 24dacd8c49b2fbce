// SPDX-License-Identifier: MIT
#include "vulkan/physical.h"

#include <stdlib.h>
#include <string.h>

#define PORTABILITY_ENUMERATION "VK_KHR_portability_enumeration"

// Drivers above other interfaces (MoltenVK) show only to who asks for them.
static bool offers_portability(void) {
    VkExtensionProperties *list = NULL;
    uint32_t count = 0;
    bool found = false;
    if (vkEnumerateInstanceExtensionProperties(NULL, &count, NULL) == VK_SUCCESS)
        list = calloc(count + 1, sizeof *list);
    if (list && vkEnumerateInstanceExtensionProperties(NULL, &count, list) >= VK_SUCCESS)
        for (uint32_t i = 0; i < count; i++)
            found = found || !strcmp(list[i].extensionName, PORTABILITY_ENUMERATION);
    free(list);
    return found;
}

static igvk_status no_driver(void) {
    const char *files = getenv("VK_DRIVER_FILES");
    if (!files)
        files = getenv("VK_ICD_FILENAMES");
    if (files)
        return fail(IGVK_ERROR_DEVICE,
                    "no Vulkan driver: VK_DRIVER_FILES names '%s' and none works there; unset it to "
                    "take those installed",
                    files);
    return fail(IGVK_ERROR_DEVICE,
                "no Vulkan driver: install the one for your GPU, or a software driver (Debian package "
                "mesa-vulkan-drivers)");
}

igvk_status instance_create(VkInstance *out) {
    *out = VK_NULL_HANDLE;
    if (volkInitialize() != VK_SUCCESS)
        return fail(IGVK_ERROR_DEVICE,
                    "no Vulkan loader (libvulkan.so.1): install it (Debian package libvulkan1) and a "
                    "driver (mesa-vulkan-drivers, or your GPU's)");
    uint32_t version = volkGetInstanceVersion();
    if (version < VK_API_VERSION_1_2)
        return fail(IGVK_ERROR_DEVICE,
                    "the Vulkan loader is of version %u.%u and igvk needs 1.2: upgrade it (Debian "
                    "package libvulkan1)",
                    VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    const char *extension = PORTABILITY_ENUMERATION;
    bool portability = offers_portability();
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pApplicationName = "igvk",
                                     .pEngineName = "igvk",
                                     .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
        .pApplicationInfo = &application,
        .enabledExtensionCount = portability ? 1 : 0,
        .ppEnabledExtensionNames = &extension,
    };
    VkResult result = vkCreateInstance(&create, NULL, out);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return no_driver();
    if (result == VK_ERROR_LAYER_NOT_PRESENT)
        return fail(IGVK_ERROR_DEVICE, "a Vulkan layer asked for by VK_INSTANCE_LAYERS is not installed");
    if (result != VK_SUCCESS)
        return fail(IGVK_ERROR_DEVICE, "the Vulkan driver refused to start (vkCreateInstance: error %d)", (int)result);
    volkLoadInstanceOnly(*out);
    uint32_t count = 0;
    result = vkEnumeratePhysicalDevices(*out, &count, NULL);
    if (result == VK_SUCCESS && count)
        return IGVK_OK;
    instance_destroy(out);
    return no_driver();
}

void instance_destroy(VkInstance *instance) {
    if (*instance)
        vkDestroyInstance(*instance, NULL);
    *instance = VK_NULL_HANDLE;
}
