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
#include <sys/resource.h>

// ---- model -----------------------------------------------------------------------------------------

// Multiply-adds of the model's matrix products and attention, counted by lowering its graph.
static double graph_flops(const dispatch_list *l) {
    double sum = 0;
    for (size_t i = 0; i < l->count; i++)
        sum += l->items[i].flops;
    return sum;
}

// Where the time of a program goes, by device timestamps: products, attention, and all else.
static igvk_status breakdown(bench *b, const char *what, const compiled_graph *c, store *s) {
    static const char *const kinds[] = {"products", "attention", "row work"};
    igvk_status status = IGVK_OK;
    workspace *w = NULL;
    program *p = NULL;
    double sums[3] = {0}, total = 0;
    double *times = calloc(c->list.count + 1, sizeof *times);
    if (!times)
        TRY(fail_memory("times", c->list.count * sizeof *times));
    TRY(workspace_create(b->device, &w));
    TRY(workspace_reserve(w, &c->plan));
    TRY(program_record(b->device, &c->list, &c->plan, s, w, &(program_options){.timestamps = true}, &p));
    for (int k = 0; k < 3; k++) // the last one counts
        TRY(program_run(p, NULL));
    TRY(program_times(p, times, c->list.count));
    for (size_t i = 0; i < c->list.count; i++) {
        const char *name = node_of(c->list.graph, c->list.items[i].node)->op->name;
        sums[!strncmp(name, "linear", 6) ? 0 : !strncmp(name, "attention", 9) ? 1 : 2] += times[i];
        total += times[i];
    }
    for (int k = 0; k < 3 && total > 0; k++) {
        char name[96];
        snprintf(name, sizeof name, "%s: %s", what, kinds[k]);
        TRY(bench_fact(b, name, 100 * sums[k] / total, "% of its time"));
    }
done:
    program_destroy(&p);
    workspace_destroy(&w);
    free(times);
    return status;
}

igvk_status bench_forward_graph(const model_config *c, const parameter_layout *l, uint32_t batch, graph **out,
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
    TRY(bench_forward_graph(c, trainer_layout(t), (uint32_t)b->o->batch, &g, &keep));
    TRY(graph_compile(&g, device_capabilities(b->device), &keep, 1, &compiled));
    *flops = graph_flops(&compiled.list);
    TRY(workspace_create(b->device, &w));
    TRY(workspace_reserve(w, &compiled.plan));
    TRY(program_record(b->device, &compiled.list, &compiled.plan, trainer_store(t), w, NULL, &p));
    if (bench_wants(b, BENCH_FORWARD)) {
        TRY(bench_time_program(b, p, &times));
        TRY(bench_row(b, "forward", &times, *flops, 0));
        TRY(bench_fact(b, "forward: host", program_submit_cost(p), "us of CPU time a step"));
        if (b->timestamps)
            TRY(breakdown(b, "forward", &compiled, trainer_store(t)));
    }
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

typedef struct guidance_row {
    const char *name;
    double ig, cfg;
    bool weak; // autoguidance: the model beside itself in the head's place
} guidance_row;

static igvk_status sampling_job_create(bench *b, trainer *t, const guidance_row *row, struct sampling_job *job) {
    igvk_status status = IGVK_OK;
    const model_config *c = &b->config;
    const uint32_t batch = (uint32_t)b->o->batch;
    parameter_set set = {.layout = trainer_layout(t), .arena_name = SET_EMA, .role = ROLE_PARAMETER};
    *job = (struct sampling_job){.device = b->device};
    for (uint32_t k = 0; k <= TIMED_STAGES; k++)
        job->stages[k] = (sampling_stage){
            .time = 0.5, .ig = row->ig, .cfg = row->cfg, .coefficients = {1, -0.01, 0, 0}, .step = k, .commit = true};
    sampler_options o = {.device = b->device,
                         .store = trainer_store(t),
                         .config = c,
                         .parameters = &set,
                         .weak_config = row->weak ? c : NULL,
                         .weak_parameters = row->weak ? &set : NULL,
                         .batch = batch,
                         .stages = job->stages,
                         .stage_count = 1 + TIMED_STAGES};
    job->latents = calloc(batch * model_elements(c), sizeof *job->latents);
    job->labels = calloc(batch, sizeof *job->labels);
    if (!job->latents || !job->labels)
        THROW(IGVK_ERROR_MEMORY, "out of memory for latents");
    TRY(sampler_create(&o, &job->sampler));
done:
    return status;
}

static void sampling_job_free(struct sampling_job *job) {
    sampler_destroy(&job->sampler);
    free(job->latents);
    free(job->labels);
}

static igvk_status sampling_row(bench *b, trainer *t, const guidance_row *row) {
    igvk_status status = IGVK_OK;
    bench_times times;
    struct sampling_job job;
    TRY(sampling_job_create(b, t, row, &job));
    TRY(bench_time(b, timed_stages, &job, &times));
    TRY(bench_row(b, row->name, &times, 0, 0));
done:
    sampling_job_free(&job);
    return status;
}

#define PAIRS 30

// What IG adds to a step: interleaved pairs, since machines drift; the median of their ratios.
static igvk_status ig_over_none(bench *b, trainer *t) {
    igvk_status status = IGVK_OK;
    struct sampling_job none = {0}, ig = {0};
    double ratios[PAIRS];
    bench_times summary;
    TRY(sampling_job_create(b, t, &(guidance_row){.ig = 1, .cfg = 1}, &none));
    TRY(sampling_job_create(b, t, &(guidance_row){.ig = 1.5, .cfg = 1}, &ig));
    for (int k = -1; k < PAIRS; k++) { // the first pair compiles
        double without, with;
        TRY(timed_stages(&none, &without));
        TRY(timed_stages(&ig, &with));
        if (k >= 0)
            ratios[k] = with / without;
        if (b->events && b->events->stop && b->events->stop(b->events->user))
            THROW(IGVK_INTERRUPTED, "stopped");
    }
    bench_summary(ratios, PAIRS, &summary);
    TRY(bench_fact(b, "IG over none, median of 30 pairs", 100 * (summary.median - 1), "% of a step"));
    TRY(bench_fact(b, "IG over none, between quartiles", 100 * summary.spread, "% of a step"));
done:
    sampling_job_free(&none);
    sampling_job_free(&ig);
    return status;
}

static igvk_status sampling(bench *b, trainer *t) {
    static const guidance_row rows[] = {
        {"sampling step, no guidance", 1, 1, false},   {"sampling step, CFG", 1, 1.5, false},
        {"sampling step, IG", 1.5, 1, false},          {"sampling step, IG+CFG", 1.5, 1.5, false},
        {"sampling step, autoguidance", 1.5, 1, true},
    };
    igvk_status status = IGVK_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        TRY(sampling_row(b, t, &rows[i]));
    TRY(ig_over_none(b, t));
done:
    return status;
}

static igvk_status training(bench *b, trainer *t, double forward_flops) {
    static const char *const training_names[] = {"training step", "training step, f16", "training step, bf16"};
    igvk_status status = IGVK_OK;
    struct step_job job = {t, &b->config, 0};
    compiled_graph micro = {0};
    bench_times times;
    TRY(bench_time(b, one_step, &job, &times));
    TRY(bench_row(b, training_names[b->o->precision], &times, 3 * forward_flops, 0)); // the backward pass is two forwards' products
    TRY(trainer_compile_micro(t, (uint32_t)b->o->batch, &micro));
    if (b->timestamps)
        TRY(breakdown(b, "training, without its update", &micro, trainer_store(t)));
done:
    compiled_graph_free(&micro);
    return status;
}

static igvk_status memory(bench *b) {
    struct rusage usage;
    igvk_status status = bench_fact(b, "device memory", (double)device_memory_used(b->device) / (1 << 20), "MiB");
    if (status == IGVK_OK && getrusage(RUSAGE_SELF, &usage) == 0)
        status = bench_fact(b, "process, at most resident", (double)usage.ru_maxrss / 1024, "MiB");
    return status;
}

trainer_options bench_trainer(const bench *b, device *d) {
    const model_objective *objective = model_objective_of(&b->config);
    return (trainer_options){.device = d,
                             .model = b->config,
                             .precision = precision_for(d, b->o->precision, b->events),
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
}

igvk_status bench_model(bench *b) {
    igvk_status status = IGVK_OK;
    trainer *t = NULL;
    double flops = 0;
    const trainer_options o = bench_trainer(b, b->device);
    TRY(trainer_create(&o, &t));
    TRY(trainer_initialise(t, NULL));
    TRY(bench_peaks(b));
    TRY(forward_row(b, &b->config, t, &flops));
    if (bench_wants(b, BENCH_TRAINING))
        TRY(training(b, t, flops));
    if (bench_wants(b, BENCH_SAMPLING))
        TRY(sampling(b, t));
    TRY(memory(b));
done:
    trainer_destroy(&t);
    return status;
}
