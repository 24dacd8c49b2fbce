// SPDX-License-Identifier: MIT
// Dispatches to command buffers: barriers, bindings, and cuts that keep each submission short.
#include "vulkan/program_internal.h"

#include "core/memory.h"

#include <inttypes.h>
#include <string.h>

// How fast a dispatch goes at worst, in order of magnitude: only to keep submissions away from a watchdog.
typedef struct device_rate {
    const char *kind;
    double flops, bytes;  // per millisecond
    double max_submit_ms; // 0: nothing watches
} device_rate;
static const device_rate rates[] = {
    {"discrete", 5e8, 5e7, 200}, {"integrated", 5e7, 1e7, 200}, {"virtual", 5e7, 1e7, 200},
    {"cpu", 1e7, 2e6, 0},        {"other", 5e7, 1e7, 200},
};

typedef struct recorder {
    program *program;
    device *device;
    VkCommandBuffer commands;
    device_rate rate;
    double spent_ms; // of the part being recorded
} recorder;

static device_rate rate_of(const device *d, const program_options *o) {
    device_rate rate = rates[0];
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (!strcmp(rates[i].kind, d->physical.facts.kind))
            rate = rates[i];
    if (d->max_submit_ms > 0)
        rate.max_submit_ms = d->max_submit_ms;
    if (o && o->max_submit_ms > 0)
        rate.max_submit_ms = o->max_submit_ms;
    return rate;
}

// ---- parts -----------------------------------------------------------------------------------------------

static igvk_status begin_part(recorder *r) {
    igvk_status status = IGVK_OK;
    program *p = r->program;
    if (!ARRAY_RESERVE(p->parts, p->part_capacity, p->part_count + 1)) {
        status = fail_memory("a program", (p->part_count + 1) * sizeof *p->parts);
        goto done;
    }
    TRY(command_buffer_begin(r->device, true, &r->commands));
    p->parts[p->part_count++] = r->commands;
    r->spent_ms = 0;
done:
    return status;
}

static igvk_status next_part(recorder *r) {
    igvk_status status = command_buffer_end(r->device, r->commands);
    return status == IGVK_OK ? begin_part(r) : status;
}

static void barrier(recorder *r, VkPipelineStageFlags from, VkAccessFlags written, VkPipelineStageFlags to,
                    VkAccessFlags seen) {
    VkMemoryBarrier b = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = written, .dstAccessMask = seen};
    r->device->vk.vkCmdPipelineBarrier(r->commands, from, to, 0, 1, &b, 0, NULL, 0, NULL);
}

// Against the previous run, of this program or of another that shares its memory, and copies before it.
static void barrier_at_start(recorder *r) {
    barrier(r, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

static void barrier_between(recorder *r) {
    barrier(r, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

// For the host, which reads rings and kept tensors once the run's fence is signalled.
static void barrier_at_end(recorder *r) {
    barrier(r, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
}

// ---- bindings --------------------------------------------------------------------------------------------

static igvk_status check_location(const recorder *r, const dispatch *x, uint32_t slot, const location *l) {
    const device *d = r->device;
    uint64_t alignment = d->physical.limits.minStorageBufferOffsetAlignment;
    if (!l->buffer)
        return fail(IGVK_ERROR_INTERNAL, "shader '%s': argument %u has no memory", x->shader, slot);
    if (l->bytes > device_capabilities(d)->max_binding)
        return fail(IGVK_ERROR_INTERNAL, "shader '%s': argument %u has %" PRIu64 " bytes and %s binds at most %" PRIu64,
                    x->shader, slot, l->bytes, d->physical.facts.name, device_capabilities(d)->max_binding);
    if (!device_has(d, OPTIONAL_ADDRESS) && l->offset % alignment)
        return fail(IGVK_ERROR_INTERNAL,
                    "shader '%s': argument %u starts at byte %" PRIu64 ", no multiple of %" PRIu64 " as %s needs",
                    x->shader, slot, l->offset, alignment, d->physical.facts.name);
    return IGVK_OK;
}

// As shaders/include/tensor.glsl lays them out.
typedef struct push_block {
    uint32_t scalars[DISPATCH_MAX_SCALARS];
    uint64_t addresses[DISPATCH_MAX_ARGUMENTS];
} push_block;

typedef struct bindings {
    push_block push;
    VkDescriptorSet set; // null with addresses
} bindings;

// One set per dispatch: written once, exact ranges, so that validation layers see every bound.
static igvk_status make_set(recorder *r, uint32_t count, const location *locations, VkDescriptorSet *set) {
    igvk_status status = IGVK_OK;
    device *d = r->device;
    VkDescriptorSetAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                            .descriptorPool = r->program->sets,
                                            .descriptorSetCount = 1,
                                            .pSetLayouts = &d->pipelines.set_layouts[count]};
    TRY_VULKAN(d->vk.vkAllocateDescriptorSets(d->handle, &allocate, set), "a descriptor set");
    VkDescriptorBufferInfo buffers[DISPATCH_MAX_ARGUMENTS];
    VkWriteDescriptorSet writes[DISPATCH_MAX_ARGUMENTS];
    for (uint32_t i = 0; i < count; i++) {
        buffers[i] = (VkDescriptorBufferInfo){locations[i].buffer->handle, locations[i].offset, locations[i].bytes};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = *set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .pBufferInfo = &buffers[i]};
    }
    d->vk.vkUpdateDescriptorSets(d->handle, count, writes, 0, NULL);
done:
    return status;
}

static igvk_status make_bindings(recorder *r, const dispatch *x, bindings *b) {
    igvk_status status = IGVK_OK;
    location locations[DISPATCH_MAX_ARGUMENTS];
    *b = (bindings){0};
    memcpy(b->push.scalars, x->scalars, x->scalar_count * sizeof *x->scalars);
    for (uint32_t i = 0; i < x->argument_count; i++) {
        locations[i] = r->program->locations[x->arguments[i].tensor.i];
        TRY(check_location(r, x, i, &locations[i]));
        b->push.addresses[i] = locations[i].buffer->address + locations[i].offset;
    }
    if (!device_has(r->device, OPTIONAL_ADDRESS) && x->argument_count)
        TRY(make_set(r, x->argument_count, locations, &b->set));
done:
    return status;
}

// Into the part being recorded; the next part knows nothing of it.
static void bind(recorder *r, const dispatch *x, VkPipeline handle, const bindings *b) {
    device *d = r->device;
    VkPipelineLayout layout = pipeline_layout(d, x->argument_count);
    d->vk.vkCmdBindPipeline(r->commands, VK_PIPELINE_BIND_POINT_COMPUTE, handle);
    if (b->set)
        d->vk.vkCmdBindDescriptorSets(r->commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &b->set, 0, NULL);
    d->vk.vkCmdPushConstants(r->commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                             device_has(d, OPTIONAL_ADDRESS) ? sizeof b->push : sizeof b->push.scalars, &b->push);
}

// ---- dispatches ------------------------------------------------------------------------------------------

static double estimated_ms(const recorder *r, const dispatch *x) {
    double compute = x->flops / r->rate.flops, memory = x->bytes / r->rate.bytes;
    return compute > memory ? compute : memory;
}

// How many ranges of workgroups each axis is cut into so that a piece stays below the limit.
typedef struct cut {
    uint32_t pieces[3];
} cut;

static uint32_t piece_count(cut c) {
    return c.pieces[0] * c.pieces[1] * c.pieces[2];
}

// Kernels that know how many workgroups there are keep that count where only the slowest axis with more than one is cut.
static cut cut_of(const recorder *r, const dispatch *x) {
    const double limit = r->rate.max_submit_ms, needed = limit > 0 ? estimated_ms(r, x) / limit : 1;
    double left = needed < 1e9 ? needed : 1e9;
    cut c = {{1, 1, 1}};
    for (int axis = 2; axis >= 0 && left > 1; axis--) {
        if (x->groups[axis] == 1)
            continue;
        c.pieces[axis] = left >= x->groups[axis] ? x->groups[axis] : (uint32_t)left + 1;
        left /= c.pieces[axis];
        if (!x->counts_no_groups)
            break;
    }
    return c;
}

static void dispatch_piece(recorder *r, const dispatch *x, uint32_t piece, cut c) {
    uint32_t base[3], count[3];
    for (int axis = 0; axis < 3; axis++) {
        const uint64_t groups = x->groups[axis], pieces = c.pieces[axis], i = piece % pieces;
        base[axis] = (uint32_t)(groups * i / pieces);
        count[axis] = (uint32_t)(groups * (i + 1) / pieces) - base[axis];
        piece /= c.pieces[axis];
    }
    r->device->vk.vkCmdDispatchBase(r->commands, base[0], base[1], base[2], count[0], count[1], count[2]);
}

static igvk_status record_pieces(recorder *r, const dispatch *x) {
    igvk_status status = IGVK_OK;
    const cut c = cut_of(r, x);
    const uint32_t pieces = piece_count(c);
    const double piece_ms = estimated_ms(r, x) / pieces;
    bindings b;
    VkPipeline handle;
    TRY(pipeline_get(r->device, x, pieces > 1, &handle));
    TRY(make_bindings(r, x, &b));
    for (uint32_t i = 0; i < pieces; i++) {
        if (r->rate.max_submit_ms > 0 && r->spent_ms > 0 && r->spent_ms + piece_ms > r->rate.max_submit_ms)
            TRY(next_part(r));
        if (i) // costs nothing between pieces so long, and layers cannot know that they write apart
            barrier_between(r);
        bind(r, x, handle, &b);
        if (pieces > 1)
            dispatch_piece(r, x, i, c);
        else
            r->device->vk.vkCmdDispatch(r->commands, x->groups[0], x->groups[1], x->groups[2]);
        r->spent_ms += piece_ms;
    }
done:
    return status;
}

static igvk_status check_groups(const recorder *r, const dispatch *x) {
    const capabilities *c = device_capabilities(r->device);
    for (int i = 0; i < 3; i++)
        if (!x->groups[i] || x->groups[i] > c->max_groups[i])
            return fail(IGVK_ERROR_INTERNAL, "shader '%s': %ux%ux%u workgroups; %s takes 1 to %u along axis %d",
                        x->shader, x->groups[0], x->groups[1], x->groups[2], r->device->physical.facts.name,
                        c->max_groups[i], i);
    return IGVK_OK;
}

// Written once all before has passed the kernels' stage.
static void timestamp(recorder *r, size_t query) {
    if (r->program->queries)
        r->device->vk.vkCmdWriteTimestamp(r->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, r->program->queries,
                                          (uint32_t)query);
}

static igvk_status record_dispatch(recorder *r, const dispatch *x, size_t index, bool waits) {
    igvk_status status = IGVK_OK;
    TRY(check_groups(r, x));
    if (waits)
        barrier_between(r);
    timestamp(r, 2 * index);
    TRY(record_pieces(r, x));
    timestamp(r, 2 * index + 1);
done:
    return status;
}

// ---- pools -----------------------------------------------------------------------------------------------

static igvk_status create_sets(program *p, const dispatch_list *l) {
    igvk_status status = IGVK_OK;
    device *d = p->device;
    VkDescriptorPoolSize size = {.type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER};
    VkDescriptorPoolCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .poolSizeCount = 1, .pPoolSizes = &size};
    for (size_t i = 0; i < l->count; i++) {
        create.maxSets += l->items[i].argument_count > 0;
        size.descriptorCount += l->items[i].argument_count;
    }
    if (create.maxSets && !device_has(d, OPTIONAL_ADDRESS))
        TRY_VULKAN(d->vk.vkCreateDescriptorPool(d->handle, &create, NULL, &p->sets), "a descriptor pool");
done:
    return status;
}

static igvk_status create_queries(program *p, const dispatch_list *l) {
    igvk_status status = IGVK_OK;
    device *d = p->device;
    if (!device_has(d, OPTIONAL_TIMESTAMPS))
        THROW(IGVK_ERROR_INVALID, "%s measures no times on the device, or IGVK_DISABLE switches them off",
              d->physical.facts.name);
    VkQueryPoolCreateInfo create = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                    .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                    .queryCount = (uint32_t)(2 * l->count)};
    TRY_VULKAN(d->vk.vkCreateQueryPool(d->handle, &create, NULL, &p->queries), "timestamps");
done:
    return status;
}

igvk_status record_commands(program *p, const dispatch_list *l, const bool *before, const program_options *o) {
    igvk_status status = IGVK_OK;
    device *d = p->device;
    recorder r = {.program = p, .device = d, .rate = rate_of(d, o)};
    TRY(create_sets(p, l));
    if (o && o->timestamps && l->count)
        TRY(create_queries(p, l));
    TRY(begin_part(&r));
    if (p->queries)
        d->vk.vkCmdResetQueryPool(r.commands, p->queries, 0, (uint32_t)(2 * l->count));
    barrier_at_start(&r);
    for (size_t i = 0; i < l->count; i++)
        TRY(record_dispatch(&r, &l->items[i], i, before[i]));
    barrier_at_end(&r);
    TRY(command_buffer_end(d, r.commands));
done:
    return status;
}
