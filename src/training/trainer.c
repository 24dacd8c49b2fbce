// SPDX-License-Identifier: MIT
#include "training/trainer.h"

#include "step_block.h"
#include "core/philox.h"
#include "core/text.h"
#include "graph/compile.h"
#include "training/trainer_internal.h"
#include "training/training_state.h"
#include "vulkan/parameter_memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- graphs ----------------------------------------------------------------------------------------

static gradient_sum sum_of(const trainer *t, uint32_t count) {
    return count < t->o.batch ? GRADIENT_ACCUMULATED : GRADIENT_OF_ONE;
}

graph *trainer_micro_graph(const trainer *t, uint32_t count) {
    const trainer_options *o = &t->o;
    graph *g = graph_new();
    if (!g)
        return NULL;
    graph_recompute(g, o->recompute);
    batch_source source = {.count = count, .ring = BATCH_RING, .label_dropout = o->label_dropout};
    training_batch batch = build_batch(g, &o->model, &source);
    build_micro(g, &o->model, t->layout, o->precision, sum_of(t, count), &o->objective, &batch);
    return g;
}

igvk_status trainer_compile_micro(const trainer *t, uint32_t count, compiled_graph *out) {
    graph *g = trainer_micro_graph(t, count);
    return graph_compile(&g, device_capabilities(t->o.device), NULL, 0, out);
}

static igvk_status compile_update(const trainer *t, compiled_graph *out) {
    graph *g = graph_new();
    if (g)
        build_update(g, t->layout, t->o.precision, sum_of(t, t->micro), t->o.optimizer.bf16);
    return graph_compile(&g, device_capabilities(t->o.device), NULL, 0, out);
}

// The EMA's losses of given images and times, which the host reads.
static igvk_status compile_validation(const trainer *t, training_losses *losses, compiled_graph *out) {
    const model_config *c = &t->o.model;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    tensor_shape image = SHAPE(t->micro, c->channels, c->height, c->width);
    tensor_id seeds = graph_external(g, ROLE_INPUT, "validation.seeds", STORAGE_U32, SHAPE(t->micro, 2));
    training_batch batch = {.x = graph_external(g, ROLE_INPUT, "validation.images", STORAGE_F32, image),
                            .noise = op_normal(g, NO_TENSOR, seeds, STREAM_VALIDATION, image),
                            .t = graph_external(g, ROLE_INPUT, "validation.times", STORAGE_F32, SHAPE(t->micro)),
                            .seeds = seeds};
    if (c->classes)
        batch.labels = graph_external(g, ROLE_INPUT, "validation.labels", STORAGE_U32, SHAPE(t->micro));
    objective_options plain = t->o.objective;
    plain.guided_target = 1;
    *losses = build_losses(g, c, t->layout, SET_EMA, STORAGE_F32, &plain, &batch);
    return graph_compile(&g, device_capabilities(t->o.device), losses->terms, losses->count, out);
}

// ---- what fits -------------------------------------------------------------------------------------

#define USABLE_SHARE 0.9 // of the free memory: drivers and the system need some

static uint64_t resident_bytes(const trainer *t, uint32_t micro) {
    uint64_t images = model_elements(&t->o.model) * micro * 4;
    return training_state_bytes(t->layout, t->o.precision) + (BATCH_RING + 1) * images + t->o.reserve;
}

// What lies in the store is allocated in one piece each; what the plan places and dispatches bind was checked before.
static bool fits_limits(const trainer *t, const compiled_graph *micro) {
    uint64_t limit = device_capabilities(t->o.device)->max_allocation;
    for (uint32_t i = 1; i <= graph_tensor_count(micro->graph); i++)
        if (tensor_of(micro->graph, (tensor_id){i})->role != ROLE_ACTIVATION &&
            tensor_bytes(micro->graph, (tensor_id){i}) > limit)
            return false;
    return true;
}

typedef struct micro_fit {
    uint64_t need, available; // bytes; need 0: beyond a limit of the device
    bool fits;
} micro_fit;

// Plans the micro program for `count` images at once; *micro is compiled where it fits, else empty.
static igvk_status fit_micro(const trainer *t, uint32_t count, compiled_graph *micro, micro_fit *fit) {
    *fit = (micro_fit){.available = (uint64_t)((double)device_memory_free(t->o.device) * USABLE_SHARE)};
    igvk_status status = trainer_compile_micro(t, count, micro);
    if (status == IGVK_ERROR_DEVICE_MEMORY && count > 1)
        return IGVK_OK;
    if (status != IGVK_OK)
        return status;
    fit->need = resident_bytes(t, count) + micro->plan.peak;
    fit->fits = fits_limits(t, micro) && fit->need <= fit->available;
    if (!fit->fits)
        compiled_graph_free(micro);
    return IGVK_OK;
}

// The largest divisor of the batch, at most `most`, whose plan fits; keeps that plan. *count is 0 where none does.
static igvk_status largest_micro(const trainer *t, uint32_t most, uint32_t *count, compiled_graph *micro,
                                 micro_fit *fit) {
    for (*count = most; *count >= 1; (*count)--) {
        igvk_status status = t->o.batch % *count ? IGVK_OK : fit_micro(t, *count, micro, fit);
        if (status != IGVK_OK || (t->o.batch % *count == 0 && fit->fits))
            return status;
    }
    return IGVK_OK;
}

// Not even one image fits: whether it would if blocks were computed again is found by planning that.
static igvk_status refuse_memory(trainer *t, const micro_fit *one) {
    igvk_status status = IGVK_OK;
    char need[32], unused[32], way_out[96] = "";
    compiled_graph micro = {0};
    micro_fit again = {0};
    if (!t->o.recompute) {
        t->o.recompute = true;
        TRY(fit_micro(t, 1, &micro, &again));
        if (again.fits)
            snprintf(way_out, sizeof way_out, "give --recompute, with which it takes %s, or ",
                     format_bytes(need, again.need));
    }
    status = fail(IGVK_ERROR_DEVICE_MEMORY,
                  "training needs %s of device memory with one image at a time, %s are free: %schoose a smaller model "
                  "or image size, or another --device",
                  format_bytes(need, one->need), format_bytes(unused, one->available), way_out);
done:
    compiled_graph_free(&micro);
    return status;
}

// --micro-batch says how many, else the most that fit.
static igvk_status choose_micro(trainer *t, compiled_graph *micro) {
    igvk_status status = IGVK_OK;
    micro_fit fit = {0};
    uint32_t fixed = t->o.micro_batch, largest = 0;
    if (fixed) {
        TRY(fit_micro(t, fixed, micro, &fit));
        largest = fit.fits ? fixed : 0;
    }
    if (!largest)
        TRY(largest_micro(t, fixed ? fixed - 1 : t->o.batch, &largest, micro, &fit));
    if (!largest) {
        status = refuse_memory(t, &fit);
        goto done;
    }
    if (fixed && largest != fixed)
        THROW(IGVK_ERROR_DEVICE_MEMORY,
              "--micro-batch %u does not fit the device: %u is the most that do%s; leave it away to take the most that "
              "fit then",
              fixed, largest, t->o.recompute ? "" : ", without --recompute");
    t->micro = largest;
done:
    return status;
}

// ---- making and unmaking ---------------------------------------------------------------------------

static igvk_status add_memory(trainer *t) {
    igvk_status status = IGVK_OK;
    uint64_t images = model_elements(&t->o.model) * t->micro * 4;
    TRY(training_state_add(t->store, t->layout, t->o.precision));
    TRY(store_add(t->store, "training.images", BATCH_RING * images, STORE_RING));
    TRY(store_add(t->store, "validation.images", images, STORE_DEVICE));
    TRY(store_add(t->store, "validation.times", (uint64_t)t->micro * 4, STORE_DEVICE));
    TRY(store_add(t->store, "validation.seeds", (uint64_t)t->micro * 8, STORE_DEVICE));
    if (t->o.model.classes) {
        TRY(store_add(t->store, "training.labels", (uint64_t)BATCH_RING * t->micro * 4, STORE_RING));
        TRY(store_add(t->store, "validation.labels", (uint64_t)t->micro * 4, STORE_DEVICE));
    }
done:
    return status;
}

static igvk_status record(trainer *t, const compiled_graph *micro) {
    igvk_status status = IGVK_OK;
    compiled_graph update = {0};
    device *d = t->o.device;
    TRY(compile_update(t, &update));
    TRY(compile_validation(t, &t->validation_losses, &t->validation));
    TRY(workspace_create(d, &t->workspace));
    TRY(workspace_reserve(t->workspace, &micro->plan));
    TRY(workspace_reserve(t->workspace, &update.plan));
    TRY(workspace_reserve(t->workspace, &t->validation.plan));
    TRY(program_record(d, &micro->list, &micro->plan, t->store, t->workspace, NULL, &t->micro_program));
    TRY(program_record(d, &update.list, &update.plan, t->store, t->workspace, NULL, &t->update_program));
done:
    compiled_graph_free(&update);
    return status;
}

static igvk_status check(const trainer_options *o) {
    if (o->batch == 0 || o->micro_batch > o->batch || (o->micro_batch && o->batch % o->micro_batch))
        return fail(IGVK_ERROR_INVALID, "--micro-batch %u does not divide --batch %u", o->micro_batch, o->batch);
    if (o->label_dropout > 0 && o->model.classes && !o->model.null_class)
        return fail(IGVK_ERROR_INVALID, "--label-dropout %g needs a model with a no-class row: this one has none, give --label-dropout 0", o->label_dropout);
    if (o->model.head_after == 0)
        return fail(IGVK_ERROR_INVALID, "a model without an auxiliary head cannot be trained: name its block by "
                                        "--head-after");
    if (!model_objective_for(&o->model, &o->objective))
        return fail(IGVK_ERROR_INVALID, "models of kind %s are sampled, not trained, by this version", o->model.kind);
    return model_config_check(&o->model);
}

static igvk_status make_layout(trainer *t) {
    t->layout = training_layout_create(t->o.device, t->o.optimizer.kind);
    if (!t->layout)
        return fail_memory("the parameter layout", 0);
    if (t->o.objective.head_only)
        parameter_layout_keep(t->layout, SET_MODEL, model_is_head);
    model_kind_find(t->o.model.kind)->parameters(&t->o.model, t->layout);
    return parameter_layout_check(t->layout);
}

igvk_status trainer_create(const trainer_options *o, trainer **out) {
    igvk_status status = IGVK_OK;
    compiled_graph micro = {0};
    trainer *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t)
        return fail_memory("a trainer", sizeof *t);
    t->o = *o;
    TRY(check(o));
    TRY(make_layout(t));
    TRY(choose_micro(t, &micro));
    TRY(store_create(o->device, &t->store));
    TRY(add_memory(t));
    TRY(record(t, &micro));
    *out = t;
    t = NULL;
done:
    compiled_graph_free(&micro);
    trainer_destroy(&t);
    return status;
}

void trainer_destroy(trainer **t) {
    if (!*t)
        return;
    program_destroy(&(*t)->micro_program);
    program_destroy(&(*t)->update_program);
    program_destroy(&(*t)->validation_program);
    compiled_graph_free(&(*t)->validation);
    workspace_destroy(&(*t)->workspace);
    store_destroy(&(*t)->store);
    parameter_layout_destroy(&(*t)->layout);
    free(*t);
    *t = NULL;
}

const parameter_layout *trainer_layout(const trainer *t) {
    return t->layout;
}
store *trainer_store(trainer *t) {
    return t->store;
}
uint32_t trainer_micro_batch(const trainer *t) {
    return t->micro;
}

igvk_status trainer_initialise(trainer *t, const parameter_source *source) {
    igvk_status status = IGVK_OK;
    const parameter_source official = {.read = parameter_initialise, .user = &t->o.seed};
    TRY(parameter_memory_fill(t->store, &(parameter_set){.layout = t->layout, .arena_name = SET_MODEL},
                              source ? source : &official));
    TRY(parameter_memory_copy(t->store, t->layout, SET_MODEL, SET_EMA));
done:
    return status;
}

igvk_status trainer_read_scale(trainer *t, loss_scale *out) {
    return training_read_scale(t->store, out);
}

igvk_status trainer_write_scale(trainer *t, const loss_scale *scale) {
    t->skipped = scale->skipped;
    return training_write_scale(t->store, scale);
}

// ---- stepping --------------------------------------------------------------------------------------

// Metrics of the oldest pending run go into its step's sums; an update run completes the step.
static void absorb(trainer *t) {
    pending_run p = t->pending[t->pending_first % PENDING_MAX];
    const float *m = training_metrics(t->store, p.run);
    t->pending_first++;
    if (!p.update) {
        double share = (double)t->micro / t->o.batch;
        t->sum.loss += share * m[METRIC_LOSS];
        for (uint32_t k = 0; k < model_objective_for(&t->o.model, &t->o.objective)->term_count; k++)
            t->sum.terms[k] += share * m[METRIC_TERMS + k];
        return;
    }
    t->sum.step = p.step;
    t->sum.gradient_norm = m[METRIC_GRADIENT_NORM];
    t->sum.finite = m[METRIC_FINITE] == 1;
    t->sum.loss_scale = m[METRIC_SCALE];
    t->sum.skipped = (uint64_t)m[METRIC_SKIPPED] > t->skipped;
    t->skipped = (uint64_t)m[METRIC_SKIPPED];
    t->results[t->result_end++ % RESULT_MAX] = t->sum;
    memset(&t->sum, 0, sizeof t->sum);
}

// Waits until at most `most` runs are unfinished.
static igvk_status drain(trainer *t, uint32_t most) {
    igvk_status status = IGVK_OK;
    while (t->pending_end - t->pending_first > most) {
        TRY(device_wait_for(t->o.device, t->pending[t->pending_first % PENDING_MAX].ticket));
        absorb(t);
    }
done:
    return status;
}

static igvk_status submit(trainer *t, program *p, uint64_t step, bool update) {
    igvk_status status = IGVK_OK;
    pending_run run = {.run = t->run, .step = step, .update = update};
    TRY(program_run(p, &run.ticket));
    t->run++;
    t->pending[t->pending_end++ % PENDING_MAX] = run;
    TRY(drain(t, PROGRAM_IN_FLIGHT));
done:
    return status;
}

// Fills the step block and the ring slots of the next run for the micro-batch that starts at sample `first`.
igvk_status trainer_fill_micro(trainer *t, uint64_t step, uint32_t first, batch_reader read, void *user) {
    uint32_t *words = training_step_block(t->store, t->run), slot = t->run % BATCH_RING;
    uint64_t elements = model_elements(&t->o.model) * t->micro;
    float share = (float)t->micro / (float)t->o.batch;
    words[STEP_INDEX] = (uint32_t)step;
    words[STEP_SEED_LOW] = (uint32_t)t->o.seed;
    words[STEP_SEED_HIGH] = (uint32_t)(t->o.seed >> 32);
    words[STEP_ITEM] = first;
    memcpy(&words[STEP_LOSS_SCALE], &share, sizeof share);
    float *images = (float *)store_map(t->store, "training.images") + slot * elements;
    uint32_t *labels = store_map(t->store, "training.labels");
    return read(user, step, first, t->micro, images, labels ? labels + slot * t->micro : NULL);
}

igvk_status trainer_step(trainer *t, uint64_t step, batch_reader read, void *user) {
    igvk_status status = IGVK_OK;
    if (!t->copied)
        TRY(training_copy_model(t->o.device, t->store, t->layout, t->o.precision));
    t->copied = true;
    for (uint32_t first = 0; first < t->o.batch; first += t->micro) {
        TRY(trainer_fill_micro(t, step, first, read, user));
        TRY(submit(t, t->micro_program, step, false));
    }
    uint32_t *words = training_step_block(t->store, t->run);
    words[STEP_INDEX] = (uint32_t)step;
    optimizer_words(&t->o.optimizer, step, t->skipped, words);
    TRY(submit(t, t->update_program, step, true));
done:
    return status;
}

bool trainer_take(trainer *t, training_result *out) {
    if (t->result_first == t->result_end)
        return false;
    *out = t->results[t->result_first++ % RESULT_MAX];
    return true;
}

igvk_status trainer_finish(trainer *t) {
    igvk_status status = drain(t, 0);
    return status == IGVK_OK ? device_wait(t->o.device) : status;
}

// ---- validation and diagnosis ----------------------------------------------------------------------

// In the unit of the model's times.
static igvk_status write_times(trainer *t, const validation_batch *b) {
    const uint32_t steps = model_objective_for(&t->o.model, &t->o.objective)->time_steps;
    float *times = malloc((uint64_t)b->count * sizeof *times);
    if (!times)
        return fail_memory("validation times", (uint64_t)b->count * sizeof *times);
    for (uint32_t i = 0; i < b->count; i++)
        times[i] = steps ? floorf(b->times[i] * (float)steps) : b->times[i];
    igvk_status status = store_write(t->store, "validation.times", 0, times, (uint64_t)b->count * 4);
    free(times);
    return status;
}

igvk_status trainer_validate(trainer *t, const validation_batch *b, float *terms) {
    igvk_status status = IGVK_OK;
    const uint64_t count = b->count;
    float *losses = calloc(t->micro, sizeof *losses);
    if (!losses)
        return fail_memory("validation losses", (uint64_t)t->micro * sizeof *losses);
    TRY(trainer_finish(t));
    // Not before it is asked for: kernels take drivers seconds and memory, and many runs validate late or never.
    if (!t->validation_program)
        TRY(program_record(t->o.device, &t->validation.list, &t->validation.plan, t->store, t->workspace, NULL,
                           &t->validation_program));
    TRY(store_write(t->store, "validation.images", 0, b->images, count * model_elements(&t->o.model) * 4));
    TRY(write_times(t, b));
    TRY(store_write(t->store, "validation.seeds", 0, b->seeds, count * 8));
    if (t->o.model.classes)
        TRY(store_write(t->store, "validation.labels", 0, b->labels, count * 4));
    TRY(program_run(t->validation_program, NULL));
    TRY(device_wait(t->o.device));
    for (uint32_t k = 0; k < t->validation_losses.count; k++) {
        TRY(program_read(t->validation_program, t->validation_losses.terms[k], losses, (uint64_t)t->micro * 4));
        memcpy(terms + k * count, losses, count * sizeof *losses);
    }
done:
    free(losses);
    return status;
}
