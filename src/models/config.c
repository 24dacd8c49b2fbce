// SPDX-License-Identifier: MIT
// A model's configuration as JSON, as checkpoints carry it. Read strictly: it may come from anyone.
#include "models/model.h"

#include "core/text.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE(name, least, most, must)                                                                                 \
    {                                                                                                                  \
        .key = #name, .type = CONFIG_WHOLE, .offset = offsetof(model_config, name), .low = least, .high = most,        \
        .required = must                                                                                               \
    }
// What every kind of model has.
static const config_field common[] = {
    WHOLE(height, 1, 1 << 14, true),
    WHOLE(width, 1, 1 << 14, true),
    WHOLE(channels, 1, 1 << 12, true),
    WHOLE(classes, 0, 1 << 20, false),
    {.key = "null_class", .type = CONFIG_FLAG, .offset = offsetof(model_config, null_class)},
};
#define COMMON_COUNT (sizeof common / sizeof *common)

// Field i of the kind: the common ones, then its own; null after the last.
static const config_field *field_at(const model_kind *kind, size_t i) {
    if (i < COMMON_COUNT)
        return &common[i];
    return i - COMMON_COUNT < kind->field_count ? &kind->fields[i - COMMON_COUNT] : NULL;
}

// ---- writing ---------------------------------------------------------------------------------------------

static json_t *field_to_json(const model_config *c, const config_field *f) {
    const void *at = (const char *)c + f->offset;
    uint32_t whole;
    switch (f->type) {
    case CONFIG_FLAG:
        return json_boolean(*(const bool *)at);
    case CONFIG_NUMBER:
        return json_real(*(const double *)at);
    case CONFIG_CHOICE:
        memcpy(&whole, at, sizeof whole);
        return json_string(f->choices[whole]);
    default:
        return json_integer(*(const uint32_t *)at);
    }
}

char *model_config_to_json(const model_config *c) {
    const model_kind *kind = model_kind_find(c->kind);
    json_t *root = json_object();
    bool bad = !kind || !root || json_object_set_new(root, "version", json_integer(MODEL_CONFIG_VERSION)) ||
               json_object_set_new(root, "kind", json_string(c->kind));
    const config_field *f;
    for (size_t i = 0; !bad && (f = field_at(kind, i)); i++)
        bad = json_object_set_new(root, f->key, field_to_json(c, f)) != 0;
    char *text = bad ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(root);
    return text;
}

// ---- reading ---------------------------------------------------------------------------------------------

static void set_number(model_config *c, const config_field *f, double value) {
    void *at = (char *)c + f->offset;
    const uint32_t whole = f->type == CONFIG_NUMBER ? 0 : (uint32_t)value;
    if (f->type == CONFIG_FLAG)
        *(bool *)at = value != 0;
    else if (f->type == CONFIG_NUMBER)
        *(double *)at = value;
    else
        memcpy(at, &whole, sizeof whole);
}

// The index of `text` among the choices; their count where it is none of them.
static uint32_t choice_of(const config_field *f, const char *text, uint32_t *count) {
    uint32_t found = UINT32_MAX;
    for (*count = 0; f->choices[*count]; ++*count)
        if (text && strcmp(f->choices[*count], text) == 0)
            found = *count;
    return found == UINT32_MAX ? *count : found;
}

static igvk_status read_choice(const char *where, json_t *v, const config_field *f, model_config *c) {
    uint32_t count, choice = choice_of(f, json_string_value(v), &count);
    text_buffer all = {0};
    if (choice < count) {
        set_number(c, f, choice);
        return IGVK_OK;
    }
    for (uint32_t k = 0; k < count; k++)
        text_append(&all, "%s%s", k ? " or " : "", f->choices[k]);
    igvk_status status =
        fail(IGVK_ERROR_INVALID, "%s: model configuration: '%s' must be %s", where, f->key, all.text ? all.text : "");
    text_free(&all);
    return status;
}

static igvk_status read_field(const char *where, json_t *v, const config_field *f, model_config *c) {
    const double value = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    if (!v && f->required)
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: '%s' is missing", where, f->key);
    if (!v) {
        set_number(c, f, f->otherwise);
        return IGVK_OK;
    }
    if (f->type == CONFIG_CHOICE)
        return read_choice(where, v, f, c);
    if (f->type == CONFIG_FLAG && !json_is_boolean(v))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: '%s' must be true or false", where, f->key);
    if (f->type == CONFIG_WHOLE && (!json_is_integer(v) || !(value >= f->low && value <= f->high)))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: '%s' must be a whole number from %.0f to %.0f", where,
                    f->key, f->low, f->high);
    if (f->type == CONFIG_NUMBER && (!json_is_number(v) || !(value >= f->low && value <= f->high)))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: '%s' must be between %g and %g", where, f->key,
                    f->low, f->high);
    set_number(c, f, value);
    return IGVK_OK;
}

static igvk_status check_keys(const char *where, json_t *root, const model_kind *kind) {
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        bool known = strcmp(key, "version") == 0 || strcmp(key, "kind") == 0;
        const config_field *f;
        for (size_t i = 0; !known && (f = field_at(kind, i)); i++)
            known = strcmp(f->key, key) == 0;
        if (!known)
            return fail(IGVK_ERROR_INVALID,
                        "%s: model configuration: unknown key '%.64s' for a model of kind '%s': made by a later igvk?",
                        where, key, kind->name);
    }
    return IGVK_OK;
}

static igvk_status read_kind(const char *where, json_t *root, const model_kind **kind) {
    json_t *version = json_object_get(root, "version");
    const char *name = json_string_value(json_object_get(root, "kind"));
    if (version && (!json_is_integer(version) || json_integer_value(version) < 1))
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: 'version' must be a whole number from 1", where);
    if (version && json_integer_value(version) > MODEL_CONFIG_VERSION)
        return fail(IGVK_ERROR_INVALID,
                    "%s: model configuration of version %lld, this igvk reads up to %d: use a later igvk", where,
                    (long long)json_integer_value(version), MODEL_CONFIG_VERSION);
    if (!name)
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: 'kind' is missing", where);
    *kind = model_kind_find(name);
    if (!*kind)
        return fail(IGVK_ERROR_INVALID, "%s: model configuration: unknown kind of model '%.32s'", where, name);
    return IGVK_OK;
}

igvk_status model_config_from_json(const char *where, const char *text, model_config *c) {
    igvk_status status = IGVK_OK;
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    const model_kind *kind = NULL;
    const config_field *f;
    memset(c, 0, sizeof *c);
    if (!json_is_object(root))
        THROW(IGVK_ERROR_INVALID, "%s: model configuration is not a JSON object", where);
    TRY(read_kind(where, root, &kind));
    strcpy(c->kind, kind->name);
    TRY(check_keys(where, root, kind));
    for (size_t i = 0; (f = field_at(kind, i)); i++)
        TRY(read_field(where, json_object_get(root, f->key), f, c));
    TRY(fail_within(model_config_check(c), "%s", where));
done:
    json_decref(root);
    return status;
}
