// SPDX-License-Identifier: MIT
// Fences, not a timeline semaphore: with one queue and one thread they do the same, and drivers that execute
// nothing signal fences but leave a timeline's counter at zero.
#include "vulkan/internal.h"

#include "core/clock.h"

#define FENCES (PROGRAM_IN_FLIGHT + 1)

igvk_status vulkan_failure(device *d, VkResult result, const char *what) {
    const char *name = d->physical.facts.name;
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        d->submissions.lost = true;
        return fail(IGVK_ERROR_DEVICE_LOST,
                    "%s was lost (reset by its driver or the system) during %s: start again from the "
                    "last checkpoint",
                    name, what);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return fail(IGVK_ERROR_MEMORY, "out of memory: %s on %s", what, name);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return fail(IGVK_ERROR_DEVICE_MEMORY, "%s is out of device memory: %s", name, what);
    default:
        return fail(IGVK_ERROR_DEVICE, "%s refused %s (Vulkan error %d)", name, what, (int)result);
    }
}

igvk_status submissions_create(device *d) {
    igvk_status status = IGVK_OK;
    submissions *s = &d->submissions;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .queueFamilyIndex = d->physical.queue_family};
    TRY_VULKAN(d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &s->pool), "a command pool");
    for (int i = 0; i < FENCES; i++) {
        VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        TRY_VULKAN(d->vk.vkCreateFence(d->handle, &fence, NULL, &s->fences[i]), "a fence");
    }
    if (d->gentle) {
        VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        TRY_VULKAN(d->vk.vkCreateFence(d->handle, &fence, NULL, &s->pause), "a fence");
    }
done:
    return status;
}

void submissions_destroy(device *d) {
    for (int i = 0; i < FENCES; i++)
        if (d->submissions.fences[i])
            d->vk.vkDestroyFence(d->handle, d->submissions.fences[i], NULL);
    d->vk.vkDestroyFence(d->handle, d->submissions.pause, NULL); // takes null
    if (d->submissions.pool)
        d->vk.vkDestroyCommandPool(d->handle, d->submissions.pool, NULL);
}

igvk_status command_buffer_begin(device *d, bool replayed, VkCommandBuffer *out) {
    igvk_status status = IGVK_OK;
    VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = d->submissions.pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    // Several runs of a program are in flight at once.
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                      .flags = replayed ? VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT
                                                        : VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    *out = VK_NULL_HANDLE;
    TRY_VULKAN(d->vk.vkAllocateCommandBuffers(d->handle, &allocate, out), "a command buffer");
    TRY_VULKAN(d->vk.vkBeginCommandBuffer(*out, &begin), "recording");
done:
    if (status != IGVK_OK)
        command_buffer_free(d, out);
    return status;
}

igvk_status command_buffer_end(device *d, VkCommandBuffer buffer) {
    VkResult result = d->vk.vkEndCommandBuffer(buffer);
    return result == VK_SUCCESS ? IGVK_OK : vulkan_failure(d, result, "recording");
}

void command_buffer_free(device *d, VkCommandBuffer *buffer) {
    if (*buffer)
        d->vk.vkFreeCommandBuffers(d->handle, d->submissions.pool, 1, buffer);
    *buffer = VK_NULL_HANDLE;
}

static igvk_status check_alive(device *d) {
    return d->submissions.lost ? vulkan_failure(d, VK_ERROR_DEVICE_LOST, "an earlier run") : IGVK_OK;
}

// Waits for the oldest run in flight.
static igvk_status wait_oldest(device *d) {
    igvk_status status = IGVK_OK;
    submissions *s = &d->submissions;
    VkFence *fence = &s->fences[(s->finished + 1) % FENCES];
    TRY_VULKAN(d->vk.vkWaitForFences(d->handle, 1, fence, VK_TRUE, UINT64_MAX), "a run");
    TRY_VULKAN(d->vk.vkResetFences(d->handle, 1, fence), "resetting a fence");
    s->finished++;
done:
    return status;
}

igvk_status device_wait_for(device *d, uint64_t ticket) {
    igvk_status status = check_alive(d);
    if (status == IGVK_OK && ticket > d->submissions.submitted)
        return fail(IGVK_ERROR_INTERNAL, "waiting for a run that was never submitted");
    while (status == IGVK_OK && d->submissions.finished < ticket)
        status = wait_oldest(d);
    return status;
}

uint64_t device_last_finished(device *d) {
    submissions *s = &d->submissions;
    while (!s->lost && s->finished < s->submitted &&
           d->vk.vkGetFenceStatus(d->handle, s->fences[(s->finished + 1) % FENCES]) == VK_SUCCESS)
        if (wait_oldest(d) != IGVK_OK)
            break;
    return s->finished;
}

igvk_status device_wait(device *d) {
    return device_wait_for(d, d->submissions.submitted);
}

// Waits for the submission before the pause, and then a quarter as long as it took: a fifth of the time is the
// display's.
static igvk_status pause_after(device *d, double begin) {
    igvk_status status = IGVK_OK;
    TRY_VULKAN(d->vk.vkQueueSubmit(d->queue, 0, NULL, d->submissions.pause), "a submission");
    TRY_VULKAN(d->vk.vkWaitForFences(d->handle, 1, &d->submissions.pause, VK_TRUE, UINT64_MAX), "a run");
    TRY_VULKAN(d->vk.vkResetFences(d->handle, 1, &d->submissions.pause), "resetting a fence");
    clock_sleep((clock_seconds() - begin) / 4);
done:
    return status;
}

igvk_status submit_run(device *d, const VkCommandBuffer *buffers, size_t count, uint64_t *ticket) {
    igvk_status status = check_alive(d);
    submissions *s = &d->submissions;
    if (status != IGVK_OK)
        return status;
    uint64_t next = s->submitted + 1;
    for (size_t i = 0; i < count; i++) {
        VkSubmitInfo submit = {
            .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &buffers[i]};
        const double begin = d->gentle ? clock_seconds() : 0;
        // The last one's fence covers those before: a queue finishes in order.
        VkFence fence = i + 1 == count ? s->fences[next % FENCES] : VK_NULL_HANDLE;
        TRY_VULKAN(d->vk.vkQueueSubmit(d->queue, 1, &submit, fence), "a submission");
        if (d->gentle)
            TRY(pause_after(d, begin));
    }
    s->submitted = next;
    if (ticket)
        *ticket = next;
    if (s->submitted - s->finished > PROGRAM_IN_FLIGHT)
        TRY(wait_oldest(d));
done:
    return status;
}

igvk_status submit_and_wait(device *d, VkCommandBuffer buffer) {
    igvk_status status = IGVK_OK;
    uint64_t ticket = 0;
    TRY(submit_run(d, &buffer, 1, &ticket));
    TRY(device_wait_for(d, ticket));
done:
    return status;
}
