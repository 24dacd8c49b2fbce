// SPDX-License-Identifier: MIT
// Parity of the guidance rules and of the random numbers.
#include "api/parity_case.h"

#include "step_block.h"
#include "sampling/step_words.h"
#include "vulkan/run_once.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 6

// One graph over inputs of the folder; its single output goes to RUN/out.
typedef struct small_graph {
    parity_case *c;
    graph *g;
    once_input inputs[MAX_INPUTS];
    void *owned[MAX_INPUTS];
    size_t count;
    uint32_t steps[(1 + STEP_RING) * STEP_WORDS]; // block 0 is the one run's
} small_graph;

static void small_free(small_graph *s) {
    graph_destroy(&s->g);
    for (size_t i = 0; i < MAX_INPUTS; i++)
        free(s->owned[i]);
}

static tensor_shape shape_of_entry(const safetensors_entry *e) {
    tensor_shape shape = {.rank = e->rank};
    for (uint32_t i = 0; i < e->rank && i < TENSOR_MAX_RANK; i++)
        shape.dim[i] = e->shape[i];
    return shape;
}

// A float input of the folder as an external tensor.
static igvk_status take(small_graph *s, const char *name, tensor_id *out) {
    const safetensors_entry *e = NULL;
    float *values = NULL;
    igvk_status status = parity_floats(s->c->inputs, name, &values, &e);
    if (status != IGVK_OK)
        return status;
    if (e->rank > TENSOR_MAX_RANK || e->elements == 0 || s->count == MAX_INPUTS) {
        free(values);
        return fail(IGVK_ERROR_INVALID, "%s: input '%s' has an unusable shape", s->c->folder, name);
    }
    s->owned[s->count] = values;
    s->inputs[s->count++] = (once_input){e->name, values, e->elements * 4};
    *out = graph_external(s->g, ROLE_INPUT, e->name, STORAGE_F32, shape_of_entry(e));
    return IGVK_OK;
}

static tensor_id take_steps(small_graph *s, const sampling_stage *stage) {
    step_words_of_stage(stage, s->steps + STEP_WORDS);
    s->inputs[s->count++] = (once_input){"parity.steps", s->steps, sizeof s->steps};
    return graph_external(s->g, ROLE_INPUT, "parity.steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS));
}

static igvk_status run_to(small_graph *s, tensor_id out, const char *run) {
    igvk_status status = IGVK_OK;
    store *memory = NULL;
    float *values = NULL;
    TRY(graph_check(s->g));
    uint64_t bytes = tensor_bytes(s->g, out);
    values = malloc(bytes);
    if (!values) {
        status = fail_memory(run, bytes);
        goto done;
    }
    TRY(store_create(s->c->device, &memory));
    TRY(run_once(s->c->device, memory, &s->g, s->inputs, s->count, &(once_output){out, values, bytes}, 1));
    TRY(parity_give(s->c, values, bytes / 4, "%s/out", run));
done:
    store_destroy(&memory);
    free(values);
    return status;
}

// ---- guidance --------------------------------------------------------------------------------------

static double active(const json_t *run, const char *scale, const char *low, const char *high, double t) {
    double w = parity_number_or(run, scale, 1);
    return w > 1 && parity_number_or(run, low, 0) <= t && t <= parity_number_or(run, high, 1) ? w : 1;
}

// guide: the intermediate output by sg_scale in its interval; autoguide: a weaker model's output by ag_scale, always.
static igvk_status guide(small_graph *s, const json_t *run, bool autoguidance, tensor_id *out) {
    igvk_status status = IGVK_OK;
    double t = parity_number_or(run, "t", 0.5);
    sampling_stage stage = {.time = t,
                            .ig = autoguidance ? parity_number_or(run, "ag_scale", 1) : active(run, "sg_scale", "sg_guidance_low", "sg_guidance_high", t),
                            .cfg = active(run, "cfg_scale", "guidance_low", "guidance_high", t)};
    guidance_inputs in = {0};
    TRY(take(s, "D_f", &in.final_output));
    if (stage.ig != 1)
        TRY(take(s, autoguidance ? "D_weak" : "D_i", &in.intermediate));
    if (stage.cfg != 1) {
        TRY(take(s, "D_f_null", &in.null_final));
        if (stage.ig != 1)
            TRY(take(s, autoguidance ? "D_weak_null" : "D_i_null", &in.null_intermediate));
    }
    *out = op_guidance(s->g, take_steps(s, &stage), &in);
done:
    return status;
}

static igvk_status guided_target(small_graph *s, const json_t *run, tensor_id *out) {
    igvk_status status = IGVK_OK;
    tensor_id target, final_output, intermediate;
    TRY(take(s, "target", &target));
    TRY(take(s, "D_f", &final_output));
    TRY(take(s, "D_i", &intermediate));
    tensor_id t = op_fill(s->g, SHAPE(shape_of(s->g, target).dim[0]), 0.5f);
    guided_target_options o = {.weight = (float)parity_number_or(run, "guidance_weight", 1), .low = 0, .high = 1};
    *out = op_guided_target(s->g, target, final_output, intermediate, t, &o);
done:
    return status;
}

static igvk_status score(small_graph *s, const json_t *run, tensor_id *out) {
    igvk_status status = IGVK_OK;
    tensor_id v, x, t;
    TRY(take(s, "score_v", &v));
    TRY(take(s, "score_x", &x));
    TRY(take(s, "score_t", &t));
    bool cosine = strcmp(parity_text_or(run, "path_type", "linear"), "cosine") == 0;
    *out = op_score(s->g, v, x, t, cosine ? PATH_COSINE : PATH_LINEAR);
done:
    return status;
}

static igvk_status run_rule(parity_case *c, const json_t *run) {
    igvk_status status = IGVK_OK;
    tensor_id out = NO_TENSOR;
    const char *op = parity_text_or(run, "op", "");
    small_graph *s = calloc(1, sizeof *s);
    if (!s)
        return fail_memory("a graph", sizeof *s);
    s->c = c;
    s->g = graph_new();
    if (!s->g)
        THROW(IGVK_ERROR_MEMORY, "out of memory for a graph");
    if (strcmp(op, "guide") == 0)
        TRY(guide(s, run, false, &out));
    else if (strcmp(op, "autoguide") == 0)
        TRY(guide(s, run, true, &out));
    else if (strcmp(op, "guided_target") == 0)
        TRY(guided_target(s, run, &out));
    else if (strcmp(op, "score") == 0)
        TRY(score(s, run, &out));
    else
        THROW(IGVK_ERROR_INVALID, "%s: unknown rule '%.40s'", c->folder, op);
    TRY(run_to(s, out, parity_text_or(run, "name", "")));
done:
    small_free(s);
    free(s);
    return status;
}

igvk_status parity_run_guidance(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *run;
    json_array_foreach(c->runs, i, run) TRY(run_rule(c, run));
done:
    return status;
}

// ---- philox ----------------------------------------------------------------------------------------

typedef struct word_list {
    uint32_t *words; // [count][4], owned
    uint64_t count;
} word_list;

// words[k] = Philox(counters[k], keys[k]) on the device.
static igvk_status device_words(parity_case *c, const uint32_t *counters, const uint32_t *keys, uint64_t count, word_list *out) {
    igvk_status status = IGVK_OK;
    store *memory = NULL;
    graph *g = graph_new();
    out->count = count;
    out->words = malloc(count * 16 + 1);
    if (!g || !out->words)
        THROW(IGVK_ERROR_MEMORY, "out of memory for random words");
    tensor_id t = op_philox(g, graph_external(g, ROLE_INPUT, "counters", STORAGE_U32, SHAPE(count, 4)),
                            graph_external(g, ROLE_INPUT, "keys", STORAGE_U32, SHAPE(count, 2)));
    once_input inputs[] = {{"counters", counters, count * 16}, {"keys", keys, count * 8}};
    TRY(store_create(c->device, &memory));
    TRY(run_once(c->device, memory, &g, inputs, 2, &(once_output){t, out->words, count * 16}, 1));
done:
    graph_destroy(&g);
    store_destroy(&memory);
    return status;
}

static igvk_status give_numbers(parity_case *c, const word_list *w, const char *run) {
    igvk_status status = IGVK_OK;
    store *memory = NULL;
    uint64_t bytes = w->count * 16;
    float *uniforms = malloc(bytes + 1), *normals = malloc(bytes + 1);
    graph *g = graph_new();
    if (!g || !uniforms || !normals)
        THROW(IGVK_ERROR_MEMORY, "out of memory for random numbers");
    tensor_id u = op_random_of_words(g, graph_external(g, ROLE_INPUT, "words", STORAGE_U32, SHAPE(w->count, 4)));
    once_output outputs[] = {{u, uniforms, bytes}, {graph_output(g, u, 1), normals, bytes}};
    TRY(store_create(c->device, &memory));
    TRY(run_once(c->device, memory, &g, &(once_input){"words", w->words, bytes}, 1, outputs, 2));
    TRY(parity_give(c, uniforms, w->count * 4, "%s/u", run));
    TRY(parity_give(c, normals, w->count * 4, "%s/n", run));
done:
    graph_destroy(&g);
    store_destroy(&memory);
    free(uniforms);
    free(normals);
    return status;
}

// Counters from a starting one on, counted as 128-bit numbers, all of one key.
static igvk_status expand(uint32_t **counters, uint32_t **keys, uint64_t count) {
    uint32_t *c = malloc(count * 16 + 1), *k = malloc(count * 8 + 1);
    if (!c || !k) {
        free(c);
        free(k);
        return fail_memory("counters", count * 24);
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t carry = i;
        for (int w = 0; w < 4; w++) {
            carry += (*counters)[w];
            c[4 * i + w] = (uint32_t)carry;
            carry >>= 32;
        }
        memcpy(k + 2 * i, *keys, 8);
    }
    free(*counters);
    free(*keys);
    *counters = c;
    *keys = k;
    return IGVK_OK;
}

// A run has counters and keys (-> words, and numbers where asked for), or words (-> numbers).
static igvk_status run_numbers(parity_case *c, const char *run) {
    igvk_status status = IGVK_OK;
    char name[128];
    uint32_t *counters = NULL, *keys = NULL;
    const safetensors_entry *shape = NULL, *key_shape = NULL, *words = NULL;
    word_list list = {0};
    snprintf(name, sizeof name, "%s/counter", run);
    if (safetensors_find(c->inputs, name)) {
        TRY(parity_words(c->inputs, name, &counters, &shape));
        snprintf(name, sizeof name, "%s/key", run);
        TRY(parity_words(c->inputs, name, &keys, &key_shape));
        if (shape->elements % 4 || shape->elements == 0 || key_shape->elements != shape->elements / 2)
            THROW(IGVK_ERROR_INVALID, "%s: run '%s': counters of 4 words and keys of 2 are needed", c->folder, run);
        uint64_t count = shape->elements / 4;
        snprintf(name, sizeof name, "%s/words", run);
        words = safetensors_find(c->outputs, name);
        if (shape->rank == 1 && words && words->elements > 4) {
            count = words->elements / 4;
            TRY(expand(&counters, &keys, count));
        }
        TRY(device_words(c, counters, keys, count, &list));
        TRY(parity_give_words(c, list.words, count * 4, "%s/words", run));
    } else {
        snprintf(name, sizeof name, "%s/words", run);
        TRY(parity_words(c->inputs, name, &list.words, &shape));
        list.count = shape->elements / 4;
    }
    if (list.count)
        TRY(give_numbers(c, &list, run));
done:
    free(counters);
    free(keys);
    free(list.words);
    return status;
}

igvk_status parity_run_philox(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *run;
    json_array_foreach(c->runs, i, run) TRY(run_numbers(c, parity_text_or(run, "name", "")));
done:
    return status;
}
