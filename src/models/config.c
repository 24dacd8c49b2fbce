// SPDX-License-Identifier: MIT
// A model's configuration as JSON, as checkpoints carry it. Read strictly: it may come from anyone.
#include "models/model.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct field {
    const char *key;
    size_t offset;      // of a uint32_t
    uint32_t low, high; // sane ranges: no product of two of them overflows 64 bits
} field;

#define FIELD(name, low, high) {#name, offsetof(model_config, name), low, high}
static const field fields[] = {
    FIELD(height, 1, 1 << 14), FIELD(width, 1, 1 << 14),      FIELD(channels, 1, 1 << 12), FIELD(patch, 1, 1 << 10),
    FIELD(hidden, 4, 1 << 16), FIELD(depth, 1, 1 << 10),      FIELD(heads, 1, 1 << 12),    FIELD(head_after, 1, 1 << 10),
    FIELD(classes, 0, 1 << 20),
};
#define FIELD_COUNT (sizeof fields / sizeof *fields)
#define OTHER_KEYS 5 // kind, path, null_class, qk_norm, mlp_ratio

char *model_config_to_json(const model_config *c) {
    json_t *root = json_object();
    bool bad = !root || json_object_set_new(root, "kind", json_string(c->kind));
    for (size_t i = 0; i < FIELD_COUNT && !bad; i++) {
        uint32_t value;
        memcpy(&value, (const char *)c + fields[i].offset, sizeof value);
        bad = json_object_set_new(root, fields[i].key, json_integer(value)) != 0;
    }
    bad = bad || json_object_set_new(root, "null_class", json_boolean(c->null_class)) ||
          json_object_set_new(root, "qk_norm", json_boolean(c->qk_norm)) ||
          json_object_set_new(root, "mlp_ratio", json_real(c->mlp_ratio)) ||
          json_object_set_new(root, "path", json_string(c->path == PATH_COSINE ? "cosine" : "linear"));
    char *text = bad ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    return text;
}

static igvk_status read_integers(const char *where, json_t *root, model_config *c) {
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        json_t *v = json_object_get(root, fields[i].key);
        if (!json_is_integer(v) || json_integer_value(v) < fields[i].low || json_integer_value(v) > fields[i].high)
            return fail(IGVK_ERROR_INVALID, "%s: model configuration: '%s' must be a whole number from %u to %u", where,
                        fields[i].key, fields[i].low, fields[i].high);
        uint32_t value = (uint32_t)json_integer_value(v);
        memcpy((char *)c + fields[i].offset, &value, sizeof value);
    }
    return IGVK_OK;
}

static igvk_status read_others(const char *where, json_t *root, model_config *c) {
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *path = json_string_value(json_object_get(root, "path"));
    json_t *null_class = json_object_get(root, "null_class"), *qk_norm = json_object_get(root, "qk_norm");
    double ratio = json_number_value(json_object_get(root, "mlp_ratio"));
    if (!kind || strlen(kind) >= sizeof c->kind)
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: 'kind' is missing or unknown", where);
    if (!path || (strcmp(path, "linear") != 0 && strcmp(path, "cosine") != 0))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: 'path' must be linear or cosine", where);
    if (!json_is_boolean(null_class) || !json_is_boolean(qk_norm))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: 'null_class' and 'qk_norm' must be true or false", where);
    if (!(ratio >= 0.01 && ratio <= 64))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: 'mlp_ratio' must be between 0.01 and 64", where);
    strcpy(c->kind, kind);
    c->path = strcmp(path, "cosine") == 0 ? PATH_COSINE : PATH_LINEAR;
    c->null_class = json_is_true(null_class);
    c->qk_norm = json_is_true(qk_norm);
    c->mlp_ratio = ratio;
    return IGVK_OK;
}

igvk_status model_config_from_json(const char *where, const char *text, model_config *c) {
    igvk_status status = IGVK_OK;
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    memset(c, 0, sizeof *c);
    if (!json_is_object(root))
        THROW(IGVK_ERROR_INVALID, "%s: model configuration is not a JSON object", where);
    if (json_object_size(root) != FIELD_COUNT + OTHER_KEYS)
        THROW(IGVK_ERROR_INVALID, "%s: model configuration has missing or unknown keys", where);
    TRY(read_integers(where, root, c));
    TRY(read_others(where, root, c));
    TRY(fail_within(model_config_check(c), "%s", where));
done:
    json_decref(root);
    return status;
}
