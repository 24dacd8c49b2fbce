// SPDX-License-Identifier: MIT
// Parity without any file: small cases whose numbers the host computes itself in f64 with plain loops (the random
// numbers, the guidance rules, a small SiT with both heads), for a first look at a new device.
#ifndef IGVK_API_PARITY_BUILTIN_H
#define IGVK_API_PARITY_BUILTIN_H

#include "igvk/igvk_experimental.h"
#include "vulkan/device.h"

igvk_status parity_builtin(device *d, void (*line)(void *user, const igvk_parity_line *l), void *user, igvk_parity_result *result);

#endif
