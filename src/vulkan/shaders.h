// SPDX-License-Identifier: MIT
// The shaders embedded in this build, made by cmake/Shaders.cmake.
#ifndef IGVK_VULKAN_SHADERS_H
#define IGVK_VULKAN_SHADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct embedded_shader {
    const char *name;
    bool address; // binds by device address, else by descriptors
    const uint32_t *code;
    size_t bytes;
};
// Sorted by name, the descriptor form first.
extern const struct embedded_shader embedded_shaders[];
extern const size_t embedded_shader_count;

// What was asked of the shader compiler at configure time (cmake/probes).
struct shader_probe {
    const char *name;
    bool passed;
};
extern const struct shader_probe shader_probes[];
extern const size_t shader_probe_count;

#endif
