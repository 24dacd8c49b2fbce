// SPDX-License-Identifier: MIT
// What lowering may know of a device: plain data, filled by vulkan/device.c or made up by a test.
#ifndef IGVK_GRAPH_CAPABILITIES_H
#define IGVK_GRAPH_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct capabilities {
    bool cpu;                  // a software driver: register tiles without shared memory
    bool address;              // tensors are bound by device address, else by descriptors
    uint32_t vector_width;     // lanes that run together: the subgroup size on CPU devices, 32 or 64 on GPUs
    uint32_t max_invocations;  // per workgroup, at least 128
    uint32_t max_groups[3];    // workgroups per dispatch and axis, at least 65535
    uint32_t max_shared_bytes; // at least 16384
    uint64_t max_binding;      // bytes one tensor binding may span (descriptors), UINT64_MAX with addresses
    uint64_t max_allocation;   // bytes one allocation may have
    bool storage_16bit;        // tensors may be of 16-bit types
    bool register_tile;        // kernel choices, from `cpu` and the environment's switches
    bool lanes_broadcast;      // register tile: vectors from masked broadcasts instead of gathers (Mesa 26's llvmpipe)
    bool subgroup_broadcast;   // register tile: rows by subgroupBroadcast where uniform loads are no faster than gathers
    uint32_t shuffle_lanes;    // lanes that can exchange numbers in any subgroup of this device; 0: none
    bool pairs;                // memory is reached two elements at a time: not where vectors of 64 bits are split
    bool written_out;          // the driver keeps loops rolled (SwiftShader): tiles unrolled by the preprocessor
} capabilities;

#endif
