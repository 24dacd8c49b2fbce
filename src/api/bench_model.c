// SPDX-License-Identifier: MIT
#include "api/bench_internal.h"

#include "api/loaded_model.h"
#include "core/clock.h"
#include "sampling/sampler.h"
#include "training/trainer.h"
#include "vulkan/parameter_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- peaks -----------------------------------------------------------------------------------------

#define PEAK_CHAINS 12 // independent multiply-adds an invocation has in flight (shaders/peak_fma.comp)
#define PEAK_UNROLL 10
#define PEAK_GROUPS 1024
#define PEAK_LOCAL 64

// A dispatch without an operator: peaks are facts of the device, not of a model.
static igvk_status record_single(bench *b, graph *g, const dispatch *d, program **p, compiled_graph *c, workspace **w) {
    igvk_status status = IGVK_OK;
    c->list.graph = g;
    c->list.items = malloc(sizeof *d);
    if (!c->list.items)
        return fail_memory("a dispatch", sizeof *d);
    c->list.items[0] = *d;
    c->list.count = c->list.capacity = 1;
    TRY(memory_plan_make(&c->list,
                         &(plan_options){.alignment = 256, .max_block = device_capabilities(b->device)->max_allocation},
                         &c->plan));
    TRY(workspace_create(b->device, w));
    TRY(workspace_reserve(*w, &c->plan));
    TRY(program_record(b->device, &c->list, &c->plan, b->store, *w, NULL, p));
done:
    return status;
}

static igvk_status time_single(bench *b, graph *g, const dispatch *d, bench_times *times) {
    igvk_status status = IGVK_OK;
    compiled_graph c = {0};
    workspace *w = NULL;
    program *p = NULL;
    TRY(record_single(b, g, d, &p, &c, &w));
    TRY(bench_time_program(b, p, times));
done:
    program_destroy(&p);
    workspace_destroy(&w);
    memory_plan_free(&c.plan);
    dispatch_list_free(&c.list);
    return status;
}

static igvk_status fma_peak(bench *b) {
    igvk_status status = IGVK_OK;
    bool cpu = device_capabilities(b->device)->cpu;
    uint32_t rounds = cpu ? 2000 : 20000;
    bench_times times;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    dispatch d = {.shader = "peak_fma", .local_size = PEAK_LOCAL, .groups = {PEAK_GROUPS, 1, 1}};
    dispatch_bind(&d, graph_scratch(g, STORAGE_F32, SHAPE(PEAK_GROUPS * PEAK_LOCAL)), ACCESS_WRITE);
    dispatch_scalar(&d, rounds);
    TRY(time_single(b, g, &d, &times));
    double flops = 2.0 * PEAK_CHAINS * PEAK_UNROLL * rounds * PEAK_GROUPS * PEAK_LOCAL;
    b->peak_flops = flops / times.best;
    TRY(bench_row(b, "peak: multiply-adds in registers", &times, flops, 0));
done:
    graph_destroy(&g);
    return status;
}

struct copy_job {
    store *store;
    uint64_t bytes;
};

static igvk_status bench_copy(void *user, double *seconds) {
    (void)seconds;
    struct copy_job *j = user;
    return store_copy(j->store, "bench.from", 0, "bench.to", 0, j->bytes);
}

static igvk_status copy_peak(bench *b) {
    igvk_status status = IGVK_OK;
    const uint64_t bytes = 64u << 20;
    bench_times times;
    TRY(store_add(b->store, "bench.from", bytes, STORE_DEVICE));
    TRY(store_add(b->store, "bench.to", bytes, STORE_DEVICE));
    struct copy_job job = {b->store, bytes};
    TRY(bench_time(b, bench_copy, &job, &times));
    b->peak_bytes = 2.0 * (double)bytes / times.best;
    double kept = b->peak_flops;
    b->peak_flops = 0; // a copy's share is of bytes
    status = bench_row(b, "peak: copy, read and written", &times, 0, 2.0 * (double)bytes);
    b->peak_flops = kept;
done:
    return status;
}

igvk_status bench_peaks(bench *b) {
    igvk_status status = fma_peak(b);
    return status == IGVK_OK ? copy_peak(b) : status;
}

// ---- model -----------------------------------------------------------------------------------------

// Multiply-adds of the model's matrix products and attention, counted by lowering its graph.
static double graph_flops(const dispatch_list *l) {
    double sum = 0;
    for (size_t i = 0; i < l->count; i++)
        sum += l->items[i].flops;
    return sum;
}

static igvk_status forward_graph(const model_config *c, const parameter_layout *l, uint32_t batch, graph **out,
                                 tensor_id *keep) {
    graph *g = *out = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    parameter_set set = {.layout = l, .arena_name = SET_MODEL, .role = ROLE_PARAMETER};
    model_inputs in = {.x = graph_external(g, ROLE_INPUT, "validation.images", STORAGE_F32,
                                           SHAPE(batch, c->channels, c->height, c->width)),
                       .t = graph_external(g, ROLE_INPUT, "validation.times", STORAGE_F32, SHAPE(batch)),
                       .labels = graph_external(g, ROLE_INPUT, "validation.labels", STORAGE_U32, SHAPE(batch))};
    *keep = model_kind_find(c->kind)->build(g, c, &set, &in).final_output;
    return graph_check(g);
}

// The forward, on the trainer's weights. Sets *flops.
static igvk_status forward_row(bench *b, const model_config *c, trainer *t, double *flops) {
    igvk_status status = IGVK_OK;
    compiled_graph compiled = {0};
    workspace *w = NULL;
    program *p = NULL;
    graph *g = NULL;
    tensor_id keep;
    bench_times times;
    TRY(forward_graph(c, trainer_layout(t), (uint32_t)b->o->batch, &g, &keep));
    TRY(graph_compile(&g, device_capabilities(b->device), &keep, 1, &compiled));
    *flops = graph_flops(&compiled.list);
    TRY(workspace_create(b->device, &w));
    TRY(workspace_reserve(w, &compiled.plan));
    TRY(program_record(b->device, &compiled.list, &compiled.plan, trainer_store(t), w, NULL, &p));
    TRY(bench_time_program(b, p, &times));
    TRY(bench_row(b, "forward", &times, *flops, 0));
done:
    program_destroy(&p);
    workspace_destroy(&w);
    compiled_graph_free(&compiled);
    graph_destroy(&g);
    return status;
}

static igvk_status zero_batch(void *user, uint64_t step, uint32_t first, uint32_t count, float *images,
                              uint32_t *labels) {
    const model_config *c = user;
    (void)step;
    (void)first;
    memset(images, 0, count * model_elements(c) * sizeof *images);
    memset(labels, 0, count * sizeof *labels);
    return IGVK_OK;
}

struct step_job {
    trainer *trainer;
    model_config *config;
    uint64_t step;
};

static igvk_status one_step(void *user, double *seconds) {
    (void)seconds;
    struct step_job *j = user;
    training_result r;
    igvk_status status = trainer_step(j->trainer, j->step++, zero_batch, j->config);
    if (status == IGVK_OK)
        status = trainer_finish(j->trainer);
    while (trainer_take(j->trainer, &r))
        ;
    return status;
}

#define TIMED_STAGES 8

struct sampling_job {
    device *device;
    sampler *sampler;
    sampling_stage stages[1 + TIMED_STAGES]; // Euler steps; the first one and what comes before it are not measured
    float *latents;
    uint32_t *labels;
    double begin;
};

static igvk_status after_stage(void *user, uint32_t step) {
    struct sampling_job *j = user;
    igvk_status status = step == 0 ? device_wait(j->device) : IGVK_OK;
    if (step == 0)
        j->begin = clock_seconds();
    return status;
}

static igvk_status timed_stages(void *user, double *seconds) {
    struct sampling_job *j = user;
    sampling_run run = {.stages = j->stages,
                        .stage_count = 1 + TIMED_STAGES,
                        .labels = j->labels,
                        .latents = j->latents,
                        .after_step = after_stage,
                        .user = j};
    igvk_status status = sampler_run(j->sampler, &run);
    *seconds = (clock_seconds() - j->begin) / TIMED_STAGES;
    return status;
}

static igvk_status sampling_row(bench *b, const model_config *c, trainer *t, const char *name, double ig, double cfg) {
    igvk_status status = IGVK_OK;
    bench_times times;
    uint32_t batch = (uint32_t)b->o->batch;
    parameter_set set = {.layout = trainer_layout(t), .arena_name = SET_EMA, .role = ROLE_PARAMETER};
    struct sampling_job job = {.device = b->device};
    for (uint32_t k = 0; k <= TIMED_STAGES; k++)
        job.stages[k] = (sampling_stage){
            .time = 0.5, .ig = ig, .cfg = cfg, .coefficients = {1, -0.01, 0, 0}, .step = k, .commit = true};
    sampler_options o = {.device = b->device,
                         .store = trainer_store(t),
                         .config = c,
                         .parameters = &set,
                         .batch = batch,
                         .stages = job.stages,
                         .stage_count = 1 + TIMED_STAGES};
    job.latents = calloc(batch * model_elements(c), sizeof *job.latents);
    job.labels = calloc(batch, sizeof *job.labels);
    if (!job.latents || !job.labels)
        THROW(IGVK_ERROR_MEMORY, "out of memory for latents");
    TRY(sampler_create(&o, &job.sampler));
    TRY(bench_time(b, timed_stages, &job, &times));
    TRY(bench_row(b, name, &times, 0, 0));
done:
    sampler_destroy(&job.sampler);
    free(job.latents);
    free(job.labels);
    return status;
}

igvk_status bench_model(bench *b) {
    igvk_status status = IGVK_OK;
    trainer *t = NULL;
    double flops = 0;
    bench_times times;
    model_config c = {.channels = 4,
                      .classes = 1000,
                      .null_class = true,
                      .mlp_ratio = 4,
                      .height = (uint32_t)b->o->image,
                      .width = (uint32_t)b->o->image};
    TRY(model_config_preset(b->o->model, &c));
    TRY(model_config_check(&c));
    const model_objective *objective = model_objective_of(&c);
    trainer_options o = {.device = b->device,
                         .model = c,
                         .objective = {.auxiliary_weight = 0.5, .guided_target = 1},
                         .label_dropout = 0.1,
                         .optimizer = {.kind = objective ? objective->optimizer : OPTIMIZER_ADAMW,
                                       .momentum = 0.95,
                                       .learning_rate = 1e-4,
                                       .beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .epsilon = 1e-8,
                                       .clip = 1,
                                       .ema_decay = 0.9999},
                         .batch = (uint32_t)b->o->batch,
                         .micro_batch = (uint32_t)b->o->batch};
    TRY(trainer_create(&o, &t));
    TRY(trainer_initialise(t, NULL));
    TRY(forward_row(b, &c, t, &flops));
    struct step_job job = {t, &c, 0};
    TRY(bench_time(b, one_step, &job, &times));
    TRY(bench_row(b, "training step", &times, 3 * flops, 0)); // the backward pass is two forwards' products
    TRY(sampling_row(b, &c, t, "sampling step, no guidance", 1, 1));
    TRY(sampling_row(b, &c, t, "sampling step, CFG", 1, 1.5));
    TRY(sampling_row(b, &c, t, "sampling step, IG", 1.5, 1));
    TRY(sampling_row(b, &c, t, "sampling step, IG+CFG", 1.5, 1.5));
done:
    trainer_destroy(&t);
    return status;
}
