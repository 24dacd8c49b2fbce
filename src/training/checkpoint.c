// SPDX-License-Identifier: MIT
#include "training/checkpoint.h"

#include "step_block.h"
#include "core/text.h"
#include "models/weights.h"
#include "vulkan/parameter_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const saved_sets[] = {SET_MODEL, SET_EMA, SET_MOMENT1, SET_MOMENT2};
#define SAVED_SETS (sizeof saved_sets / sizeof *saved_sets)

// A file has the EMA whole, as all others have it, though what is kept is the model's.
static bool is_saved(const char *set, parameter_group group) {
    return training_set_holds(set, group) || (group == PARAMETER_KEPT && strcmp(set, SET_EMA) == 0);
}

#define LOSS_SCALE_KEY "igvk.loss_scale" // the scale, steps taken since it changed, steps skipped

#define HEADER_BYTES_A_TENSOR 160 // name, shape and offsets in the file's header, about

uint64_t checkpoint_bytes(const parameter_layout *l) {
    uint64_t bytes = 0;
    for (size_t set = 0; set < SAVED_SETS; set++)
        for (size_t i = 0; i < parameter_count(l); i++)
            if (is_saved(saved_sets[set], parameter_at(l, i)->group))
                bytes += shape_elements(parameter_at(l, i)->shape) * 4 + HEADER_BYTES_A_TENSOR;
    return bytes;
}

static igvk_status declare_all(safetensors_writer *w, const parameter_layout *l) {
    igvk_status status = IGVK_OK;
    for (size_t set = 0; set < SAVED_SETS; set++)
        for (size_t i = 0; i < parameter_count(l); i++) {
            const parameter *p = parameter_at(l, i);
            char name[256];
            if (!is_saved(saved_sets[set], p->group))
                continue;
            snprintf(name, sizeof name, "%s/%s", saved_sets[set], p->name);
            TRY(safetensors_declare(w, name, ELEMENT_F32, p->shape.rank, p->shape.dim));
        }
done:
    return status;
}

PRINTF_LIKE(3, 4)
static igvk_status set_number(safetensors_writer *w, const char *key, const char *format, ...) {
    text_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_append_v(&text, format, arguments);
    va_end(arguments);
    igvk_status status = text.text ? safetensors_set_metadata(w, key, text.text) : fail_memory(key, 0);
    text_free(&text);
    return status;
}

static igvk_status set_metadata(safetensors_writer *w, const model_config *model, const checkpoint_counters *c,
                                const checkpoint_texts *texts) {
    igvk_status status = IGVK_OK;
    char *json = model_config_to_json(model);
    if (!json)
        return fail_memory("the model's configuration", 0);
    TRY(safetensors_set_metadata(w, "igvk.model", json));
    TRY(safetensors_set_metadata(w, "igvk.options", texts->options));
    TRY(safetensors_set_metadata(w, "igvk.classes", texts->class_names));
    TRY(safetensors_set_metadata(w, "igvk.kernels", c->kernels));
    TRY(safetensors_set_metadata(w, "igvk.dataset", c->dataset));
    TRY(set_number(w, "igvk.step", "%llu", (unsigned long long)c->step));
    TRY(set_number(w, "igvk.seconds", "%.3f", c->seconds));
    TRY(set_number(w, "igvk.micro_batch", "%u", c->micro_batch));
    if (c->scale.scale > 0)
        TRY(set_number(w, LOSS_SCALE_KEY, "%.9g %u %u", (double)c->scale.scale, c->scale.good, c->scale.skipped));
done:
    free(json);
    return status;
}

// One float buffer that fits every parameter.
static float *parameter_buffer(const parameter_layout *l) {
    uint64_t most = 0;
    for (size_t i = 0; i < parameter_count(l); i++)
        if (shape_elements(parameter_at(l, i)->shape) > most)
            most = shape_elements(parameter_at(l, i)->shape);
    return malloc(most * sizeof(float) + 1);
}

igvk_status checkpoint_save(trainer *t, const model_config *model, const checkpoint_counters *c,
                            const checkpoint_texts *texts, const char *path) {
    igvk_status status = IGVK_OK;
    safetensors_writer *w = NULL;
    const parameter_layout *l = trainer_layout(t);
    float *values = parameter_buffer(l);
    if (!values)
        return fail_memory("a parameter", 0);
    TRY(safetensors_writer_create(path, &w));
    TRY(declare_all(w, l));
    TRY(set_metadata(w, model, c, texts));
    TRY(safetensors_begin_data(w));
    for (size_t set = 0; set < SAVED_SETS; set++)
        for (size_t i = 0; i < parameter_count(l); i++) {
            if (!is_saved(saved_sets[set], parameter_at(l, i)->group))
                continue;
            TRY(parameter_memory_read(trainer_store(t), l, saved_sets[set], i, values));
            TRY(safetensors_write(w, values, shape_elements(parameter_at(l, i)->shape) * 4));
        }
    TRY(safetensors_finish(w));
done:
    safetensors_writer_destroy(&w);
    free(values);
    return status;
}

static igvk_status copy_metadata(const weights_file *w, const char *path, const char *key, char *out, size_t size) {
    const char *value = weights_metadata(w, key);
    if (!value || strlen(value) >= size)
        return fail(IGVK_ERROR_INVALID, "%s: metadata '%s' is missing or too long: not a checkpoint to resume from",
                    path, key);
    strcpy(out, value);
    return IGVK_OK;
}

igvk_status checkpoint_read_model(const char *path, model_config *model) {
    weights_file *w = NULL;
    igvk_status status = weights_open(path, SET_MODEL, &w);
    if (status == IGVK_OK)
        *model = *weights_config(w);
    weights_close(&w);
    return status;
}

// All zero where the file has none.
static igvk_status read_scale(const weights_file *w, const char *path, loss_scale *out) {
    const char *text = weights_metadata(w, LOSS_SCALE_KEY);
    char words[3][32], end;
    igvk_status status = IGVK_OK;
    double scale = 0;
    uint64_t good = 0, skipped = 0;
    if (!text)
        return IGVK_OK;
    if (sscanf(text, "%31s %31s %31s %c", words[0], words[1], words[2], &end) != 3)
        THROW(IGVK_ERROR_INVALID, "%s: metadata '%s' is not three numbers: not a checkpoint to resume from", path,
              LOSS_SCALE_KEY);
    TRY(parse_f64(LOSS_SCALE_KEY, words[0], LOSS_SCALE_LEAST, 1e30, &scale));
    TRY(parse_u64(LOSS_SCALE_KEY, words[1], 0, LOSS_SCALE_INTERVAL - 1, &good));
    TRY(parse_u64(LOSS_SCALE_KEY, words[2], 0, UINT32_MAX, &skipped));
    *out = (loss_scale){.scale = (float)scale, .good = (uint32_t)good, .skipped = (uint32_t)skipped};
done:
    return status;
}

igvk_status checkpoint_read_counters(const char *path, checkpoint_counters *c) {
    igvk_status status = IGVK_OK;
    weights_file *w = NULL;
    char number[64];
    uint64_t micro = 0;
    memset(c, 0, sizeof *c);
    TRY(weights_open(path, SET_MODEL, &w));
    TRY(copy_metadata(w, path, "igvk.step", number, sizeof number));
    TRY(parse_u64("igvk.step", number, 0, UINT64_MAX / 2, &c->step));
    TRY(copy_metadata(w, path, "igvk.seconds", number, sizeof number));
    TRY(parse_f64("igvk.seconds", number, 0, 1e12, &c->seconds));
    TRY(copy_metadata(w, path, "igvk.micro_batch", number, sizeof number));
    TRY(parse_u64("igvk.micro_batch", number, 1, UINT32_MAX, &micro));
    c->micro_batch = (uint32_t)micro;
    TRY(read_scale(w, path, &c->scale));
    if (c->scale.skipped > c->step)
        THROW(IGVK_ERROR_INVALID, "%s: more steps skipped than taken: not a checkpoint to resume from", path);
    TRY(copy_metadata(w, path, "igvk.kernels", c->kernels, sizeof c->kernels));
    TRY(copy_metadata(w, path, "igvk.dataset", c->dataset, sizeof c->dataset));
done:
    weights_close(&w);
    return status;
}

// The file's set is the layout's parameters that the set holds, no more and no fewer.
static igvk_status check_set(const weights_file *w, const parameter_layout *l, const char *set) {
    igvk_status status = IGVK_OK;
    parameter_layout *held = parameter_layout_create(UINT64_MAX / 2);
    if (!held)
        return fail_memory("the parameter layout", 0);
    for (size_t i = 0; i < parameter_count(l); i++)
        if (is_saved(set, parameter_at(l, i)->group))
            parameter_layout_add(held, parameter_at(l, i));
    TRY(parameter_layout_check(held));
    TRY(weights_check(w, held));
done:
    parameter_layout_destroy(&held);
    return status;
}

static igvk_status load_set(trainer *t, const char *path, const char *set, float *values) {
    igvk_status status = IGVK_OK;
    weights_file *w = NULL;
    const parameter_layout *l = trainer_layout(t);
    TRY(weights_open(path, set, &w));
    TRY(check_set(w, l, set));
    for (size_t i = 0; i < parameter_count(l); i++) {
        if (!is_saved(set, parameter_at(l, i)->group))
            continue;
        TRY(weights_read(w, l, i, 0, shape_elements(parameter_at(l, i)->shape), values));
        TRY(parameter_memory_write(trainer_store(t), l, set, i, values));
    }
done:
    weights_close(&w);
    return status;
}

igvk_status checkpoint_load(trainer *t, const char *path) {
    igvk_status status = IGVK_OK;
    size_t count = SAVED_SETS;
    float *values = parameter_buffer(trainer_layout(t));
    if (!values)
        return fail_memory("a parameter", 0);
#ifdef IGVK_BREAK_RESUME_FIELD // the second moments left out
    count--;
#endif
    for (size_t set = 0; set < count; set++)
        TRY(load_set(t, path, saved_sets[set], values));
done:
    free(values);
    return status;
}
