// SPDX-License-Identifier: MIT
#include "api/sampling_progress.h"

#include "core/clock.h"

// `images`: done in this run, the part of a batch included.
static void tell(const sampling_progress *p, double images, uint32_t step, uint32_t steps) {
    double seconds = clock_seconds() - p->start, rate = seconds > 0 ? images / seconds : 0;
    double left = (double)(p->total - p->present) - images;
    igvk_progress event = {.what = "sample",
                           .done = p->done,
                           .total = p->total,
                           .step = step,
                           .steps = steps,
                           .seconds = seconds,
                           .rate = rate,
                           .seconds_left = rate > 0 ? left / rate : -1,
                           .device_bytes = device_memory_used(p->device)};
    if (p->events && p->events->progress)
        p->events->progress(p->events->user, &event);
}

static igvk_status ask(const sampling_progress *p) {
    if (p->done < p->total && p->events && p->events->stop && p->events->stop(p->events->user))
        return fail(IGVK_INTERRUPTED, "stopped after %llu of %llu images; %s", (unsigned long long)p->done,
                    (unsigned long long)p->total, p->saved);
    return IGVK_OK;
}

igvk_status sampling_progress_step(const sampling_progress *p, uint32_t count, uint32_t step, uint32_t steps) {
    tell(p, (double)(p->done - p->present) + (double)count * step / steps, step, steps);
    return ask(p);
}

igvk_status sampling_progress_batch(sampling_progress *p, uint32_t count) {
    p->done += count;
    tell(p, (double)(p->done - p->present), 0, 0);
    return ask(p);
}
