// SPDX-License-Identifier: MIT
// Which images to sample: a class and a seed each.
#ifndef IGVK_API_CLASS_LIST_H
#define IGVK_API_CLASS_LIST_H

#include "core/status.h"

#include <jansson.h>

typedef struct image_request {
    uint32_t label;
    uint64_t seed;
} image_request;

// `classes`: "all", "balanced" (all in turn), "random" (by each image's seed), or names, numbers and ranges of
// numbers, comma-separated; repeated in turn up to `count` (0: one each; random: one). Seeds count up from `seed`.
// A model without classes takes "all" and count, or count alone. malloc'd.
igvk_status class_list_make(const char *classes, uint64_t count, uint64_t seed, uint32_t class_count, const json_t *names,
                            image_request **out, uint64_t *out_count);

#endif
