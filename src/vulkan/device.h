// SPDX-License-Identifier: MIT
// A Vulkan device opened for compute: instance, device, one queue, the pipeline cache. One thread at a time.
#ifndef IGVK_VULKAN_DEVICE_H
#define IGVK_VULKAN_DEVICE_H

#include "core/status.h"
#include "graph/capabilities.h"

typedef struct device device;

// Facts of a physical device, for lists and `igvk info`. Optional paths are in `paths`.
#define DEVICE_MAX_PATHS 16
typedef struct device_path {
    const char *name;   // "address", "register-tile", ...: what IGVK_DISABLE takes
    const char *what;   // one line for people
    bool present;       // the device has it
    bool compiled;      // this build's shader compiler could make it
    bool enabled;       // present, compiled and not switched off
} device_path;
typedef struct device_facts {
    uint32_t index;
    char name[256], driver[256], driver_info[256];
    uint32_t api_version, vendor, device_id;
    const char *kind; // "discrete", "integrated", "virtual", "cpu", "other"
    bool usable;
    char why_not[256]; // where not usable
    uint64_t memory_bytes;  // device-local heap; the system's on CPU devices
    uint64_t free_bytes;    // budget, or the system's available memory on CPU devices; 0 unknown
    uint32_t subgroup_size, subgroup_min, subgroup_max;
    uint64_t max_storage_range, max_allocation;
    capabilities capabilities;
    device_path paths[DEVICE_MAX_PATHS];
    size_t path_count;
} device_facts;

// All physical devices, usable or not, best first (discrete, integrated, virtual, CPU; index is Vulkan's own
// order). malloc'd. Fails with one line where there is no loader, no driver or no device at all.
igvk_status device_list(device_facts **facts, size_t *count);
// Which of such a list would be opened for `select` (as device_options.select): its place in the list.
igvk_status device_choose(const device_facts *facts, size_t count, const char *select, size_t *chosen);

typedef struct device_options {
    const char *select;     // index or part of the name (case-insensitive); null: IGVK_DEVICE, else the best
    double max_submit_ms;   // what a submission may take, about; 0: by the kind of device
    bool gentle;            // short submissions, and a pause after each: the display keeps its share
    // Of Mesa's software driver, in bits: 128, 256 or 512; 0: as it comes. Drivers take it from the environment, so it
    // is set there, for all of the process, with a folder of its own for Mesa's cache, which does not tell widths apart.
    uint32_t vector_width;
    bool no_address;        // bind by descriptors (checked builds, tests)
    uint64_t max_allocation; // 0: the device's; else a lower limit (tests)
    uint64_t max_binding;    // likewise
    uint64_t memory;         // 0: what is free; else as if no more were, or on a planning device as if so much were
    bool statistics;         // of compiled kernels, where the driver tells them (vulkan/pipeline_statistics.h)
    bool planning;           // memory is counted, not allocated (vulkan/planning.h)
} device_options;
// Where they are 0, IGVK_MAX_ALLOCATION, IGVK_MAX_BINDING and IGVK_MEMORY give the three limits in bytes.
igvk_status device_open(const device_options *o, device **out);
void device_close(device **d);

const device_facts *device_facts_of(const device *d);
const capabilities *device_capabilities(const device *d);
// Bytes that can still be had: the heap's budget less what is used, or available system memory on CPU devices.
uint64_t device_memory_free(const device *d);
uint64_t device_memory_used(const device *d); // by this process through this device
igvk_status device_wait(device *d);           // for everything submitted

#endif
