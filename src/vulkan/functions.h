// SPDX-License-Identifier: MIT
// Vulkan's declarations. Instance-level functions are volk's globals (the loader's own, good for every instance);
// device-level ones lie in each device's table, device->vk.
#ifndef IGVK_VULKAN_FUNCTIONS_H
#define IGVK_VULKAN_FUNCTIONS_H

#include "volk_names.h"

#include <volk.h>

#endif
