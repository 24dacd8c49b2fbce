// SPDX-License-Identifier: MIT
#include "api/train_sheet.h"

#include "api/loaded_model.h"
#include "api/sheet_job.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>

#define COLUMNS 10 // at most
#define FIRST_SEED 0
#define SHARE_OF_FREE 0.25
#define STATES 4 // a sampler's images in the store, for each of the batch

static uint32_t column_count(const train_sheet *s) {
    return s->config->classes && s->config->classes < COLUMNS ? s->config->classes : COLUMNS;
}

static sampling_method method_of(const train_sheet *s) {
    const bool discrete = model_kind_find(s->config->kind)->time == MODEL_DISCRETE;
    return (sampling_method){.solver = discrete ? SOLVER_DDIM : SOLVER_HEUN,
                             .steps = s->steps,
                             .cfg_channels = discrete && s->config->channels > 3 ? 3 : 0, // as sampling has it
                             .path = s->config->path,
                             .ig = {s->ig_scale, 0, 1},
                             .cfg = {s->config->null_class ? s->cfg_scale : 1, 0, 1}};
}

// ---- planning --------------------------------------------------------------------------------------

static igvk_status choose_batch(train_sheet *s, sampler_options *o) {
    uint64_t available = (uint64_t)((double)device_memory_free(s->device) * SHARE_OF_FREE);
    for (o->batch = column_count(s);; o->batch = (o->batch + 1) / 2) {
        uint64_t plan = 0;
        igvk_status status = sampler_plan_bytes(o, device_capabilities(s->device), &plan);
        s->batch = o->batch;
        s->bytes = plan + STATES * o->batch * model_elements(s->config) * sizeof(float);
        if (status == IGVK_OK && s->bytes <= available)
            return IGVK_OK;
        if (status != IGVK_OK && (status != IGVK_ERROR_DEVICE_MEMORY || o->batch == 1))
            return status;
        char need[32], most[32];
        if (o->batch == 1)
            return fail(IGVK_ERROR_DEVICE_MEMORY, "one image needs %s of device memory, a sheet is given at most %s",
                        format_bytes(need, s->bytes), format_bytes(most, available));
    }
}

igvk_status train_sheet_plan(train_sheet *s) {
    igvk_status status = IGVK_OK;
    sampling_stage *stages = NULL;
    sampling_method method = method_of(s); // both guidances at once need most
    parameter_layout *layout = layout_for(s->device, s->config, STORAGE_F32);
    TRY(layout ? parameter_layout_check(layout) : fail_memory("the parameter layout", 0));
    parameter_set set = {.layout = layout, .arena_name = SET_EMA, .role = ROLE_PARAMETER};
    sampler_options o = {.device = s->device, .config = s->config, .parameters = &set};
    TRY(schedule_make(&method, &stages, &o.stage_count));
    o.stages = stages;
    TRY(choose_batch(s, &o));
done:
    free(stages);
    parameter_layout_destroy(&layout);
    return status;
}

// ---- drawing ---------------------------------------------------------------------------------------

igvk_status train_sheet_draw(const train_sheet *s, trainer *t, uint64_t step, const char *path,
                             const igvk_events *events) {
    igvk_status status = IGVK_OK;
    image_request requests[COLUMNS];
    uint32_t count = column_count(s), classes = s->config->classes;
    char title[128];
    parameter_set set = {.layout = trainer_layout(t), .arena_name = SET_EMA, .role = ROLE_PARAMETER};
    for (uint32_t i = 0; i < count; i++)
        requests[i] =
            (image_request){.label = classes ? (uint32_t)((uint64_t)i * classes / count) : 0, .seed = FIRST_SEED + i};
    snprintf(title, sizeof title, "step %llu, EMA, %s %u steps", (unsigned long long)step,
             method_of(s).solver == SOLVER_DDIM ? "DDIM" : "Heun", s->steps);
    sheet_job job = {
        .device = s->device,
        .models = {{.store = trainer_store(t), .config = s->config, .parameters = &set, .batch = s->batch}},
        .model_count = 1,
        .class_names = s->class_names,
        .requests = requests,
        .request_count = count,
        .method = method_of(s),
        .title = title,
        .path = path};
    TRY(sheet_job_rows(&job, s->config->null_class ? "none,cfg,ig,ig+cfg" : "none,ig"));
    TRY(sheet_job_draw(&job, events, NULL, NULL));
done:
    return status;
}
