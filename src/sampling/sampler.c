// SPDX-License-Identifier: MIT
#include "sampling/sampler_internal.h"

#include "core/philox.h"
#include "graph/compile.h"
#include "sampling/step_words.h"

#include <stdlib.h>
#include <string.h>

static tensor_shape batch_shape(const model_config *c, uint64_t batch) {
    return SHAPE(batch, c->channels, c->height, c->width);
}

static tensor_id steps_tensor(graph *g) {
    return graph_external(g, ROLE_STATE, "sampling.steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS));
}

static solver_states declare_states(graph *g, tensor_shape shape) {
    return (solver_states){.high = graph_external(g, ROLE_STATE, "sampling.high", STORAGE_F32, shape),
                           .low = graph_external(g, ROLE_STATE, "sampling.low", STORAGE_F32, shape),
                           .input = graph_external(g, ROLE_STATE, "sampling.input", STORAGE_F32, shape),
                           .previous = graph_external(g, ROLE_STATE, "sampling.previous", STORAGE_F32, shape)};
}

static runge_kutta_states declare_slopes(graph *g, tensor_shape shape) {
    const solver_states s = declare_states(g, shape);
    const tensor_shape slopes = SHAPE(RUNGE_KUTTA_SLOPES, shape.dim[0], shape.dim[1], shape.dim[2], shape.dim[3]);
    return (runge_kutta_states){s.high, s.low, s.input,
                                graph_external(g, ROLE_STATE, "sampling.slopes", STORAGE_F32, slopes)};
}

static tensor_id seeds_tensor(graph *g, uint32_t batch) {
    return graph_external(g, ROLE_INPUT, "sampling.seeds", STORAGE_U32, SHAPE(batch, 2));
}

// x := noise of each image's own seed, through the solver with coefficients (0, 1, 0, 0).
static graph *build_start(const sampler_options *o) {
    graph *g = graph_new();
    if (!g)
        return NULL;
    tensor_shape shape = batch_shape(o->config, o->batch);
    tensor_id steps = steps_tensor(g);
    tensor_id noise = op_normal(g, NO_TENSOR, seeds_tensor(g, o->batch), STREAM_LATENT, shape);
    solver_states states = declare_states(g, shape);
    op_solver(g, steps, noise, NO_TENSOR, &states);
    op_advance(g, steps);
    return g;
}

// Labels [2 batch]: the classes, then the no-class index; programs without the null half read the first half.
static tensor_id labels_tensor(graph *g, const sampler_options *o, uint32_t rows) {
    if (o->config->classes == 0)
        return NO_TENSOR;
    tensor_id all = graph_external(g, ROLE_INPUT, "sampling.labels", STORAGE_U32, SHAPE(2 * (uint64_t)o->batch));
    return graph_view(g, all, 0, SHAPE(rows), NULL);
}

// The two halves of a doubled batch: views, or copies where the second would not start where every device can bind
// a descriptor (256 bytes is the most that Vulkan lets a device ask for).
static void split_halves(graph *g, tensor_id both, tensor_shape half, tensor_id *first, tensor_id *second) {
    uint64_t elements = shape_elements(half);
    if (elements * sizeof(float) % 256 == 0) {
        *first = graph_view(g, both, 0, half, NULL);
        *second = graph_view(g, both, elements, half, NULL);
        return;
    }
    tensor_id row = op_split_columns(g, graph_view(g, both, 0, SHAPE(1, 2 * elements), NULL), 2);
    *first = graph_view(g, row, 0, half, NULL);
    *second = graph_view(g, graph_output(g, row, 1), 0, half, NULL);
}

// What guidance reads. Of a learned variance it leaves alone what the classes' half says.
static guidance_inputs halves(graph *g, const sampler_options *o, model_outputs out, int kind) {
    const model_config *c = o->config;
    const uint64_t channel = (uint64_t)c->height * c->width;
    tensor_shape half = SHAPE(o->batch, model_output_channels(c), c->height, c->width);
    guidance_inputs in = {.final_output = out.final_output};
    bool head = kind & USES_HEAD;
    if (c->learn_sigma)
        in.ig_elements = in.cfg_elements = c->channels * channel;
    if (o->cfg_channels && o->cfg_channels < c->channels)
        in.cfg_elements = o->cfg_channels * channel;
    if (head)
        in.intermediate = out.intermediate;
    if (!(kind & USES_NULL))
        return in;
    split_halves(g, out.final_output, half, &in.final_output, &in.null_final);
    if (head)
        split_halves(g, out.intermediate, half, &in.intermediate, &in.null_intermediate);
    return in;
}

// One model evaluation, guidance, one solver update. Without use the head is dropped when lowering.
static graph *build_stage(const sampler_options *o, int kind, bool noisy) {
    graph *g = graph_new();
    if (!g)
        return NULL;
    tensor_shape shape = batch_shape(o->config, o->batch);
    uint32_t times = kind & USES_NULL ? 2 : 1, rows = times * o->batch;
    tensor_id steps = steps_tensor(g);
    solver_states states = declare_states(g, shape);
    model_inputs in = {.x = times == 2 ? op_repeat(g, states.input, 2) : states.input,
                       .t = op_fill_time(g, steps, rows),
                       .labels = labels_tensor(g, o, rows)};
    model_outputs out = model_kind_find(o->config->kind)->build(g, o->config, o->parameters, &in);
    if (o->weak_config && kind & USES_HEAD)
        out.intermediate =
            model_kind_find(o->weak_config->kind)->build(g, o->weak_config, o->weak_parameters, &in).final_output;
    guidance_inputs guided = halves(g, o, out, kind);
    tensor_id velocity = op_guidance(g, steps, &guided), noise = NO_TENSOR;
    if (noisy)
        noise = o->given_noise ? graph_external(g, ROLE_INPUT, "sampling.noise", STORAGE_F32, shape)
                               : op_normal(g, steps, seeds_tensor(g, o->batch), STREAM_SOLVER, shape);
    if (o->adaptive) {
        const runge_kutta_states slopes = declare_slopes(g, shape);
        op_runge_kutta(g, steps, velocity, &slopes);
    } else if (model_kind_find(o->config->kind)->time == MODEL_DISCRETE)
        op_denoise(g, steps, velocity, noise, &states);
    else
        op_solver(g, steps, velocity, noise, &states);
    op_advance(g, steps);
    return g;
}

// Sums of slopes without a model call.
static graph *build_update(const sampler_options *o) {
    graph *g = graph_new();
    if (!g)
        return NULL;
    const runge_kutta_states slopes = declare_slopes(g, batch_shape(o->config, o->batch));
    tensor_id steps = steps_tensor(g);
    op_runge_kutta(g, steps, NO_TENSOR, &slopes);
    op_advance(g, steps);
    return g;
}

// Mean squares [batch] of a sum of slopes over the tolerance.
static graph *build_measure(const sampler_options *o, tensor_id *measured) {
    graph *g = graph_new();
    if (!g)
        return NULL;
    const tensor_shape shape = batch_shape(o->config, o->batch);
    const runge_kutta_states slopes = declare_slopes(g, shape);
    tensor_id steps = steps_tensor(g);
    *measured = op_squared_error(g, op_scaled_error(g, steps, &slopes), op_fill(g, shape, 0));
    op_advance(g, steps);
    return g;
}

static bool schedule_draws_noise(const sampler_options *o) {
    for (size_t i = 0; i < o->stage_count; i++)
        if (o->stages[i].noisy)
            return true;
    return false;
}

// Kinds that no stage has stay empty (graph null). *measured is kept in PROGRAM_MEASURE.
static igvk_status compile_all(const sampler_options *o, const capabilities *c, compiled_graph compiled[PROGRAMS],
                               tensor_id *measured) {
    igvk_status status = IGVK_OK;
    bool noisy = schedule_draws_noise(o);
    for (size_t i = 0; i < o->stage_count; i++) {
        int kind = kind_of(&o->stages[i]);
        if (compiled[kind].graph)
            continue;
        graph *g = build_stage(o, kind, noisy);
        TRY(graph_compile(&g, c, NULL, 0, &compiled[kind]));
    }
    graph *g = build_start(o);
    TRY(graph_compile(&g, c, NULL, 0, &compiled[PROGRAM_START]));
    if (o->adaptive) {
        g = build_update(o);
        TRY(graph_compile(&g, c, NULL, 0, &compiled[PROGRAM_UPDATE]));
        g = build_measure(o, measured);
        TRY(graph_compile(&g, c, measured, 1, &compiled[PROGRAM_MEASURE]));
    }
done:
    return status;
}

static void free_all(compiled_graph compiled[PROGRAMS]) {
    for (int k = 0; k < PROGRAMS; k++)
        compiled_graph_free(&compiled[k]);
}

igvk_status sampler_plan_bytes(const sampler_options *o, const capabilities *c, uint64_t *bytes) {
    compiled_graph compiled[PROGRAMS] = {0};
    tensor_id measured;
    igvk_status status = compile_all(o, c, compiled, &measured);
    uint64_t state = shape_elements(batch_shape(o->config, o->batch)) * sizeof(float);
    if (o->adaptive)
        state *= RUNGE_KUTTA_SLOPES;
    *bytes = 0;
    if (status == IGVK_OK && state > c->max_allocation)
        status = fail(IGVK_ERROR_DEVICE_MEMORY, "%u images are more than one allocation of the device holds", o->batch);
    for (int k = 0; k < PROGRAMS; k++)
        if (compiled[k].plan.peak > *bytes)
            *bytes = compiled[k].plan.peak;
    free_all(compiled);
    return status;
}

static igvk_status add_memory(const sampler_options *o) {
    igvk_status status = IGVK_OK;
    uint64_t image = shape_elements(batch_shape(o->config, o->batch)) * 4;
    const char *states[] = {"sampling.high", "sampling.low", "sampling.input", "sampling.previous"};
    for (size_t i = 0; i < 4; i++)
        TRY(store_add(o->store, states[i], image, STORE_DEVICE));
    if (o->adaptive)
        TRY(store_add(o->store, "sampling.slopes", RUNGE_KUTTA_SLOPES * image, STORE_DEVICE));
    TRY(store_add(o->store, "sampling.steps", (1 + STEP_RING) * STEP_WORDS * 4, STORE_RING));
    TRY(store_add(o->store, "sampling.seeds", (uint64_t)o->batch * 8, STORE_DEVICE));
    if (o->config->classes)
        TRY(store_add(o->store, "sampling.labels", (uint64_t)o->batch * 8, STORE_DEVICE));
    if (o->given_noise)
        TRY(store_add(o->store, "sampling.noise", image, STORE_DEVICE));
done:
    return status;
}

static igvk_status record_all(sampler *s, workspace *w, compiled_graph compiled[PROGRAMS]) {
    igvk_status status = IGVK_OK;
    for (int k = 0; k < PROGRAMS; k++)
        if (compiled[k].graph)
            TRY(workspace_reserve(w, &compiled[k].plan));
    for (int k = 0; k < PROGRAMS; k++)
        if (compiled[k].graph)
            TRY(program_record(s->o.device, &compiled[k].list, &compiled[k].plan, s->o.store, w, NULL,
                               &s->programs[k]));
done:
    return status;
}

igvk_status sampler_create(const sampler_options *o, sampler **out) {
    igvk_status status = IGVK_OK;
    compiled_graph compiled[PROGRAMS] = {0};
    sampler *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return fail_memory("a sampler", sizeof *s);
    s->o = *o;
    s->config = *o->config;
    s->parameters = *o->parameters;
    s->o.config = &s->config;
    s->o.parameters = &s->parameters;
    if (o->weak_config) {
        s->weak_config = *o->weak_config;
        s->weak_parameters = *o->weak_parameters;
        s->o.weak_config = &s->weak_config;
        s->o.weak_parameters = &s->weak_parameters;
    }
    TRY(add_memory(&s->o));
    s->run = *(const uint32_t *)store_map(o->store, "sampling.steps"); // another sampler of this store may have run
    if (!o->workspace)
        TRY(workspace_create(o->device, &s->own_workspace));
    TRY(compile_all(&s->o, device_capabilities(o->device), compiled, &s->measured));
    TRY(record_all(s, o->workspace ? o->workspace : s->own_workspace, compiled));
    *out = s;
    s = NULL;
done:
    free_all(compiled);
    sampler_destroy(&s);
    return status;
}

void sampler_destroy(sampler **s) {
    if (!*s)
        return;
    for (int k = 0; k < PROGRAMS; k++)
        program_destroy(&(*s)->programs[k]);
    workspace_destroy(&(*s)->own_workspace);
    free(*s);
    *s = NULL;
}

// ---- running ---------------------------------------------------------------------------------------

uint32_t *sampler_next_block(sampler *s) {
    uint32_t *steps = store_map(s->o.store, "sampling.steps");
    uint32_t *block = steps + (1 + s->run++ % STEP_RING) * STEP_WORDS;
    memset(block, 0, STEP_WORDS * sizeof *block);
    return block;
}

static igvk_status write_labels(sampler *s, const uint32_t *labels) {
    if (s->config.classes == 0)
        return IGVK_OK;
    uint32_t batch = s->o.batch;
    uint32_t *both = malloc(2 * (size_t)batch * sizeof *both);
    if (!both)
        return fail_memory("labels", 2 * (uint64_t)batch * sizeof *both);
    for (uint32_t i = 0; i < batch; i++) {
        both[i] = labels[i];
        both[batch + i] = s->config.classes; // the no-class index
    }
    igvk_status status = store_write(s->o.store, "sampling.labels", 0, both, 2 * (uint64_t)batch * sizeof *both);
    free(both);
    return status;
}

static igvk_status start(sampler *s, const sampling_run *r) {
    igvk_status status = IGVK_OK;
    const char *states[] = {"sampling.high", "sampling.low", "sampling.input", "sampling.previous"};
    uint64_t bytes = store_bytes(s->o.store, "sampling.high");
    for (size_t i = 0; i < 4; i++)
        TRY(store_fill(s->o.store, states[i], 0, bytes, 0));
    TRY(write_labels(s, r->labels));
    if (r->seeds)
        TRY(store_write(s->o.store, "sampling.seeds", 0, r->seeds, (uint64_t)s->o.batch * 8));
    if (r->latents) {
        TRY(store_write(s->o.store, "sampling.high", 0, r->latents, bytes));
        TRY(store_write(s->o.store, "sampling.input", 0, r->latents, bytes));
        return IGVK_OK;
    }
    sampling_stage take_noise = {.ig = 1, .cfg = 1, .coefficients = {0, 1, 0, 0}, .commit = true};
    step_words_of_stage(&take_noise, sampler_next_block(s));
    TRY(program_run(s->programs[PROGRAM_START], NULL));
done:
    return status;
}

igvk_status sampler_run(sampler *s, const sampling_run *r) {
    igvk_status status = IGVK_OK;
    uint64_t bytes = store_bytes(s->o.store, "sampling.high");
    TRY(start(s, r));
    if (r->adaptive)
        TRY(sampler_run_adaptive(s, r));
    for (size_t i = 0; i < r->stage_count && !r->adaptive; i++) {
        const sampling_stage *stage = &r->stages[i];
        program *p = s->programs[kind_of(stage)];
        if (!p)
            THROW(IGVK_ERROR_INTERNAL, "the sampler was not made for stage %zu of this schedule", i);
        if (s->o.given_noise && stage->noisy)
            TRY(store_write(s->o.store, "sampling.noise", 0, r->noise + stage->step * (bytes / 4), bytes));
        step_words_of_stage(stage, sampler_next_block(s));
        TRY(program_run(p, NULL));
        if (stage->commit && r->after_step)
            TRY(r->after_step(r->user, stage->step));
    }
    TRY(device_wait(s->o.device));
done:
    return status;
}

igvk_status sampler_read(sampler *s, float *out) {
    return store_read(s->o.store, "sampling.high", 0, out, store_bytes(s->o.store, "sampling.high"));
}
