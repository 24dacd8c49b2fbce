// SPDX-License-Identifier: MIT
#include "api/class_list.h"

#include "core/memory.h"
#include "core/philox.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

#define MOST_IMAGES 100000000u

typedef struct label_list {
    uint32_t *labels;
    size_t count, capacity;
} label_list;

static igvk_status add(label_list *l, uint32_t label) {
    if (!ARRAY_RESERVE(l->labels, l->capacity, l->count + 1))
        return fail_memory("a list of classes", l->count * sizeof *l->labels);
    l->labels[l->count++] = label;
    return IGVK_OK;
}

static igvk_status add_range(label_list *l, uint32_t first, uint32_t last) {
    igvk_status status = IGVK_OK;
    for (uint32_t k = first; k <= last; k++)
        TRY(add(l, k));
done:
    return status;
}

// "7", "3-7", or false where the word is neither.
static bool parse_range(const char *word, uint32_t class_count, uint32_t *first, uint32_t *last) {
    char *end = NULL;
    if (word[0] < '0' || word[0] > '9')
        return false;
    unsigned long a = strtoul(word, &end, 10), b = a;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        b = strtoul(end + 1, &end, 10);
    if (*end || a > b || b >= class_count)
        return false;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
    return true;
}

static igvk_status add_word(label_list *l, const char *word, uint32_t class_count, const json_t *names) {
    uint32_t first = 0, last = 0;
    size_t k;
    json_t *name;
    json_array_foreach((json_t *)names, k, name) // a name comes first: digits are names of digit datasets
        if (k < class_count && json_is_string(name) && strcmp(json_string_value(name), word) == 0)
            return add(l, (uint32_t)k);
    if (parse_range(word, class_count, &first, &last))
        return add_range(l, first, last);
    return fail(IGVK_ERROR_INVALID, "--classes: '%.60s' is neither a class of the model nor a number or range below %u", word, class_count);
}

static igvk_status parse_words(label_list *l, const char *classes, uint32_t class_count, const json_t *names) {
    igvk_status status = IGVK_OK;
    char word[128];
    while (*classes) {
        size_t n = strcspn(classes, ",");
        if (n == 0 || n >= sizeof word)
            THROW(IGVK_ERROR_INVALID, "--classes: '%.60s' has an empty or overlong entry", classes);
        memcpy(word, classes, n);
        word[n] = 0;
        TRY(add_word(l, word, class_count, names));
        classes += n + (classes[n] == ',');
    }
    if (l->count == 0)
        THROW(IGVK_ERROR_INVALID, "--classes: is empty");
done:
    return status;
}

static igvk_status labels_of(label_list *l, const char *classes, uint32_t class_count, const json_t *names) {
    if (class_count == 0) {
        if (strcmp(classes, "all") != 0 && strcmp(classes, "random") != 0 && strcmp(classes, "balanced") != 0)
            return fail(IGVK_ERROR_INVALID, "--classes '%.60s': the model has no classes", classes);
        return add(l, 0);
    }
    if (strcmp(classes, "all") == 0 || strcmp(classes, "balanced") == 0)
        return add_range(l, 0, class_count - 1);
    return parse_words(l, classes, class_count, names);
}

igvk_status class_list_make(const char *classes, uint64_t count, uint64_t seed, uint32_t class_count, const json_t *names,
                            image_request **out, uint64_t *out_count) {
    igvk_status status = IGVK_OK;
    label_list l = {0};
    bool random = strcmp(classes, "random") == 0 && class_count > 0;
    *out = NULL;
    if (!random)
        TRY(labels_of(&l, classes, class_count, names));
    *out_count = count ? count : random ? 1 : l.count;
    if (*out_count > MOST_IMAGES)
        THROW(IGVK_ERROR_INVALID, "--count %llu: at most %u images", (unsigned long long)*out_count, MOST_IMAGES);
    *out = calloc(*out_count, sizeof **out);
    if (!*out) {
        status = fail_memory("a list of images", *out_count * sizeof **out);
        goto done;
    }
    for (uint64_t i = 0; i < *out_count; i++) {
        (*out)[i].seed = seed + i;
        (*out)[i].label = random ? random_word(seed + i, STREAM_LABEL, 0, 0, 0) % class_count : l.labels[i % l.count];
    }
done:
    free(l.labels);
    return status;
}
