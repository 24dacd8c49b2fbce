// SPDX-License-Identifier: MIT
// dataset.json: the description of a dataset, with jansson (strict, duplicate keys refused).
#include "data/dataset_json.h"

#include "core/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_WORD "igvk-dataset-1"
#define KIND_WORD "pixels"

enum { DATASET_JSON_BYTES_MAX = 64 << 20 };

char *dataset_json_path(const char *folder) {
    return path_join(folder, "dataset.json");
}

char *dataset_shard_path(const char *folder, uint32_t shard) {
    char name[40];
    snprintf(name, sizeof name, "shard-%05" PRIu32 ".safetensors", shard);
    return path_join(folder, name);
}

uint64_t digest_bytes(uint64_t hash, const void *bytes, size_t size) {
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static igvk_status check_name(const char *where, uint32_t class, const char *name) {
    if (!*name)
        return fail(IGVK_ERROR_INVALID, "%s: class %" PRIu32 " has an empty name", where, class);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            return fail(IGVK_ERROR_INVALID, "%s: the name of class %" PRIu32 " has a control character", where, class);
    json_t *text = json_string(name); // null where it is not UTF-8
    if (!text)
        return fail(IGVK_ERROR_INVALID, "%s: the name of class %" PRIu32 " is not UTF-8: \"%s\"", where, class, name);
    json_decref(text);
    return IGVK_OK;
}

static igvk_status check_class_names(const char *where, const dataset_info *info) {
    igvk_status status = IGVK_OK;
    const char **sorted = NULL;
    for (uint32_t i = 0; i < info->classes; i++)
        TRY(check_name(where, i, info->class_names[i]));
    if (info->classes < 2)
        goto done;
    sorted = malloc(info->classes * sizeof *sorted);
    if (!sorted) {
        status = fail_memory("class names", info->classes * sizeof *sorted);
        goto done;
    }
    memcpy(sorted, info->class_names, info->classes * sizeof *sorted);
    qsort(sorted, info->classes, sizeof *sorted, compare_names);
    for (uint32_t i = 1; i < info->classes; i++)
        if (!strcmp(sorted[i - 1], sorted[i]))
            THROW(IGVK_ERROR_INVALID, "%s: two classes are named \"%s\"; names must differ", where, sorted[i]);
done:
    free(sorted);
    return status;
}

static igvk_status check_range(const char *where, const char *what, uint64_t value, uint64_t low, uint64_t high) {
    if (value >= low && value <= high)
        return IGVK_OK;
    return fail(IGVK_ERROR_INVALID, "%s: %s is %" PRIu64 ", must be %" PRIu64 " to %" PRIu64, where, what, value, low,
                high);
}

igvk_status dataset_check_shape(const char *where, const dataset_info *info) {
    igvk_status status = IGVK_OK;
    TRY(check_range(where, "channels", info->channels, 1, DATASET_CHANNELS_MAX));
    TRY(check_range(where, "height", info->height, 1, DATASET_SIDE_MAX));
    TRY(check_range(where, "width", info->width, 1, DATASET_SIDE_MAX));
    TRY(check_range(where, "bytes per image", dataset_image_bytes(info), 1, DATASET_IMAGE_BYTES_MAX));
    TRY(check_range(where, "number of classes", info->classes, 0, DATASET_CLASSES_MAX));
    TRY(check_class_names(where, info));
done:
    return status;
}

igvk_status dataset_check_counts(const char *where, const dataset_info *info) {
    if (!info->count)
        return fail(IGVK_ERROR_INVALID, "%s: the dataset has no image", where);
    if (info->count > DATASET_COUNT_MAX)
        return fail(IGVK_ERROR_INVALID, "%s: count is %" PRIu64 ", more than 2^40", where, info->count);
    if (info->held_out >= info->count)
        return fail(IGVK_ERROR_INVALID,
                    "%s: %" PRIu64 " of %" PRIu64 " images are held out; at least one must be left for training", where,
                    info->held_out, info->count);
    return IGVK_OK;
}

static igvk_status get_integer(const json_t *root, const char *path, const char *key, uint64_t high, uint64_t *out) {
    const json_t *value = json_object_get(root, key);
    if (!json_is_integer(value))
        return fail(IGVK_ERROR_INVALID, "%s: \"%s\" is missing or no whole number", path, key);
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number > high)
        return fail(IGVK_ERROR_INVALID, "%s: \"%s\" is %" JSON_INTEGER_FORMAT ", must be 0 to %" PRIu64, path, key,
                    number, high);
    *out = (uint64_t)number;
    return IGVK_OK;
}

static igvk_status get_u32(const json_t *root, const char *path, const char *key, uint32_t *out) {
    uint64_t value = 0;
    igvk_status status = get_integer(root, path, key, UINT32_MAX, &value);
    *out = (uint32_t)value;
    return status;
}

static igvk_status expect_word(const json_t *root, const char *path, const char *key, const char *word) {
    const char *text = json_string_value(json_object_get(root, key));
    if (!text)
        return fail(IGVK_ERROR_INVALID, "%s: \"%s\" is missing or no text; this is no dataset of igvk", path, key);
    if (strcmp(text, word))
        return fail(IGVK_ERROR_INVALID, "%s: \"%s\" is \"%s\", this igvk reads \"%s\"", path, key, text, word);
    return IGVK_OK;
}

static igvk_status get_class_names(const json_t *root, const char *path, arena *names, dataset_info *info) {
    const json_t *list = json_object_get(root, "classes");
    if (!json_is_array(list) || json_array_size(list) > DATASET_CLASSES_MAX)
        return fail(IGVK_ERROR_INVALID, "%s: \"classes\" is missing or no list of at most %d names", path,
                    DATASET_CLASSES_MAX);
    info->classes = (uint32_t)json_array_size(list);
    const char **copies = arena_alloc(names, (info->classes + 1) * sizeof *copies);
    if (!copies)
        return fail_memory("class names", info->classes * sizeof *copies);
    for (uint32_t i = 0; i < info->classes; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name)
            return fail(IGVK_ERROR_INVALID, "%s: \"classes\": entry %" PRIu32 " is no text", path, i);
        copies[i] = arena_copy_text(names, name);
        if (!copies[i])
            return fail_memory("class names", strlen(name) + 1);
    }
    info->class_names = copies;
    return IGVK_OK;
}

static igvk_status get_all(const json_t *root, const char *path, arena *names, dataset_info *info) {
    igvk_status status = IGVK_OK;
    if (!json_is_object(root))
        THROW(IGVK_ERROR_INVALID, "%s: must be one JSON object; this is no dataset of igvk", path);
    TRY(expect_word(root, path, "format", FORMAT_WORD));
    TRY(expect_word(root, path, "kind", KIND_WORD));
    TRY(get_u32(root, path, "channels", &info->channels));
    TRY(get_u32(root, path, "height", &info->height));
    TRY(get_u32(root, path, "width", &info->width));
    TRY(get_class_names(root, path, names, info));
    TRY(get_integer(root, path, "count", DATASET_COUNT_MAX, &info->count));
    TRY(get_integer(root, path, "held_out", DATASET_COUNT_MAX, &info->held_out));
    const json_t *flips = json_object_get(root, "flips");
    if (!json_is_boolean(flips))
        THROW(IGVK_ERROR_INVALID, "%s: \"flips\" is missing or neither true nor false", path);
    info->flips = json_is_true(flips);
    TRY(dataset_check_shape(path, info));
    TRY(dataset_check_counts(path, info));
done:
    return status;
}

igvk_status dataset_json_read(const char *path, arena *names, dataset_info *info, uint64_t *digest) {
    igvk_status status = IGVK_OK;
    char *text = NULL;
    size_t size = 0;
    json_error_t error;
    json_t *root = NULL;

    TRY(file_read(path, DATASET_JSON_BYTES_MAX, &text, &size));
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        THROW(IGVK_ERROR_INVALID, "%s: line %d: %s; the dataset must be made again", path, error.line, error.text);
    TRY(get_all(root, path, names, info));
    *digest = digest_bytes(DIGEST_START, text, size);
done:
    json_decref(root);
    free(text);
    return status;
}

static json_t *class_list(const dataset_info *info) {
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < info->classes; i++) {
        if (json_array_append_new(list, json_string(info->class_names[i]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

igvk_status dataset_json_write(const char *path, const dataset_info *info, const char *made_by) {
    igvk_status status = IGVK_OK;
    char *text = NULL;
    json_t *maker = json_string(made_by ? made_by : "");
    if (!maker)
        maker = json_string("(not UTF-8)"); // a command line may be any bytes; this line is only for people
    json_t *root = json_pack("{s:s, s:s, s:i, s:i, s:i, s:o, s:I, s:I, s:b, s:o}", "format", FORMAT_WORD, "kind",
                             KIND_WORD, "channels", (int)info->channels, "height", (int)info->height, "width",
                             (int)info->width, "classes", class_list(info), "count", (json_int_t)info->count,
                             "held_out", (json_int_t)info->held_out, "flips", (int)info->flips, "made_by", maker);
    if (root)
        text = json_dumps(root, JSON_INDENT(2));
    if (!text) {
        status = fail_memory("dataset.json", 4096);
        goto done;
    }
    TRY(file_write_atomic(path, text, strlen(text)));
done:
    free(text);
    json_decref(root);
    return status;
}
