// SPDX-License-Identifier: MIT
// What the files of this floor share: the device's inside, buffers, pipelines, submissions.
#ifndef IGVK_VULKAN_INTERNAL_H
#define IGVK_VULKAN_INTERNAL_H

#include "graph/lower.h"
#include "vulkan/physical.h"
#include "vulkan/planning.h"
#include "vulkan/program.h"
#include "vulkan/shaders.h"

// ---- memory.c: a buffer with memory of its own --------------------------------------------------------
typedef enum buffer_place {
    PLACE_DEVICE, // device-local; the host sees it where the device is unified
    PLACE_HOST,   // host-visible and coherent: rings, staging
} buffer_place;

typedef struct device_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceAddress address; // 0 where tensors are bound by descriptors
    uint64_t bytes;          // asked for
    uint64_t allocated;      // taken from the device
    void *mapped;            // null where the host does not see it
    size_t kind;             // on a planning device
} device_buffer;

// `what` names the need where memory is out. On failure *out is empty.
igvk_status buffer_create(device *d, const char *what, uint64_t bytes, buffer_place place, device_buffer *out);
void buffer_destroy(device *d, device_buffer *b);
// Refuses what will not fit the device's memory, in however many pieces.
igvk_status memory_check_room(device *d, const char *what, uint64_t bytes);

// ---- pipeline.c: compiled shaders, made on demand, kept until the device closes -------------------------
typedef struct pipeline_key {
    const struct embedded_shader *shader;
    uint32_t local_size;
    uint32_t argument_count; // bindings of the descriptor form
    uint32_t constant_count;
    bool base; // dispatched in parts (vkCmdDispatchBase)
    uint32_t constants[DISPATCH_MAX_CONSTANTS];
} pipeline_key;

typedef struct pipeline {
    pipeline_key key;
    VkPipeline handle;
} pipeline;

typedef struct pipelines {
    VkPipelineCache cache;
    pipeline *items;
    size_t count, capacity;
    bool changed; // since the cache was read
    // By number of arguments; with addresses only [0] is used.
    VkDescriptorSetLayout set_layouts[DISPATCH_MAX_ARGUMENTS + 1];
    VkPipelineLayout layouts[DISPATCH_MAX_ARGUMENTS + 1];
} pipelines;

igvk_status pipelines_create(device *d);
void pipelines_destroy(device *d);
// The pipeline of a dispatch; `base` where it is to be dispatched in parts.
igvk_status pipeline_get(device *d, const dispatch *x, bool base, VkPipeline *out);
VkPipelineLayout pipeline_layout(const device *d, uint32_t argument_count);

// ---- pipeline_cache.c: the cache file ------------------------------------------------------------------
// Fills `cache` from the user's cache folder; anything that does not fit is as if it were not there.
igvk_status pipeline_cache_open(device *d, VkPipelineCache *cache);
void pipeline_cache_save(device *d, VkPipelineCache cache); // a cache that cannot be kept is no error
// igvk's folder in the user's cache; malloc'd, null where there is none.
char *cache_folder(void);

// ---- vector_width.c --------------------------------------------------------------------------------------
// device_options.vector_width; before the instance is created.
igvk_status vector_width_set(uint32_t bits);

// ---- submit.c: one queue, its runs in order, at most PROGRAM_IN_FLIGHT ahead -----------------------------
typedef struct submissions {
    VkCommandPool pool;
    VkFence fences[PROGRAM_IN_FLIGHT + 1]; // ring: ticket t has fence t % count
    VkFence pause;                         // of a submission that a gentle device waits for
    uint64_t submitted, finished;          // tickets
    bool lost;
} submissions;

igvk_status submissions_create(device *d);
void submissions_destroy(device *d);
igvk_status command_buffer_begin(device *d, bool replayed, VkCommandBuffer *out);
igvk_status command_buffer_end(device *d, VkCommandBuffer buffer);
void command_buffer_free(device *d, VkCommandBuffer *buffer); // takes null
// Submits the buffers in order, each by itself (a watchdog counts submissions); one ticket for all.
igvk_status submit_run(device *d, const VkCommandBuffer *buffers, size_t count, uint64_t *ticket);
// Submits one buffer and waits for it.
igvk_status submit_and_wait(device *d, VkCommandBuffer buffer);
// A failed Vulkan call as a status: device lost, out of memory, or the driver's refusal of `what`.
igvk_status vulkan_failure(device *d, VkResult result, const char *what);

// Needs `status`, `done` and `d`.
#define TRY_VULKAN(call, what)                                                                                         \
    do {                                                                                                               \
        VkResult try_result = (call);                                                                                  \
        if (try_result != VK_SUCCESS) {                                                                                \
            status = vulkan_failure(d, try_result, what);                                                              \
            goto done;                                                                                                 \
        }                                                                                                              \
    } while (0)

// ---- store.c ---------------------------------------------------------------------------------------------
// Wait for the device, then copy, staged where the host does not see the buffer.
igvk_status buffer_write(device *d, const device_buffer *b, uint64_t offset, const void *data, uint64_t bytes);
igvk_status buffer_read(device *d, const device_buffer *b, uint64_t offset, void *data, uint64_t bytes);
const device_buffer *store_buffer(const store *s, const char *name); // null where absent

// ---- workspace.c -----------------------------------------------------------------------------------------
const device_buffer *workspace_block(const workspace *w, size_t block); // null where not reserved
uint64_t workspace_generation(const workspace *w);                      // changes where a block moves

// ---- planning.c ------------------------------------------------------------------------------------------
typedef struct planned {
    planned_memory now[PLANNED_KINDS], at_peak[PLANNED_KINDS];
    size_t count;
    uint64_t peak, activations;
    const char *kind; // of all that comes; null: by names
} planned;

// Counts a buffer of b->bytes; what the host is to see it gets, in memory of the host.
igvk_status planned_buffer(device *d, const char *what, buffer_place place, device_buffer *b);
void planned_buffer_release(device *d, device_buffer *b);
void planned_activations(device *d, uint64_t bytes); // that a program in a workspace needs at once

// ---- device.c --------------------------------------------------------------------------------------------
struct device {
    VkInstance instance;
    physical_device physical;
    VkDevice handle;
    struct VolkDeviceTable vk;
    VkQueue queue;
    pipelines pipelines;
    submissions submissions;
    device_buffer staging; // made at the first copy that needs it
    bool planning; // nothing below the physical device is there
    planned planned;
    uint64_t memory_limit; // free when opened, whatever the system says; 0: as it says
    uint64_t memory_used;
    uint64_t memory_at_open; // free then
    double max_submit_ms;    // 0: by the kind of device
    bool gentle;
    bool statistics; // asked for, and told by the driver
    uint32_t memory_objects;
};
static inline bool device_has(const device *d, enum optional_path path) {
    return d->physical.facts.paths[path].enabled;
}

#endif
