// SPDX-License-Identifier: MIT
#include "vulkan/internal.h"

#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

// ---- layouts ---------------------------------------------------------------------------------------------

// With addresses: scalars and addresses in the push constants, no set. Else scalars, and one set of `arguments`
// storage buffers.
static igvk_status create_layout(device *d, uint32_t arguments) {
    igvk_status status = IGVK_OK;
    bool address = device_has(d, OPTIONAL_ADDRESS);
    pipelines *p = &d->pipelines;
    VkDescriptorSetLayoutBinding bindings[DISPATCH_MAX_ARGUMENTS];
    for (uint32_t i = 0; i < arguments; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = arguments, .pBindings = bindings};
    if (!address)
        TRY_VULKAN(d->vk.vkCreateDescriptorSetLayout(d->handle, &set, NULL, &p->set_layouts[arguments]),
                   "a set layout");
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                .size = DISPATCH_MAX_SCALARS * sizeof(uint32_t)};
    if (address)
        push.size += DISPATCH_MAX_ARGUMENTS * sizeof(uint64_t);
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = address ? 0 : 1,
                                         .pSetLayouts = &p->set_layouts[arguments],
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &push};
    TRY_VULKAN(d->vk.vkCreatePipelineLayout(d->handle, &layout, NULL, &p->layouts[arguments]), "a pipeline layout");
done:
    return status;
}

VkPipelineLayout pipeline_layout(const device *d, uint32_t argument_count) {
    return d->pipelines.layouts[device_has(d, OPTIONAL_ADDRESS) ? 0 : argument_count];
}

igvk_status pipelines_create(device *d) {
    igvk_status status = IGVK_OK;
    uint32_t last = device_has(d, OPTIONAL_ADDRESS) ? 0 : DISPATCH_MAX_ARGUMENTS;
    for (uint32_t i = 0; i <= last; i++)
        TRY(create_layout(d, i));
    TRY(pipeline_cache_open(d, &d->pipelines.cache));
done:
    return status;
}

void pipelines_destroy(device *d) {
    pipelines *p = &d->pipelines;
    if (p->changed && !d->submissions.lost)
        pipeline_cache_save(d, p->cache);
    for (size_t i = 0; i < p->count; i++)
        d->vk.vkDestroyPipeline(d->handle, p->items[i].handle, NULL);
    free(p->items);
    for (int i = 0; i <= DISPATCH_MAX_ARGUMENTS; i++) {
        d->vk.vkDestroyPipelineLayout(d->handle, p->layouts[i], NULL); // takes null
        d->vk.vkDestroyDescriptorSetLayout(d->handle, p->set_layouts[i], NULL);
    }
    d->vk.vkDestroyPipelineCache(d->handle, p->cache, NULL);
    *p = (pipelines){0};
}

// ---- pipelines -------------------------------------------------------------------------------------------

static int compare_shader(const void *key, const void *item) {
    const struct embedded_shader *k = key, *s = item;
    int order = strcmp(k->name, s->name);
    return order ? order : (int)k->address - (int)s->address;
}

static igvk_status make_key(const device *d, const dispatch *x, bool base, pipeline_key *key) {
    struct embedded_shader wanted = {.name = x->shader, .address = device_has(d, OPTIONAL_ADDRESS)};
    const capabilities *c = device_capabilities(d);
    memset(key, 0, sizeof *key); // compared as bytes
    key->shader = bsearch(&wanted, embedded_shaders, embedded_shader_count, sizeof *embedded_shaders, compare_shader);
    if (!key->shader)
        return fail(IGVK_ERROR_INTERNAL, "shader '%s' is not in this build", x->shader);
    if (!x->local_size || x->local_size > c->max_invocations)
        return fail(IGVK_ERROR_INTERNAL, "shader '%s': %u invocations a workgroup, %s takes 1 to %u", x->shader,
                    x->local_size, d->physical.facts.name, c->max_invocations);
    if (x->constant_count > DISPATCH_MAX_CONSTANTS || x->argument_count > DISPATCH_MAX_ARGUMENTS)
        return fail(IGVK_ERROR_INTERNAL, "shader '%s': too many constants or arguments", x->shader);
    key->local_size = x->local_size;
    key->argument_count = wanted.address ? 0 : x->argument_count;
    key->constant_count = x->constant_count;
    key->base = base;
    memcpy(key->constants, x->constants, x->constant_count * sizeof *x->constants);
    return IGVK_OK;
}

static igvk_status compile(device *d, const pipeline_key *key, VkPipeline *out) {
    igvk_status status = IGVK_OK;
    VkShaderModule module = VK_NULL_HANDLE;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = key->shader->bytes,
                                     .pCode = key->shader->code};
    uint32_t values[1 + DISPATCH_MAX_CONSTANTS] = {key->local_size};
    VkSpecializationMapEntry entries[1 + DISPATCH_MAX_CONSTANTS];
    memcpy(values + 1, key->constants, sizeof key->constants);
    for (uint32_t i = 0; i <= key->constant_count; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = i * sizeof *values, .size = sizeof *values};
    VkSpecializationInfo constants = {.mapEntryCount = 1 + key->constant_count,
                                      .pMapEntries = entries,
                                      .dataSize = (1 + key->constant_count) * sizeof *values,
                                      .pData = values};
    TRY_VULKAN(d->vk.vkCreateShaderModule(d->handle, &code, NULL, &module), key->shader->name);
    VkComputePipelineCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = (key->base ? VK_PIPELINE_CREATE_DISPATCH_BASE_BIT : 0) |
                 (d->statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0),
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = pipeline_layout(d, key->argument_count),
    };
    TRY_VULKAN(d->vk.vkCreateComputePipelines(d->handle, d->pipelines.cache, 1, &create, NULL, out), key->shader->name);
done:
    d->vk.vkDestroyShaderModule(d->handle, module, NULL);
    if (device_capabilities(d)->cpu)
        memory_trim(); // an unrolled kernel takes llvmpipe up to half a GiB while it compiles
    return status;
}

igvk_status pipeline_get(device *d, const dispatch *x, bool base, VkPipeline *out) {
    igvk_status status = IGVK_OK;
    pipelines *p = &d->pipelines;
    pipeline_key key;
    TRY(make_key(d, x, base, &key));
    // Some hundreds at most, and only while recording.
    for (size_t i = 0; i < p->count; i++)
        if (!memcmp(&p->items[i].key, &key, sizeof key)) {
            *out = p->items[i].handle;
            goto done;
        }
    if (!ARRAY_RESERVE(p->items, p->capacity, p->count + 1)) {
        status = fail_memory("the list of pipelines", (p->count + 1) * sizeof *p->items);
        goto done;
    }
    TRY(compile(d, &key, out));
    p->items[p->count++] = (pipeline){.key = key, .handle = *out};
    p->changed = true;
done:
    return status;
}
