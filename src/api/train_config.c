// SPDX-License-Identifier: MIT
#include "api/train_config.h"

#include "api/options.h"
#include "core/file.h"
#include "models/objective.h"
#include "training/run_folder.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_LIMIT (1u << 20)

char *train_config_json(const igvk_train_options *o, const model_config *model) {
    const igvk_option_list *list = igvk_train_option_list();
    char *model_text = model_config_to_json(model), *text = NULL;
    json_t *model_json = model_text ? json_loads(model_text, 0, NULL) : NULL;
    json_t *options = json_object(), *root = json_object();
    bool bad = !model_json || !options || !root;
    for (size_t i = 0; i < list->count && !bad; i++) {
        char value[IGVK_TEXT];
        if (strcmp(list->options[i].name, "resume") == 0)
            continue;
        bad = !igvk_option_get(&list->options[i], o, value, sizeof value) ||
              json_object_set_new(options, list->options[i].name, json_string(value)) != 0;
    }
    bad = bad || json_object_set_new(root, "igvk", json_string(IGVK_VERSION)) ||
          json_object_set(root, "options", options) || json_object_set(root, "model", model_json);
    if (!bad)
        text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    json_decref(options);
    json_decref(model_json);
    free(model_text);
    return text;
}

static void override(uint32_t *field, uint64_t value) {
    if (value)
        *field = (uint32_t)value;
}

// What only paths between data and noise have.
static igvk_status check_discrete(const igvk_train_options *o, const model_config *c) {
    const bool path = o->path != 0, times = o->times != 0, target = o->guided_target != 1;
    if (path || times || target)
        return fail(IGVK_ERROR_INVALID,
                    "%s: is not of a model of kind %s, whose times are the steps of a noising process",
                    path    ? "--path-type cosine"
                    : times ? "--times lognormal"
                            : "--guided-target",
                    c->kind);
    return IGVK_OK;
}

// A switch of an architecture: kinds without it in their configuration can't have it.
static igvk_status switch_field(const model_config *m, const char *flag, const char *key, bool given, bool value,
                                bool *field) {
    const model_kind *kind = model_kind_find(m->kind);
    if (!given)
        return IGVK_OK;
    for (size_t i = 0; i < kind->field_count; i++)
        if (strcmp(kind->fields[i].key, key) == 0) {
            *field = value;
            return IGVK_OK;
        }
    return fail(IGVK_ERROR_INVALID, "--%s: a model of kind %s has none: leave it away, or --model LightningDiT", flag,
                m->kind);
}

enum { SWITCH_AUTO, SWITCH_ON, SWITCH_OFF };

static igvk_status switch_fields(const igvk_train_options *o, model_config *m) {
    igvk_status status = IGVK_OK;
    TRY(switch_field(m, "rms-norm", "rms_norm", o->rms_norm != SWITCH_AUTO, o->rms_norm == SWITCH_ON, &m->rms_norm));
    TRY(switch_field(m, "swiglu", "swiglu", o->swiglu != SWITCH_AUTO, o->swiglu == SWITCH_ON, &m->swiglu));
    TRY(switch_field(m, "rotary", "rotary", o->rotary != SWITCH_AUTO, o->rotary == SWITCH_ON, &m->rotary));
    TRY(switch_field(m, "no-shift", "no_shift", o->no_shift, true, &m->no_shift));
done:
    return status;
}

igvk_status train_model_config(const igvk_train_options *o, uint32_t channels, uint32_t height, uint32_t width,
                               uint32_t classes, model_config *out) {
    igvk_status status = IGVK_OK;
    *out = (model_config){.kind = "sit",
                          .channels = channels,
                          .height = height,
                          .width = width,
                          .classes = classes,
                          .null_class = classes && o->label_dropout > 0,
                          .qk_norm = o->qk_norm,
                          .mlp_ratio = 4,
                          .path = o->path ? PATH_COSINE : PATH_LINEAR};
    if (o->model[0])
        TRY(model_config_preset(o->model, out));
    if (!out->hidden && (!o->width || !o->depth || !o->heads || !o->patch))
        THROW(IGVK_ERROR_INVALID, "give --model PRESET, or all of --width, --depth, --heads and --patch");
    TRY(switch_fields(o, out));
    override(&out->hidden, o->width);
    override(&out->depth, o->depth);
    override(&out->heads, o->heads);
    override(&out->patch, o->patch);
    if (o->depth || !out->head_after)
        out->head_after = out->depth >= 3 ? out->depth / 3 : 1;
    override(&out->head_after, o->head_after);
    TRY(model_config_check(out));
    if (model_kind_find(out->kind)->time == MODEL_DISCRETE)
        TRY(check_discrete(o, out));
    if (!model_objective_of(out))
        THROW(IGVK_ERROR_INVALID, "--model %s: this version does not train its kind", o->model);
done:
    return status;
}

igvk_status igvk_train_options_load(const char *run, igvk_train_options *o) {
    igvk_status status = IGVK_OK;
    char *path = run_config_path(run), *text = NULL;
    size_t size = 0;
    json_t *root = NULL, *value;
    const char *key;
    igvk_train_options_default(o);
    if (!path || !path_is_folder(run) || !path_exists(path))
        THROW(IGVK_ERROR_INVALID, "%s: has no config.json: not a run folder", run);
    TRY(file_read(path, CONFIG_LIMIT, &text, &size));
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json_object_get(root, "options")))
        THROW(IGVK_ERROR_INVALID, "%s: is not a run's configuration", path);
    json_object_foreach(json_object_get(root, "options"), key, value) {
        if (!json_is_string(value))
            THROW(IGVK_ERROR_INVALID, "%s: '%s' is not a text", path, key);
        status = igvk_option_set(igvk_train_option_list(), o, key, json_string_value(value));
        if (status != IGVK_OK) {
            fail_within(status, "%s", path);
            goto done;
        }
    }
done:
    json_decref(root);
    free(text);
    free(path);
    return status;
}

// Of what a resumed run may change, what changes its numbers.
static bool shapes_numbers(const igvk_option *option) {
    return strcmp(option->name, "learning-rate") == 0 || strcmp(option->name, "clip") == 0;
}

static igvk_status check_option(const igvk_option *option, const char *now, const char *before,
                                const igvk_events *events) {
    char note[2 * IGVK_TEXT + 128];
    if (strcmp(now, before) == 0)
        return IGVK_OK;
    if (!option->may_change)
        return fail(IGVK_ERROR_INVALID,
                    "--%s %s contradicts the run, which was started with %s: leave the flag away or start anew",
                    option->name, now, before);
    if (!shapes_numbers(option) || !events || !events->message)
        return IGVK_OK;
    snprintf(note, sizeof note, "note: --%s %s, was %s: the run's numbers change from here", option->name, now, before);
    events->message(events->user, note);
    return IGVK_OK;
}

igvk_status train_check_resumed(const igvk_train_options *o, const igvk_events *events) {
    const igvk_option_list *list = igvk_train_option_list();
    igvk_train_options stored;
    igvk_status status = igvk_train_options_load(o->resume, &stored);
    for (size_t i = 0; status == IGVK_OK && i < list->count; i++) {
        char now[IGVK_TEXT], before[IGVK_TEXT];
        const igvk_option *option = &list->options[i];
        if (igvk_option_get(option, o, now, sizeof now) && igvk_option_get(option, &stored, before, sizeof before))
            status = check_option(option, now, before, events);
    }
    return status;
}
