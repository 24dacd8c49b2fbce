// SPDX-License-Identifier: MIT
// A graph run once: compile, record, run, read back. For parity, tests and anything that is not repeated.
#ifndef IGVK_VULKAN_RUN_ONCE_H
#define IGVK_VULKAN_RUN_ONCE_H

#include "graph/compile.h"
#include "vulkan/program.h"

typedef struct once_input {
    const char *name; // of an external root; added to the store where it is not there yet
    const void *data; // null: memory as it is (zeroed where new)
    uint64_t bytes;
} once_input;

typedef struct once_output {
    tensor_id tensor; // an activation
    void *data;
    uint64_t bytes;
} once_output;

// Takes the graph over. `s` may already hold parameters.
igvk_status run_once(device *d, store *s, graph **g, const once_input *inputs, size_t input_count,
                     const once_output *outputs, size_t output_count);

#endif
