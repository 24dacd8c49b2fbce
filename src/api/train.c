// SPDX-License-Identifier: MIT
// igvk_train: options to a run folder and the training loop.
#include "api/device_choice.h"
#include "api/loaded_model.h"
#include "api/memory_plan.h"
#include "api/options.h"
#include "api/train_config.h"
#include "api/train_optimizer.h"
#include "api/train_sheet.h"
#include "api/train_start.h"
#include "core/file.h"
#include "training/loop.h"
#include "training/run_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct training_job {
    igvk_train_options o; // resolved: absolute paths
    const igvk_events *events;
    const char *run;
    device *device;
    dataset *data;
    json_t *class_names;
    char *config_json, *names_json, *resume_from;
    bool made_run; // the run folder is this job's own
    loop_options loop;
    train_sheet sheet;
    train_start start; // with --init, on a fresh run
} training_job;

// ---- resolving -------------------------------------------------------------------------------------

static igvk_status make_absolute(char path[IGVK_TEXT]) {
    char *full = path[0] ? realpath(path, NULL) : NULL;
    if (full && strlen(full) < IGVK_TEXT)
        strcpy(path, full);
    free(full);
    return IGVK_OK; // a path that does not resolve is refused where it is opened
}

static igvk_status check_new_run(const char *run, bool plan) {
    char **names = NULL;
    size_t count = 0;
    if (plan)
        return IGVK_OK;
    if (!run[0])
        return fail(IGVK_ERROR_INVALID, "--out: name the run folder to make, or --resume RUN to go on");
    if (!path_exists(run))
        return IGVK_OK;
    igvk_status status = folder_list(run, &names, &count);
    folder_list_free(&names, count);
    if (status == IGVK_OK && count)
        status = fail(IGVK_ERROR_INVALID, "%s: exists and is not empty: name another --out, or --resume %s to go on",
                      run, run);
    return status;
}

static igvk_status resolve(training_job *j, const igvk_train_options *o) {
    igvk_status status = IGVK_OK;
    j->o = *o;
    TRY(options_check(igvk_train_option_list(), o));
    if (!o->data[0])
        THROW(IGVK_ERROR_INVALID, "--data: name a dataset folder (igvk data makes one)");
    TRY(make_absolute(j->o.data));
    TRY(make_absolute(j->o.init));
    if (o->resume[0]) {
        TRY(train_check_resumed(o, j->events));
        TRY(run_newest_checkpoint(o->resume, &j->resume_from));
        j->run = j->o.resume;
    } else {
        TRY(check_new_run(o->out, o->plan));
        j->run = j->o.out;
    }
    if (j->o.micro_batch && j->o.batch % j->o.micro_batch)
        THROW(IGVK_ERROR_INVALID, "--micro-batch %llu does not divide --batch %llu",
              (unsigned long long)j->o.micro_batch, (unsigned long long)j->o.batch);
    if (o->train_head_only && !o->init[0])
        THROW(IGVK_ERROR_INVALID, "--train-head-only needs --init PATH, the model that gets the head");
    if (o->train_head_only && o->guided_target != 1)
        THROW(IGVK_ERROR_INVALID,
              "--guided-target is what the final output learns, which --train-head-only leaves as it is");
    if (!(o->guided_low <= o->guided_high))
        THROW(IGVK_ERROR_INVALID, "--guided-low %g is above --guided-high %g", o->guided_low, o->guided_high);
done:
    return status;
}

static igvk_status name_classes(training_job *j, const dataset_info *info) {
    j->class_names = json_array();
    for (uint32_t k = 0; k < info->classes; k++)
        if (json_array_append_new(j->class_names, json_string(info->class_names[k])) != 0)
            return fail_memory("class names", info->classes);
    j->names_json = json_dumps(j->class_names, JSON_COMPACT);
    return j->names_json ? IGVK_OK : fail_memory("class names", info->classes);
}

static void fill_trainer_options(const training_job *j, trainer_options *t) {
    const igvk_train_options *o = &j->o;
    t->device = j->device;
    t->objective = (objective_options){.head_only = o->train_head_only,
                                       .auxiliary_weight = o->auxiliary_weight,
                                       .guided_target = o->guided_target,
                                       .guided_low = o->guided_low,
                                       .guided_high = o->guided_high,
                                       .times = o->times ? TIME_LOGNORMAL : TIME_UNIFORM};
    t->optimizer = train_optimizer_settings(o);
    t->label_dropout = t->model.classes ? o->label_dropout : 0;
    t->batch = (uint32_t)o->batch;
    t->micro_batch = (uint32_t)o->micro_batch;
    t->precision = precision_for(j->device, o->precision, j->events);
    t->recompute = o->recompute;
    t->seed = o->seed;
}

// ---- sample sheets ---------------------------------------------------------------------------------

static void message(const training_job *j, const char *text) {
    if (j->events && j->events->message)
        j->events->message(j->events->user, text);
}

static igvk_status draw_sheet(void *user, trainer *t, uint64_t step, const char *path, const igvk_events *events) {
    const training_job *j = user;
    return train_sheet_draw(&j->sheet, t, step, path, events);
}

// Sheets only watch a run: where they cannot be made it goes without.
static void plan_sheets(training_job *j, const dataset_info *info) {
    loop_options *l = &j->loop;
    char text[IGVK_TEXT];
    if (!j->o.sheet_every || (info->channels != 1 && info->channels != 3))
        return;
    j->sheet = (train_sheet){.device = j->device,
                             .config = &l->trainer.model,
                             .class_names = j->class_names,
                             .steps = (uint32_t)j->o.sheet_steps,
                             .ig_scale = j->o.sheet_ig_scale,
                             .cfg_scale = j->o.sheet_cfg_scale};
    if (train_sheet_plan(&j->sheet) != IGVK_OK) {
        snprintf(text, sizeof text, "note: no sample sheets: %s", igvk_error_text());
        message(j, text);
        return;
    }
    l->trainer.reserve = j->sheet.bytes;
    l->sheet = draw_sheet;
    l->sheet_user = j;
}

// ---- running ---------------------------------------------------------------------------------------

static igvk_status make_run_folder(training_job *j) {
    igvk_status status = IGVK_OK;
    char *samples = path_join(j->run, "samples");
    if (!samples)
        return fail_memory("a path", 0);
    j->made_run = !j->resume_from;
    TRY(folder_create(samples));
done:
    free(samples);
    return status;
}

// A resumed run has its model, and the weights it started from may be gone.
static igvk_status choose_model(training_job *j, const dataset_info *info) {
    igvk_status status = IGVK_OK;
    const igvk_train_options *o = &j->o;
    model_config *model = &j->loop.trainer.model;
    if (j->resume_from) {
        TRY(checkpoint_read_model(j->resume_from, model));
        if (model->channels != info->channels || model->height != info->height || model->width != info->width ||
            model->classes != info->classes)
            THROW(IGVK_ERROR_INVALID, "the dataset is not the one that the run was started with: give the same --data");
    } else if (o->init[0]) {
        TRY(train_start_open(o, info, j->events, &j->start));
        *model = j->start.model;
        j->loop.start = train_start_source;
        j->loop.start_user = &j->start;
    } else {
        TRY(train_model_config(o, info->channels, info->height, info->width, info->classes, model));
    }
done:
    return status;
}

static igvk_status prepare(training_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_train_options *o = &j->o;
    loop_options *l = &j->loop;
    TRY(dataset_open(o->data, &j->data));
    const dataset_info *info = dataset_describe(j->data);
    TRY(choose_model(j, info));
    train_resolve_optimizer(&l->trainer.model, &j->o);
    TRY(name_classes(j, info));
    TRY(device_open(DEVICE_OPTIONS_OF(o, o->plan), &j->device));
    fill_trainer_options(j, &l->trainer);
    j->config_json = train_config_json(o, &l->trainer.model);
    if (!j->config_json) {
        status = fail_memory("the configuration", 0);
        goto done;
    }
    if (!o->plan)
        TRY(make_run_folder(j));
    l->data = j->data;
    l->run = j->run;
    l->resume_from = j->resume_from;
    l->texts = (checkpoint_texts){.options = j->config_json, .class_names = j->names_json};
    l->steps = o->steps;
    l->time = o->time;
    l->validate_every = o->validate_every;
    l->sheet_every = o->sheet_every;
    l->save_every = o->save_every;
    l->keep = o->keep;
    l->log_every = o->log_every;
    l->save_interval = o->save_interval;
    l->events = j->events;
    plan_sheets(j, info);
done:
    return status;
}

// A new run that failed before its first checkpoint leaves nothing behind, so that the same command can be given again.
static void remove_started_run(const training_job *j) {
    static const char *const made[] = {"config.json", "log.jsonl", "samples", ""};
    char *kept_error = strdup(igvk_error_text());
    char *checkpoint = NULL;
    if (run_newest_checkpoint(j->run, &checkpoint) != IGVK_OK)
        for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
            char *path = path_join(j->run, made[i]);
            if (path)
                remove(path); // a folder goes only where it is empty
            free(path);
        }
    free(checkpoint);
    if (kept_error)
        fail(IGVK_ERROR_INTERNAL, "%s", kept_error); // the text alone: the caller has the status
    free(kept_error);
}

// A sheet's memory comes and goes between steps, beside all else.
static igvk_status plan_memory(training_job *j) {
    igvk_status status = IGVK_OK;
    uint32_t micro = 0;
    char text[128];
    TRY(training_loop_plan(&j->loop, &micro));
    snprintf(text, sizeof text, "batch %llu, %u at once", (unsigned long long)j->o.batch, micro);
    message(j, text);
    memory_plan_tell(j->device, true, j->sheet.bytes, j->events);
done:
    return status;
}

igvk_status igvk_train(const igvk_train_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    training_job *j = calloc(1, sizeof *j);
    if (!j)
        return fail_memory("a run", sizeof *j);
    j->events = events;
    TRY(resolve(j, o));
    TRY(prepare(j));
    TRY(o->plan ? plan_memory(j) : training_loop(&j->loop));
done:
    if (status != IGVK_OK && j->made_run)
        remove_started_run(j);
    train_start_close(&j->start);
    device_close(&j->device);
    dataset_close(&j->data);
    json_decref(j->class_names);
    free(j->config_json);
    free(j->names_json);
    free(j->resume_from);
    free(j);
    return status;
}
