// SPDX-License-Identifier: MIT
#include "api/nearest_count.h"

#include "data/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROWS 256

struct nearest_count {
    dataset *data;
    struct {
        char label[80];
        uint64_t count, right;
        double distance; // summed
    } rows[MOST_ROWS];
    size_t row_count;
};

static igvk_status check_classes(const char *folder, const dataset_info *info, const model_config *c, const json_t *class_names) {
    if (info->channels != c->channels || info->height != c->height || info->width != c->width || info->classes != c->classes)
        return fail(IGVK_ERROR_INVALID, "--against %s: images of %ux%ux%u in %u classes, the model makes %ux%ux%u in %u", folder,
                    info->channels, info->height, info->width, info->classes, c->channels, c->height, c->width, c->classes);
    for (uint32_t k = 0; k < info->classes; k++) {
        const char *name = json_string_value(json_array_get(class_names, k));
        if (name && strcmp(name, info->class_names[k]) != 0)
            return fail(IGVK_ERROR_INVALID, "--against %s: class %u is '%.40s', the model's is '%.40s'", folder, k, info->class_names[k], name);
    }
    return IGVK_OK;
}

igvk_status nearest_count_create(const char *folder, const model_config *c, const json_t *class_names, nearest_count **out) {
    igvk_status status = IGVK_OK;
    nearest_count *n = calloc(1, sizeof *n);
    *out = NULL;
    if (!n)
        return fail_memory("counts", sizeof *n);
    TRY(dataset_open(folder, &n->data));
    TRY(check_classes(folder, dataset_describe(n->data), c, class_names));
    *out = n;
    n = NULL;
done:
    nearest_count_destroy(&n);
    return status;
}

void nearest_count_destroy(nearest_count **n) {
    if (!*n)
        return;
    dataset_close(&(*n)->data);
    free(*n);
    *n = NULL;
}

igvk_status nearest_count_add(nearest_count *n, const char *label, const image_request *requests, uint64_t count, const float *images) {
    igvk_status status = IGVK_OK;
    nearest_match *matches = calloc(count + 1, sizeof *matches);
    if (!matches)
        return fail_memory("matches", count * sizeof *matches);
    if (n->row_count == MOST_ROWS)
        THROW(IGVK_ERROR_INVALID, "--against: more than %d rows", MOST_ROWS);
    TRY(nearest_find(n->data, images, count, matches, NULL, NULL));
    snprintf(n->rows[n->row_count].label, sizeof n->rows[0].label, "%s", label);
    for (uint64_t i = 0; i < count; i++) {
        n->rows[n->row_count].right += matches[i].label == requests[i].label;
        n->rows[n->row_count].distance += matches[i].distance;
    }
    n->rows[n->row_count++].count = count;
done:
    free(matches);
    return status;
}

void nearest_count_tell(const nearest_count *n, const igvk_events *events) {
    if (!n || !events || !events->message)
        return;
    for (size_t r = 0; r < n->row_count; r++) {
        char text[256];
        double count = (double)n->rows[r].count;
        snprintf(text, sizeof text, "nearest training image is of the class asked for: %s: %llu of %llu (%.1f %%), mean distance %.2f",
                 n->rows[r].label, (unsigned long long)n->rows[r].right, (unsigned long long)n->rows[r].count,
                 100 * (double)n->rows[r].right / count, n->rows[r].distance / count);
        events->message(events->user, text);
    }
}
