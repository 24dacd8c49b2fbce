// SPDX-License-Identifier: MIT
#include "data/nearest.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES = 16,           // partial sums: a fixed order that compilers turn into vector instructions
    PROGRESS_EVERY = 256, // images
};

static float squared_distance(const float *a, const float *b, size_t count) {
    float sums[LANES] = {0};
    size_t whole = count - count % LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            float difference = a[i + lane] - b[i + lane];
            sums[lane] += difference * difference;
        }
    }
    for (size_t i = whole; i < count; i++)
        sums[i - whole] += (a[i] - b[i]) * (a[i] - b[i]);
    for (size_t width = LANES / 2; width; width /= 2)
        for (size_t lane = 0; lane < width; lane++)
            sums[lane] += sums[lane + width];
    return sums[0];
}

static igvk_status check_finite(const float *samples, size_t count, size_t elements) {
    for (size_t i = 0; i < count * elements; i++)
        if (!isfinite(samples[i]))
            return fail(IGVK_ERROR_NOT_FINITE, "sample %zu has a value that is not finite; it has no nearest image",
                        i / elements);
    return IGVK_OK;
}

// Within the search `distance` holds the squared one.
static void compare_all(const float *samples, size_t count, size_t elements, const float *image, uint64_t index,
                        uint32_t label, nearest_match *matches) {
    for (size_t s = 0; s < count; s++) {
        float squared = squared_distance(samples + s * elements, image, elements);
        if (squared < matches[s].distance)
            matches[s] = (nearest_match){.index = index, .label = label, .distance = squared};
    }
}

igvk_status nearest_find(dataset *d, const float *samples, size_t count, nearest_match *matches,
                         bool (*progress)(void *user, uint64_t done, uint64_t total), void *user) {
    igvk_status status = IGVK_OK;
    const dataset_info *info = dataset_describe(d);
    size_t elements = (size_t)info->channels * info->height * info->width;
    uint64_t total = info->count - info->held_out;
    float *image = malloc(elements * sizeof *image);
    if (!image)
        return fail_memory("one image", elements * sizeof *image);
    TRY(check_finite(samples, count, elements));
    for (size_t s = 0; s < count; s++)
        matches[s] = (nearest_match){.distance = INFINITY};
    for (uint64_t index = 0; index < total; index++) {
        uint32_t label = 0;
        TRY(dataset_read(d, index, NULL, image, &label));
        compare_all(samples, count, elements, image, index, label, matches);
        bool tell = (index + 1) % PROGRESS_EVERY == 0 || index + 1 == total;
        if (tell && progress && progress(user, index + 1, total))
            THROW(IGVK_INTERRUPTED, "stopped after comparing %" PRIu64 " of %" PRIu64 " images", index + 1, total);
    }
    for (size_t s = 0; s < count; s++)
        matches[s].distance = sqrtf(matches[s].distance);
done:
    free(image);
    return status;
}
