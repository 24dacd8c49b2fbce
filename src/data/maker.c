// SPDX-License-Identifier: MIT
#include "data/maker.h"

#include "data/dataset.h"

#include <ctype.h>
#include <string.h>

#define HOLD_OUT_EPOCH UINT32_MAX // no run trains that long
#define SHARE_MAX 0.9

uint64_t hold_out_count(uint64_t count, double share) {
    if (count < 2 || share <= 0)
        return 0;
    uint64_t held_out = (uint64_t)((double)count * share + 0.5);
    if (held_out < 1)
        held_out = 1;
    return held_out < count ? held_out : count - 1;
}

bool hold_out_chosen(uint64_t seed, uint64_t index, uint64_t count, uint64_t held_out) {
    return dataset_order(seed, HOLD_OUT_EPOCH, index, count) < held_out;
}

igvk_status hold_out_check(const char *where, double share) {
    if (share >= 0 && share <= SHARE_MAX)
        return IGVK_OK;
    return fail(IGVK_ERROR_INVALID, "%s: a held-out share of %g is out of range, must be 0 to %g", where, share,
                SHARE_MAX);
}

const char *maker_reason(const char *path) {
    const char *text = igvk_error_text();
    size_t length = strlen(path);
    if (!strncmp(text, path, length) && !strncmp(text + length, ": ", 2))
        return text + length + 2;
    return text;
}

bool maker_may_skip(igvk_status status) {
    return status == IGVK_ERROR_INVALID || status == IGVK_ERROR_IO;
}

igvk_status maker_progress(const maker_callbacks *callbacks, uint64_t done, uint64_t total) {
    if (callbacks && callbacks->progress && callbacks->progress(callbacks->user, done, total))
        return fail(IGVK_INTERRUPTED, "stopped after %llu of %llu images; no dataset was made",
                    (unsigned long long)done, (unsigned long long)total);
    return IGVK_OK;
}

void maker_source(const maker_callbacks *callbacks, const char *path, const char *reason) {
    if (callbacks && callbacks->source)
        callbacks->source(callbacks->user, path, reason);
}

static bool ends_with(const char *name, const char *ending) {
    size_t length = strlen(name), tail = strlen(ending);
    if (length < tail)
        return false;
    for (size_t i = 0; i < tail; i++)
        if (tolower((unsigned char)name[length - tail + i]) != ending[i])
            return false;
    return true;
}

bool name_has_ending(const char *name, const char *const *endings, size_t count) {
    for (size_t i = 0; *name != '.' && i < count; i++)
        if (ends_with(name, endings[i]))
            return true;
    return false;
}
