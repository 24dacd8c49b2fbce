// SPDX-License-Identifier: MIT
// igvk: train and sample diffusion transformers with Internal Guidance on any Vulkan device.
// The stable contract. Nothing here prints, exits or installs handlers; every fallible function returns an
// igvk_status and leaves one line of text for igvk_error_text().
#ifndef IGVK_H
#define IGVK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IGVK_VERSION "0.1.0"

typedef enum igvk_status {
    IGVK_OK = 0,
    IGVK_ERROR_INVALID,     // an argument, file or number given is wrong or does not fit
    IGVK_ERROR_IO,          // a file could not be read or written
    IGVK_ERROR_MEMORY,      // host memory
    IGVK_ERROR_DEVICE,      // no loader, no driver, no usable device, or the driver refused
    IGVK_ERROR_DEVICE_MEMORY, // does not fit the device's memory
    IGVK_ERROR_DEVICE_LOST, // the device was reset; state since the last checkpoint is gone
    IGVK_ERROR_NOT_FINITE,  // a loss or gradient became infinite or not a number
    IGVK_ERROR_INTERNAL,    // a fault of igvk itself
    IGVK_INTERRUPTED,       // stopped on request; what was done is saved
} igvk_status;

// The line that goes with this thread's last failed call. Valid until the thread's next failure.
const char *igvk_error_text(void);
// "invalid", "device lost", ...: a word for a status.
const char *igvk_status_name(igvk_status status);
const char *igvk_version(void);

#ifdef __cplusplus
}
#endif

#endif
