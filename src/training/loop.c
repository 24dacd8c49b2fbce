// SPDX-License-Identifier: MIT
#include "training/loop.h"

#include "core/clock.h"
#include "core/file.h"
#include "core/philox.h"
#include "core/text.h"
#include "training/run_folder.h"
#include "training/validation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_RESERVE 2.0   // seconds kept for the last checkpoint of a --time run, at least
#define RATE_WINDOW 0.5    // seconds
#define RATE_SMOOTHING 0.8 // weight of the windows before

typedef struct loop {
    const loop_options *o;
    trainer *trainer;
    run_log *log;
    validation *validation;
    checkpoint_counters counters; // step: the next to submit; seconds: of earlier sessions
    double start, last_save, save_seconds;
    double rate;         // images a second, smoothed over windows
    double window_start; // results come in bursts: a window is at least RATE_WINDOW long
    uint64_t window_steps;
    bool warm;                                // a first result has come
    double sheet_seconds, validation_seconds; // what the last took
    bool interrupted;                         // the user asked to stop
    uint64_t saved_step;
} loop;

static void message(const loop *l, const char *format, ...) PRINTF_LIKE(2, 3);
static void message(const loop *l, const char *format, ...) {
    const igvk_events *e = l->o->events;
    if (!e || !e->message)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    e->message(e->user, text);
}

// Time spent on something else than steps does not count.
static void restart_window(loop *l) {
    l->window_start = clock_seconds();
    l->window_steps = 0;
}

static double elapsed(const loop *l) {
    return clock_seconds() - l->start;
}

// ---- data ------------------------------------------------------------------------------------------

// Sample `position` of the run, counted over all epochs.
static igvk_status read_sample(loop *l, uint64_t step, uint32_t item, float *image, uint32_t *label) {
    const dataset_info *info = dataset_describe(l->o->data);
    uint64_t seed = l->o->trainer.seed, training = info->count - info->held_out;
    uint64_t position = step * l->o->trainer.batch + item;
    uint64_t index = dataset_order(seed, (uint32_t)(position / training), position % training, training);
    const dataset_draw draw = {
        .mirror = info->flips && random_uniform(seed, STREAM_FLIP, (uint32_t)step, item, 0) < 0.5,
        .seed = seed,
        .step = (uint32_t)step,
        .item = item,
    };
    return dataset_read(l->o->data, index, &draw, image, label);
}

static igvk_status read_batch(void *user, uint64_t step, uint32_t first, uint32_t count, float *images,
                              uint32_t *labels) {
    loop *l = user;
    igvk_status status = IGVK_OK;
    uint64_t elements = model_elements(&l->o->trainer.model);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t label = 0;
        TRY(read_sample(l, step, first + i, images + i * elements, &label));
        if (labels)
            labels[i] = label;
    }
done:
    return status;
}

// ---- saving ----------------------------------------------------------------------------------------

static igvk_status check_disk(const loop *l, uint64_t files) {
    uint64_t available = 0, need = files * checkpoint_bytes(trainer_layout(l->trainer));
    char a[32], b[32];
    igvk_status status = disk_free(l->o->run, &available);
    if (status == IGVK_OK && available < need)
        status = fail(IGVK_ERROR_IO, "%s: %llu checkpoints need %s, %s are free on the disk: make room or lower --keep",
                      l->o->run, (unsigned long long)files, format_bytes(a, need), format_bytes(b, available));
    return status;
}

static igvk_status save(loop *l) {
    igvk_status status = IGVK_OK;
    double begin = clock_seconds();
    char *path = run_checkpoint_path(l->o->run, l->counters.step);
    checkpoint_counters counters = l->counters;
    counters.seconds += elapsed(l);
    if (!path)
        return fail_memory("a path", 0);
    TRY(trainer_finish(l->trainer));
    if (training_scales_loss(l->o->trainer.precision))
        TRY(trainer_read_scale(l->trainer, &counters.scale));
    TRY(check_disk(l, 1));
    TRY(checkpoint_save(l->trainer, &l->o->trainer.model, &counters, &l->o->texts, path));
    TRY(run_prune(l->o->run, l->o->keep ? l->o->keep : 1));
    l->saved_step = l->counters.step;
    l->last_save = clock_seconds();
    restart_window(l);
    l->save_seconds = l->last_save - begin;
done:
    free(path);
    return status;
}

// ---- results ---------------------------------------------------------------------------------------

static double seconds_left(const loop *l, uint64_t done) {
    const loop_options *o = l->o;
    double by_steps = o->steps && l->rate > 0 ? (double)(o->steps - done) * o->trainer.batch / l->rate : -1;
    double by_time = o->time > 0 ? o->time - elapsed(l) : -1;
    if (by_steps >= 0 && by_time >= 0)
        return by_steps < by_time ? by_steps : by_time;
    return by_steps >= 0 ? by_steps : by_time;
}

static void update_rate(loop *l) {
    if (!l->warm) { // drivers compile kernels during the first step: it tells nothing of the rate
        l->warm = true;
        restart_window(l);
        return;
    }
    double now = clock_seconds(), window = now - l->window_start;
    l->window_steps++;
    if (window < RATE_WINDOW)
        return;
    double rate = (double)(l->window_steps * l->o->trainer.batch) / window;
    l->rate = l->rate > 0 ? RATE_SMOOTHING * l->rate + (1 - RATE_SMOOTHING) * rate : rate;
    l->window_start = now;
    l->window_steps = 0;
}

static void report(loop *l, const training_result *r) {
    const igvk_events *e = l->o->events;
    update_rate(l);
    if (!e || !e->progress)
        return;
    igvk_progress p = {.what = "train",
                       .done = r->step + 1,
                       .total = l->o->steps,
                       .seconds = elapsed(l),
                       .seconds_left = seconds_left(l, r->step + 1),
                       .rate = l->rate,
                       .loss = r->loss,
                       .gradient_norm = r->gradient_norm,
                       .learning_rate = optimizer_rate(&l->o->trainer.optimizer, r->step),
                       .device_bytes = device_memory_used(l->o->trainer.device)};
    const model_objective *objective = model_objective_for(&l->o->trainer.model, &l->o->trainer.objective);
    for (p.term_count = 0; p.term_count < objective->term_count && p.term_count < IGVK_LOSS_TERMS; p.term_count++)
        p.terms[p.term_count] = (igvk_loss_term){objective->terms[p.term_count].name, r->terms[p.term_count]};
    e->progress(e->user, &p);
}

static igvk_status write_log(loop *l, const training_result *r) {
    if (!l->o->log_every || (r->step + 1) % l->o->log_every)
        return IGVK_OK;
    const optimizer_settings *s = &l->o->trainer.optimizer;
    const model_objective *objective = model_objective_for(&l->o->trainer.model, &l->o->trainer.objective);
    text_buffer terms = {0};
    for (uint32_t k = 0; k < objective->term_count; k++)
        text_append(&terms, "\"loss_%s\": %.9g, ", objective->terms[k].name, r->terms[k]);
    if (training_scales_loss(l->o->trainer.precision))
        text_append(&terms, "\"loss_scale\": %.9g, ", r->loss_scale);
    if (r->skipped)
        text_append(&terms, "\"skipped\": true, ");
    else
        text_append(&terms, "\"gradient_norm\": %.9g, ", r->gradient_norm);
    igvk_status status = run_log_line(
        l->log,
        "{\"step\": %llu, \"loss\": %.9g, %s\"learning_rate\": %.9g, "
        "\"ema_decay\": %.9g, \"images_per_second\": %.1f, \"seconds\": %.3f}",
        (unsigned long long)r->step, r->loss, terms.text ? terms.text : "", optimizer_rate(s, r->step),
        optimizer_ema_decay(s, r->step), l->rate, l->counters.seconds + elapsed(l));
    text_free(&terms);
    return status;
}

// What became non-finite first, for people; never a reason to lose the state.
static void find_non_finite(loop *l, uint64_t step, char *out, size_t size) {
    if (trainer_find_non_finite(l->trainer, step, read_batch, l, out, size) != IGVK_OK)
        snprintf(out, size, "a tensor that could not be looked for: %s", igvk_error_text());
    else if (!out[0])
        snprintf(out, size, "the norm");
}

// The update of a non-finite step was held back on the device, and all after it: the state before it is saved.
static igvk_status stop_not_finite(loop *l, const training_result *r) {
    igvk_status status = IGVK_OK;
    char where[512] = "";
    TRY(trainer_finish(l->trainer));
    l->counters.step = r->step;
    TRY(save(l));
    find_non_finite(l, r->step, where, sizeof where);
    status =
        fail(IGVK_ERROR_NOT_FINITE,
             "step %llu: the gradient is not finite (first in %s); the state before it is saved: --resume it with a "
             "lower --learning-rate or --clip",
             (unsigned long long)r->step, where);
done:
    return status;
}

static igvk_status take_results(loop *l) {
    igvk_status status = IGVK_OK;
    training_result r;
    while (trainer_take(l->trainer, &r)) {
        if (!r.finite)
            return stop_not_finite(l, &r);
        if (r.skipped)
            message(l, "step %llu skipped: its gradient overflowed at loss scale %g, which is halved",
                    (unsigned long long)r.step + 1, r.loss_scale);
        report(l, &r);
        TRY(write_log(l, &r));
    }
done:
    return status;
}

// ---- between steps ---------------------------------------------------------------------------------

static bool every(uint64_t interval, uint64_t step) {
    return interval && step % interval == 0;
}

// All submitted steps done and their results taken.
static igvk_status settle(loop *l) {
    igvk_status status = trainer_finish(l->trainer);
    return status == IGVK_OK ? take_results(l) : status;
}

static igvk_status report_validation(loop *l, const validation_result *r) {
    igvk_status status = IGVK_OK;
    const model_objective *objective = model_objective_for(&l->o->trainer.model, &l->o->trainer.objective);
    text_buffer line = {0}, told = {0};
    for (uint32_t k = 0; k < objective->term_count; k++) {
        text_append(&line, "\"validation_%s\": %.9g, ", objective->terms[k].name, r->terms[k]);
        text_append(&told, "%s %.4f, ", k ? objective->terms[k].name : "loss", r->terms[k]);
    }
    text_append(&line, "\"by_time\": [");
    for (int i = 0; i < VALIDATION_BINS; i++)
        text_append(&line, "%s%.6g", i ? ", " : "", r->bins[i]);
    TRY(run_log_line(l->log, "{\"step\": %llu, %s]}", (unsigned long long)(l->counters.step - 1),
                     line.text ? line.text : ""));
    if (told.length > 2)
        told.text[told.length - 2] = 0;
    message(l, "step %llu: validation %s (EMA, %u held-out images)", (unsigned long long)l->counters.step,
            told.text ? told.text : "", r->images);
done:
    text_free(&line);
    text_free(&told);
    return status;
}

static igvk_status validate(loop *l) {
    igvk_status status = IGVK_OK;
    double begin = clock_seconds();
    validation_result r;
    if (!l->validation)
        return IGVK_OK;
    TRY(settle(l));
    TRY(validation_run(l->validation, l->trainer, &r));
    TRY(report_validation(l, &r));
    l->validation_seconds = clock_seconds() - begin;
    restart_window(l);
done:
    return status;
}

static bool asked_to_stop(loop *l) {
    const igvk_events *e = l->o->events;
    l->interrupted = l->interrupted || (e && e->stop && e->stop(e->user));
    return l->interrupted;
}

// Seconds that `next` still may take are kept for the last checkpoint.
static bool time_is_up(const loop *l, double next) {
    double save = 2 * l->save_seconds > TIME_RESERVE ? 2 * l->save_seconds : TIME_RESERVE;
    return l->o->time > 0 && elapsed(l) + next + save >= l->o->time;
}

static bool stop_sheet(void *user) {
    loop *l = user;
    return asked_to_stop(l) || time_is_up(l, 0);
}

// A sheet only watches: no fault of its own ends the run.
static igvk_status draw_sheet(loop *l) {
    igvk_status status = IGVK_OK;
    double begin = clock_seconds();
    igvk_events events = {.user = l, .stop = stop_sheet};
    char *path = run_sheet_path(l->o->run, l->counters.step);
    if (!path)
        return fail_memory("a path", 0);
    TRY(settle(l));
    status = l->o->sheet(l->o->sheet_user, l->trainer, l->counters.step, path, &events);
    l->sheet_seconds = clock_seconds() - begin;
    restart_window(l);
    if (status != IGVK_OK && status != IGVK_ERROR_DEVICE_LOST) {
        message(l, "note: no sample sheet of step %llu: %s", (unsigned long long)l->counters.step, igvk_error_text());
        status = IGVK_OK;
    }
done:
    free(path);
    return status;
}

static igvk_status between_steps(loop *l) {
    igvk_status status = IGVK_OK;
    const loop_options *o = l->o;
    uint64_t step = l->counters.step;
    TRY(take_results(l));
    if (every(o->validate_every, step))
        TRY(validate(l));
    if (o->sheet && every(o->sheet_every, step))
        TRY(draw_sheet(l));
    if (every(o->save_every, step) || (o->save_interval > 0 && clock_seconds() - l->last_save >= o->save_interval)) {
        TRY(settle(l)); // a step in flight may turn out not finite: what is held back is no state of this step
        TRY(save(l));
    }
done:
    return status;
}

// What the next step takes, with what is due after it.
static double next_seconds(const loop *l) {
    uint64_t step = l->counters.step + 1;
    double seconds = l->rate > 0 ? 2 * l->o->trainer.batch / l->rate : 0;
    seconds += every(l->o->validate_every, step) ? l->validation_seconds : 0;
    return seconds + (l->o->sheet && every(l->o->sheet_every, step) ? l->sheet_seconds : 0);
}

static igvk_status take_steps(loop *l) {
    igvk_status status = IGVK_OK;
    while (!l->o->steps || l->counters.step < l->o->steps) {
        if (asked_to_stop(l) || time_is_up(l, next_seconds(l)))
            break;
        TRY(trainer_step(l->trainer, l->counters.step, read_batch, l));
        l->counters.step++;
        TRY(between_steps(l));
    }
    TRY(settle(l));
    if (l->saved_step != l->counters.step)
        TRY(save(l));
    if (l->interrupted)
        status = fail(IGVK_INTERRUPTED, "stopped after step %llu; saved in %s", (unsigned long long)l->counters.step,
                      l->o->run);
done:
    return status;
}

// ---- starting --------------------------------------------------------------------------------------

static void describe_kernels(const device *d, char *out, size_t size) {
    const device_facts *f = device_facts_of(d);
    size_t n = (size_t)snprintf(out, size, "%.100s; %.80s;", f->name, f->driver_info);
    for (size_t i = 0; i < f->path_count && n < size; i++)
        if (f->paths[i].enabled)
            n += (size_t)snprintf(out + n, size - n, " %s", f->paths[i].name);
}

static igvk_status resume(loop *l) {
    igvk_status status = IGVK_OK;
    char kernels[sizeof l->counters.kernels];
    describe_kernels(l->o->trainer.device, kernels, sizeof kernels);
    TRY(checkpoint_read_counters(l->o->resume_from, &l->counters));
    TRY(checkpoint_load(l->trainer, l->o->resume_from));
    if (training_scales_loss(l->o->trainer.precision) && l->counters.scale.scale > 0)
        TRY(trainer_write_scale(l->trainer, &l->counters.scale));
    if (strcmp(kernels, l->counters.kernels) != 0)
        message(l, "note: this device or its kernels differ from the run's so far: the bits will, too (was: %s)",
                l->counters.kernels);
    if (strcmp(l->counters.dataset, dataset_describe(l->o->data)->digest) != 0)
        THROW(IGVK_ERROR_INVALID, "the dataset is not the one that the run was started with: give the same --data");
    memcpy(l->counters.kernels, kernels, sizeof kernels);
    message(l, "resuming at step %llu", (unsigned long long)l->counters.step);
done:
    return status;
}

// On a resumed run as many images at once as before, for the same order of sums; fewer where they do not fit.
static igvk_status create_trainer(loop *l) {
    igvk_status status = IGVK_OK;
    trainer_options options = l->o->trainer;
    uint32_t before = 0;
    if (l->o->resume_from) {
        TRY(checkpoint_read_counters(l->o->resume_from, &l->counters));
        before = l->counters.micro_batch;
        if (!options.micro_batch)
            options.micro_batch = before;
    }
    status = trainer_create(&options, &l->trainer);
    if (status == IGVK_ERROR_DEVICE_MEMORY && before && !l->o->trainer.micro_batch) {
        options.micro_batch = 0;
        status = trainer_create(&options, &l->trainer);
    }
    TRY(status);
    if (before && before != trainer_micro_batch(l->trainer))
        message(l,
                "note: %u images at once, %u so far: the bits will differ from those of a run that went on as before",
                trainer_micro_batch(l->trainer), before);
done:
    return status;
}

igvk_status training_loop_plan(const loop_options *o, uint32_t *micro_batch) {
    loop l = {.o = o};
    igvk_status status = create_trainer(&l);
    *micro_batch = status == IGVK_OK ? trainer_micro_batch(l.trainer) : 0;
    trainer_destroy(&l.trainer);
    return status;
}

static igvk_status start_weights(loop *l) {
    igvk_status status = IGVK_OK;
    const loop_options *o = l->o;
    parameter_source source = {0};
    if (o->start)
        TRY(o->start(o->start_user, trainer_layout(l->trainer), &source));
    TRY(trainer_initialise(l->trainer, o->start ? &source : NULL));
done:
    return status;
}

static igvk_status begin(loop *l) {
    igvk_status status = IGVK_OK;
    const loop_options *o = l->o;
    uint64_t files = 0;
    TRY(create_trainer(l));
    TRY(run_remove_leftovers(o->run));
    TRY(run_missing_checkpoints(o->run, o->keep ? o->keep : 1, &files));
    TRY(check_disk(l, files));
    if (o->resume_from) {
        TRY(resume(l));
    } else {
        TRY(start_weights(l));
        describe_kernels(o->trainer.device, l->counters.kernels, sizeof l->counters.kernels);
        strcpy(l->counters.dataset, dataset_describe(o->data)->digest);
    }
    l->counters.micro_batch = trainer_micro_batch(l->trainer);
    l->saved_step = o->resume_from ? l->counters.step : UINT64_MAX;
    if (dataset_describe(o->data)->held_out)
        TRY(validation_create(o->data, &o->trainer.model, &o->trainer.objective, &l->validation));
    TRY(run_log_open(o->run, l->counters.step, &l->log));
    // Only now is it known that the run goes on under these: the next bare --resume shall, too.
    TRY(run_write_config(o->run, o->texts.options));
done:
    return status;
}

igvk_status training_loop(const loop_options *o) {
    igvk_status status = IGVK_OK;
    loop l = {.o = o};
    l.start = l.last_save = clock_seconds();
    TRY(begin(&l));
    message(&l, "%llu parameters, batch %u%s, %u at once",
            (unsigned long long)parameter_elements(trainer_layout(l.trainer)), o->trainer.batch,
            trainer_micro_batch(l.trainer) < o->trainer.batch ? " accumulated" : "", trainer_micro_batch(l.trainer));
    restart_window(&l);
    TRY(take_steps(&l));
done:
    run_log_close(&l.log);
    validation_destroy(&l.validation);
    trainer_destroy(&l.trainer);
    return status;
}
