// SPDX-License-Identifier: MIT
// The training loop on the device: resumed runs end with the same bits, micro-batches change nothing but rounding,
// a stop saves, a gradient that is not finite leaves the state before it.
#include "core/clock.h"
#include "core/file.h"
#include "data/dataset.h"
#include "formats/safetensors.h"
#include "graph/compile.h"
#include "training/loop.h"
#include "training/run_folder.h"
#include "training/trainer_internal.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    device *device;
    dataset *data;
    char folder[64];
} test;

static void make_dataset(const char *folder) {
    static const char *const names[] = {"a", "b", "c"};
    dataset_writer *w = NULL;
    dataset_writer_options o = {.folder = folder,
                                .channels = 1,
                                .height = 8,
                                .width = 8,
                                .class_names = names,
                                .classes = 3,
                                .held_out = 5,
                                .flips = true};
    assert_int_equal(dataset_writer_create(&o, &w), IGVK_OK);
    for (uint32_t i = 0; i < 23; i++) {
        uint8_t image[64];
        for (uint32_t k = 0; k < 64; k++)
            image[k] = (uint8_t)(i % 3 == 0 ? k * 4 : i % 3 == 1 ? 255 - k * 3 : (k * 37 + i * 11) % 256);
        assert_int_equal(dataset_append(w, image, i % 3), IGVK_OK);
    }
    assert_int_equal(dataset_finish(w), IGVK_OK);
    dataset_writer_destroy(&w);
}

static int set_up(void **state) {
    (void)state;
    char data[96];
    snprintf(test.folder, sizeof test.folder, "/tmp/igvk-loop-XXXXXX");
    if (!mkdtemp(test.folder))
        return -1;
    snprintf(data, sizeof data, "%s/data", test.folder);
    make_dataset(data);
    device_options o = {.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL};
    if (dataset_open(data, &test.data) != IGVK_OK || device_open(&o, &test.device) != IGVK_OK) {
        print_message("cannot run: %s\n", igvk_error_text());
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    device_close(&test.device);
    dataset_close(&test.data);
    snprintf(command, sizeof command, "rm -rf %s", test.folder);
    return system(command);
}

// ---- runs ------------------------------------------------------------------------------------------

static loop_options options_for(char run[128], const char *name) {
    loop_options o = {.trainer = {.device = test.device,
                                  .model = {.kind = "sit",
                                            .height = 8,
                                            .width = 8,
                                            .channels = 1,
                                            .patch = 2,
                                            .hidden = 24,
                                            .depth = 2,
                                            .heads = 2,
                                            .head_after = 1,
                                            .classes = 3,
                                            .null_class = true,
                                            .mlp_ratio = 4},
                                  .objective = {.auxiliary_weight = 0.5, .guided_target = 1},
                                  .optimizer = {.learning_rate = 1e-3,
                                                .beta1 = 0.9,
                                                .beta2 = 0.999,
                                                .epsilon = 1e-8,
                                                .clip = 1,
                                                .ema_decay = 0.99,
                                                .ema_warmup = true,
                                                .warmup = 2},
                                  .label_dropout = 0.2,
                                  .batch = 8,
                                  .micro_batch = 4,
                                  .seed = 3},
                      .data = test.data,
                      .texts = {"{}", "[]"},
                      .steps = 6,
                      .keep = 3,
                      .log_every = 1};
    snprintf(run, 128, "%s/%s", test.folder, name);
    assert_int_equal(folder_create(run), IGVK_OK);
    o.run = run;
    return o;
}

static void checkpoint_of(const char *run, uint64_t step, char out[192]) {
    snprintf(out, 192, "%s/checkpoint-%08llu.safetensors", run, (unsigned long long)step);
}

// Largest difference of two checkpoints' tensors relative to the tensor's largest magnitude; exactly 0: the same bits.
static double difference(const char *a_path, const char *b_path) {
    safetensors_file *a = NULL, *b = NULL;
    double worst = 0;
    assert_int_equal(safetensors_open(a_path, &a), IGVK_OK);
    assert_int_equal(safetensors_open(b_path, &b), IGVK_OK);
    assert_int_equal(safetensors_count(a), safetensors_count(b));
    for (size_t i = 0; i < safetensors_count(a); i++) {
        const safetensors_entry *e = safetensors_at(a, i), *f = safetensors_find(b, e->name);
        float *x = malloc(e->bytes), *y = malloc(e->bytes);
        double largest = 1e-30, most = 0;
        assert_non_null(f);
        assert_int_equal(safetensors_read(a, e, 0, e->bytes, x), IGVK_OK);
        assert_int_equal(safetensors_read(b, f, 0, e->bytes, y), IGVK_OK);
        for (uint64_t k = 0; k < e->elements; k++) {
            assert_true(isfinite(x[k]) && isfinite(y[k]));
            largest = fmax(largest, fabs(x[k]));
            most = fmax(most, fabs((double)x[k] - y[k]));
        }
        worst = fmax(worst, most / largest);
        free(x);
        free(y);
    }
    safetensors_close(&a);
    safetensors_close(&b);
    return worst;
}

static void resumed_runs_end_with_the_same_bits(void **state) {
    (void)state;
    char whole[128], parts[128], a[192], b[192];
    loop_options o = options_for(whole, "whole");
    assert_int_equal(training_loop(&o), IGVK_OK);
    o = options_for(parts, "parts");
    o.steps = 3;
    assert_int_equal(training_loop(&o), IGVK_OK);
    checkpoint_of(parts, 3, a);
    o.resume_from = a;
    o.steps = 6;
    o.trainer.micro_batch = 0; // the checkpoint's
    assert_int_equal(training_loop(&o), IGVK_OK);
    checkpoint_of(whole, 6, a);
    checkpoint_of(parts, 6, b);
    assert_true(difference(a, b) == 0);
}

// A tiny LightningDiT with Muon.
static loop_options lightning_options_for(char run[128], const char *name) {
    loop_options o = options_for(run, name);
    model_config *m = &o.trainer.model;
    strcpy(m->kind, "lightningdit");
    m->rms_norm = m->swiglu = m->rotary = true;
    o.trainer.optimizer.kind = OPTIMIZER_MUON;
    o.trainer.optimizer.learning_rate = 2e-3;
    o.trainer.optimizer.beta2 = 0.95;
    o.trainer.optimizer.momentum = 0.95;
    o.trainer.optimizer.matrix_decay = 0.01;
    o.trainer.objective.times = TIME_LOGNORMAL;
    return o;
}

static void assert_tensor(const char *path, const char *name, bool there) {
    safetensors_file *f = NULL;
    assert_int_equal(safetensors_open(path, &f), IGVK_OK);
    assert_true((safetensors_find(f, name) != NULL) == there);
    safetensors_close(&f);
}

// ---- the head alone ----------------------------------------------------------------------------------

// How far a tensor of two checkpoints differs, relative to its largest magnitude.
static double tensor_difference(const char *a_path, const char *b_path, const char *name) {
    safetensors_file *files[2] = {NULL};
    float *values[2];
    uint64_t count = 0;
    double largest = 1e-30, most = 0;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(safetensors_open(k ? b_path : a_path, &files[k]), IGVK_OK);
        const safetensors_entry *e = safetensors_find(files[k], name);
        assert_non_null(e);
        count = e->elements;
        values[k] = malloc(e->bytes);
        assert_int_equal(safetensors_read(files[k], e, 0, e->bytes, values[k]), IGVK_OK);
        safetensors_close(&files[k]);
    }
    for (uint64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(values[0][i]));
        most = fmax(most, fabs((double)values[0][i] - values[1][i]));
    }
    free(values[0]);
    free(values[1]);
    return most / largest;
}

// It learns as it does beside the rest, which stays as it was to the bit.
static void the_head_alone_is_trained(void **state) {
    (void)state;
    static const char *const kept[] = {"model/blocks.0.attn.qkv.weight", "ema/final_layer.adaLN_modulation.1.weight",
                                       "model/y_embedder.embedding_table.weight", "ema/blocks.1.mlp.fc2.weight"};
    char run[128], all[192], one[192], more[192];
    loop_options o = options_for(run, "head-beside");
    o.trainer.optimizer.warmup = 0;
    o.trainer.optimizer.clip = 0;
    o.trainer.objective.auxiliary_weight = 1;
    o.steps = 1;
    assert_int_equal(training_loop(&o), IGVK_OK);
    checkpoint_of(run, 1, all);
    for (uint64_t steps = 1; steps <= 4; steps += 3) {
        loop_options h = options_for(run, steps == 1 ? "head-one" : "head-more");
        h.trainer.optimizer = o.trainer.optimizer;
        h.trainer.objective.head_only = true;
        h.steps = steps;
        h.validate_every = steps;
        assert_int_equal(training_loop(&h), IGVK_OK);
        checkpoint_of(run, steps, steps == 1 ? one : more);
    }
    assert_true(tensor_difference(all, one, "model/final_layer_xr.linear.weight") < 1e-4);
    assert_true(tensor_difference(all, one, "moment1/final_layer_xr.linear.weight") < 1e-4);
    assert_true(tensor_difference(one, more, "ema/final_layer_xr.linear.weight") > 0.01);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(tensor_difference(one, more, kept[i]) == 0);
    assert_tensor(more, "moment1/final_layer_xr.linear.bias", true);
    assert_tensor(more, "moment1/blocks.0.attn.qkv.weight", false);
}

static void a_head_alone_resumes_to_the_bit(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        char whole[128], parts[128], a[192], b[192];
        loop_options o = (kind ? lightning_options_for : options_for)(whole, kind ? "head-muon" : "head-adamw");
        o.trainer.objective.head_only = true;
        assert_int_equal(training_loop(&o), IGVK_OK);
        strcpy(a, whole);
        o = (kind ? lightning_options_for : options_for)(parts, kind ? "head-muon-parts" : "head-adamw-parts");
        o.trainer.objective.head_only = true;
        o.steps = 2;
        assert_int_equal(training_loop(&o), IGVK_OK);
        checkpoint_of(parts, 2, a);
        o.resume_from = a;
        o.steps = 6;
        assert_int_equal(training_loop(&o), IGVK_OK);
        checkpoint_of(whole, 6, a);
        checkpoint_of(parts, 6, b);
        assert_true(difference(a, b) == 0);
    }
}

// No gradient, moment or average of what stays as it is, and nothing of the blocks kept for a gradient.
static void a_head_alone_takes_little_memory(void **state) {
    (void)state;
    char run[128];
    uint64_t bytes[2];
    for (int head = 0; head < 2; head++) {
        loop_options o = options_for(run, head ? "memory-head" : "memory-all");
        trainer *t = NULL;
        o.trainer.objective.head_only = head;
        const uint64_t before = device_memory_used(test.device);
        assert_int_equal(trainer_create(&o.trainer, &t), IGVK_OK);
        bytes[head] = device_memory_used(test.device) - before;
        const parameter *qkv = parameter_find(trainer_layout(t), "blocks.0.attn.qkv.weight");
        char name[32];
        snprintf(name, sizeof name, "gradient.%u", qkv->chunk);
        assert_int_equal(store_has(trainer_store(t), name), !head);
        snprintf(name, sizeof name, "model.%u", qkv->chunk);
        assert_true(store_has(trainer_store(t), name));
        trainer_destroy(&t);
    }
    assert_true(bytes[1] < bytes[0] / 2);
}

typedef struct step_size {
    uint32_t tensors;
    size_t dispatches;
    uint64_t peak;
} step_size;

// Of a step of the head alone, of a model of so many blocks.
static step_size head_step_of(loop_options o, uint32_t depth) {
    trainer *t = NULL;
    compiled_graph compiled = {0};
    o.trainer.model.depth = depth;
    o.trainer.objective.head_only = true;
    assert_int_equal(trainer_create(&o.trainer, &t), IGVK_OK);
    graph *g = trainer_micro_graph(t, t->micro);
    assert_non_null(g);
    assert_int_equal(graph_compile(&g, device_capabilities(test.device), NULL, 0, &compiled), IGVK_OK);
    const step_size size = {graph_tensor_count(compiled.graph), compiled.list.count, compiled.plan.peak};
    compiled_graph_free(&compiled);
    trainer_destroy(&t);
    return size;
}

static void a_head_alone_has_no_step_of_later_blocks(void **state) {
    (void)state;
    char run[128];
    for (int kind = 0; kind < 2; kind++) {
        const loop_options o = (kind ? lightning_options_for : options_for)(run, "later-blocks");
        const step_size few = head_step_of(o, 2), many = head_step_of(o, 6);
        assert_int_equal(few.tensors, many.tensors);
        assert_int_equal(few.dispatches, many.dispatches);
        assert_int_equal(few.peak, many.peak);
    }
}

// The largest element of the position table.
static double largest_position(const char *path) {
    safetensors_file *f = NULL;
    double largest = 0;
    float values[16 * 24];
    assert_int_equal(safetensors_open(path, &f), IGVK_OK);
    const safetensors_entry *e = safetensors_find(f, "model/pos_embed");
    assert_non_null(e);
    assert_int_equal(e->bytes, sizeof values);
    assert_int_equal(safetensors_read(f, e, 0, e->bytes, values), IGVK_OK);
    for (size_t i = 0; i < 16 * 24; i++)
        largest = fmax(largest, values[i]);
    safetensors_close(&f);
    return largest;
}

static void a_lightningdit_with_muon_resumes_to_the_bit(void **state) {
    (void)state;
    char whole[128], parts[128], a[192], b[192], log_path[192], *log = NULL;
    size_t size = 0;
    double loss, terms[3], decay = 1;
    loop_options o = lightning_options_for(whole, "lightning-whole");
    assert_int_equal(training_loop(&o), IGVK_OK);
    o = lightning_options_for(parts, "lightning-parts");
    o.steps = 4;
    assert_int_equal(training_loop(&o), IGVK_OK);
    checkpoint_of(parts, 4, a);
    o.resume_from = a;
    o.steps = 6;
    assert_int_equal(training_loop(&o), IGVK_OK);
    checkpoint_of(whole, 6, a);
    checkpoint_of(parts, 6, b);
    assert_true(difference(a, b) == 0);

    assert_tensor(a, "moment1/blocks.0.attn.qkv.weight", true); // the momentum
    assert_tensor(a, "moment2/blocks.0.attn.qkv.weight", false);
    assert_tensor(a, "moment2/blocks.0.attn.qkv.bias", true);
    for (uint64_t k = 0; k < 6; k++)
        decay *= 1 - 0.01 * optimizer_rate(&o.trainer.optimizer, k);
    assert_true(fabs(largest_position(a) - decay) < 1e-6); // cos(0) is the table's largest
    snprintf(log_path, sizeof log_path, "%s/log.jsonl", whole);
    assert_int_equal(file_read(log_path, 1 << 20, &log, &size), IGVK_OK);
    assert_int_equal(sscanf(log,
                            "{\"step\": 0, \"loss\": %lf, \"loss_final\": %lf, \"loss_auxiliary\": %lf, "
                            "\"loss_cosine\": %lf",
                            &loss, &terms[0], &terms[1], &terms[2]),
                     4);
    assert_true(fabs(loss - (terms[0] + 0.5 * terms[1] + terms[2])) < 1e-6 * loss);
    free(log);
}

// Adam turns rounding of tiny gradients into whole steps, so one step is compared, and moments and losses by it.
static void micro_batches_change_rounding_alone(void **state) {
    (void)state;
    char run[128], text_a[192], text_b[192];
    double losses[2];
    for (int k = 0; k < 2; k++) {
        char *log = NULL, path[192];
        size_t size = 0;
        loop_options o = options_for(run, k ? "micro-2" : "micro-8");
        o.steps = 1;
        o.trainer.micro_batch = k ? 2 : 8;
        assert_int_equal(training_loop(&o), IGVK_OK);
        snprintf(path, sizeof path, "%s/log.jsonl", run);
        assert_int_equal(file_read(path, 1 << 20, &log, &size), IGVK_OK);
        assert_int_equal(sscanf(log, "{\"step\": 0, \"loss\": %lf", &losses[k]), 1);
        free(log);
        checkpoint_of(run, 1, k ? text_b : text_a);
    }
    assert_true(losses[0] > 0 && fabs(losses[0] - losses[1]) < 1e-6 * losses[0]);
    checkpoint_counters c;
    assert_int_equal(checkpoint_read_counters(text_b, &c), IGVK_OK);
    assert_int_equal(c.micro_batch, 2);
    assert_int_equal(c.step, 1);
}

static void keep_message(void *user, const char *text) {
    char *told = user; // 1024 bytes
    size_t used = strlen(told);
    snprintf(told + used, 1024 - used, "%s\n", text);
}

// Images at once are the checkpoint's, so that the bits are; where they do not fit, or the user wants others, it is
// told.
static void a_resumed_run_tells_of_other_micro_batches(void **state) {
    (void)state;
    char run[128], path[192], told[1024];
    igvk_events events = {.user = told, .message = keep_message};
    checkpoint_counters c;
    loop_options o = options_for(run, "resumed-micro");
    o.trainer.micro_batch = 8;
    o.steps = 1;
    assert_int_equal(training_loop(&o), IGVK_OK);
    const device_options limits = {.max_binding = 36 << 10, .no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL};
    device *limited = NULL;
    assert_int_equal(device_open(&limits, &limited), IGVK_OK);
    const struct {
        device *device;
        uint32_t asked, taken;
        const char *note;
    } rows[] = {{test.device, 0, 8, NULL},
                {limited, 0, 4, "note: 4 images at once, 8 so far"},
                {test.device, 2, 2, "note: 2 images at once, 4 so far"}};
    for (uint32_t i = 0; i < 3; i++) {
        checkpoint_of(run, 1 + i, path);
        o.resume_from = path;
        o.trainer.device = rows[i].device;
        o.trainer.micro_batch = rows[i].asked;
        o.steps = 2 + i;
        o.events = &events;
        told[0] = 0;
        assert_int_equal(training_loop(&o), IGVK_OK);
        assert_true(rows[i].note ? strstr(told, rows[i].note) != NULL : strstr(told, "so far") == NULL);
        checkpoint_of(run, 2 + i, path);
        assert_int_equal(checkpoint_read_counters(path, &c), IGVK_OK);
        assert_int_equal(c.micro_batch, rows[i].taken);
    }
    device_close(&limited);
}

// The first step's loss and gradient norm, and the images at once.
static uint32_t first_step(loop_options *o, const char *run, double out[2]) {
    char *log = NULL, path[192];
    size_t size = 0;
    checkpoint_counters c;
    o->steps = 1;
    assert_int_equal(training_loop(o), IGVK_OK);
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    assert_int_equal(file_read(path, 1 << 20, &log, &size), IGVK_OK);
    assert_int_equal(sscanf(log, "{\"step\": 0, \"loss\": %lf", &out[0]), 1);
    assert_int_equal(sscanf(strstr(log, "\"gradient_norm\""), "\"gradient_norm\": %lf", &out[1]), 1);
    free(log);
    checkpoint_of(run, 1, path);
    assert_int_equal(checkpoint_read_counters(path, &c), IGVK_OK);
    return c.micro_batch;
}

// A batch beyond what the device binds or allocates in one piece is accumulated from smaller ones, the weights lie in
// several chunks and the activations in several blocks.
static void what_a_device_limits_is_split(void **state) {
    (void)state;
    const device_options limits[] = {{.max_binding = 36 << 10}, {.max_allocation = 36 << 10}};
    for (size_t k = 0; k < 2; k++) {
        char run[128], name[32];
        double split[2], whole[2];
        device_options d = limits[k];
        device *limited = NULL;
        d.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL;
        assert_int_equal(device_open(&d, &limited), IGVK_OK);
        snprintf(name, sizeof name, "limited-%zu", k);
        loop_options o = options_for(run, name);
        o.trainer.device = limited;
        o.trainer.micro_batch = 0;
        uint32_t micro = first_step(&o, run, split);
        assert_true(micro == 4 || micro == 2);
        device_close(&limited);
        snprintf(name, sizeof name, "unlimited-%zu", k);
        o = options_for(run, name);
        o.trainer.micro_batch = micro;
        assert_int_equal(first_step(&o, run, whole), micro);
        for (int i = 0; i < 2; i++)
            assert_true(fabs(split[i] - whole[i]) < 1e-6 * whole[i]);
    }
}

static void assert_loss_falls(loop_options *o) {
    char *log = NULL, path[192];
    size_t size = 0;
    double first = 0, last = 0;
    o->steps = 60;
    o->validate_every = 30;
    assert_int_equal(training_loop(o), IGVK_OK);
    snprintf(path, sizeof path, "%s/log.jsonl", o->run);
    assert_int_equal(file_read(path, 1 << 20, &log, &size), IGVK_OK);
    assert_int_equal(sscanf(log, "{\"step\": 0, \"loss\": %lf", &first), 1);
    assert_int_equal(sscanf(strstr(log, "{\"step\": 58,"), "{\"step\": 58, \"loss\": %lf", &last), 1);
    assert_non_null(strstr(log, "validation_final"));
    assert_true(last < 0.8 * first);
    free(log);
}

static void the_loss_falls_with_the_guided_target_too(void **state) {
    (void)state;
    char run[128];
    loop_options o = options_for(run, "guided");
    o.trainer.objective.guided_target = 1.4;
    o.trainer.objective.guided_low = 0.1;
    o.trainer.objective.guided_high = 0.9;
    o.trainer.optimizer.learning_rate = 5e-3;
    assert_loss_falls(&o);
}

static void the_loss_falls_with_muon_in_f32_and_rounded(void **state) {
    (void)state;
    char run[128];
    for (int bf16 = 0; bf16 < 2; bf16++) {
        loop_options o = lightning_options_for(run, bf16 ? "muon-bf16" : "muon-f32");
        o.trainer.optimizer.bf16 = bf16;
        o.trainer.optimizer.learning_rate = 1e-2;
        assert_loss_falls(&o);
    }
}

// ---- ends ------------------------------------------------------------------------------------------

static bool stop_at_two(void *user) {
    uint64_t *asked = user;
    return ++*asked > 2;
}

static void a_stop_saves(void **state) {
    (void)state;
    char run[128], path[192];
    uint64_t asked = 0;
    igvk_events events = {.user = &asked, .stop = stop_at_two};
    loop_options o = options_for(run, "stop");
    o.events = &events;
    assert_int_equal(training_loop(&o), IGVK_INTERRUPTED);
    checkpoint_of(run, 2, path);
    assert_true(path_exists(path));
}

// ---- sample sheets ---------------------------------------------------------------------------------

typedef struct sheets {
    enum { SHEET_FAILS, SHEET_WAITS_FOR_STOP, SHEET_TAKES_A_SECOND } kind;
    unsigned drawn, asked; // sheets; times the user was asked whether to stop
    double last;           // clock at the last one's end
    char told[1024];
} sheets;

static igvk_status draw(void *user, trainer *t, uint64_t step, const char *path, const igvk_events *events) {
    sheets *s = user;
    double begin = clock_seconds();
    (void)t, (void)step, (void)path;
    s->drawn++;
    igvk_status status = IGVK_OK;
    if (s->kind == SHEET_FAILS)
        status = (fail)(IGVK_ERROR_INTERNAL, "the pencil broke");
    while (s->kind == SHEET_WAITS_FOR_STOP && !events->stop(events->user) && clock_seconds() - begin < 20)
        usleep(10000);
    if (s->kind == SHEET_WAITS_FOR_STOP)
        status = (fail)(IGVK_INTERRUPTED, "stopped");
    if (s->kind == SHEET_TAKES_A_SECOND)
        usleep(1000000);
    s->last = clock_seconds();
    return status;
}

static bool stop_once_in_the_sheet(void *user) {
    sheets *s = user;
    return s->drawn == 1 && ++s->asked == 3;
}

static void a_broken_sheet_is_told_and_training_goes_on(void **state) {
    (void)state;
    char run[128], path[192];
    sheets s = {.kind = SHEET_FAILS};
    igvk_events events = {.user = s.told, .message = keep_message};
    loop_options o = options_for(run, "broken-sheet");
    o.sheet = draw;
    o.sheet_user = &s;
    o.sheet_every = 2;
    o.events = &events;
    assert_int_equal(training_loop(&o), IGVK_OK);
    assert_int_equal(s.drawn, 3);
    assert_non_null(strstr(s.told, "no sample sheet of step 4: the pencil broke"));
    checkpoint_of(run, 6, path);
    assert_true(path_exists(path));
}

static void a_sheet_is_stopped_by_the_user(void **state) {
    (void)state;
    char run[128], path[192];
    sheets s = {.kind = SHEET_WAITS_FOR_STOP};
    igvk_events events = {.user = &s, .stop = stop_once_in_the_sheet};
    loop_options o = options_for(run, "stopped-sheet");
    o.sheet = draw;
    o.sheet_user = &s;
    o.sheet_every = 2;
    o.events = &events;
    assert_int_equal(training_loop(&o), IGVK_INTERRUPTED);
    assert_int_equal(s.drawn, 1);
    checkpoint_of(run, 2, path);
    assert_true(path_exists(path));
}

static void a_sheet_is_stopped_by_the_time(void **state) {
    (void)state;
    char run[128];
    sheets s = {.kind = SHEET_WAITS_FOR_STOP};
    double begin = clock_seconds();
    loop_options o = options_for(run, "late-sheet");
    o.sheet = draw;
    o.sheet_user = &s;
    o.sheet_every = 1;
    o.time = 4;
    assert_int_equal(training_loop(&o), IGVK_OK);
    assert_true(s.drawn <= 1 && clock_seconds() - begin < 15);
}

// Two seconds are kept for the last checkpoint. How long a sheet takes is known from the second one on.
static void time_is_kept_for_the_sheet_that_is_due(void **state) {
    (void)state;
    char run[128];
    sheets s = {.kind = SHEET_TAKES_A_SECOND};
    loop_options o = options_for(run, "time");
    o.sheet = draw;
    o.sheet_user = &s;
    o.sheet_every = 1;
    o.time = 4.6;
    double begin = clock_seconds();
    assert_int_equal(training_loop(&o), IGVK_OK);
    assert_true(s.drawn == 1 || s.last - begin < o.time - 2 + 0.3);
}

static void memory_is_left_for_sheets(void **state) {
    (void)state;
    char run[128];
    loop_options o = options_for(run, "reserve");
    o.trainer.micro_batch = 0;
    o.trainer.reserve = 1ull << 60;
    assert_int_equal(training_loop(&o), IGVK_ERROR_DEVICE_MEMORY);
}

// ---- faults ----------------------------------------------------------------------------------------

static void a_gradient_that_is_not_finite_leaves_the_state_before_it(void **state) {
    (void)state;
    char run[128], path[192], a[192];
    loop_options o = options_for(run, "not-finite");
    o.trainer.optimizer.learning_rate = 1e30;
    o.trainer.optimizer.warmup = 0;
    assert_int_equal(training_loop(&o), IGVK_ERROR_NOT_FINITE);
    assert_non_null(strstr(igvk_error_text(), "first in"));
    uint64_t *steps = NULL;
    size_t count = 0;
    assert_int_equal(run_checkpoints(run, &steps, &count), IGVK_OK);
    assert_int_equal(count, 1);
    checkpoint_of(run, steps[0], path);
    snprintf(a, sizeof a, "%s", path);
    assert_true(difference(a, path) == 0); // and finite
    free(steps);
}

// A step that failed is in flight when the next one's checkpoint is due: none may come after the state before it.
static void no_checkpoint_follows_a_gradient_that_is_not_finite(void **state) {
    (void)state;
    char run[128], path[192];
    unsigned long long failed = 0;
    uint64_t *steps = NULL;
    size_t count = 0;
    loop_options o = options_for(run, "not-finite-saved");
    o.trainer.optimizer.learning_rate = 1e30;
    o.trainer.optimizer.warmup = 0;
    o.save_every = 1;
    o.keep = 1;
    assert_int_equal(training_loop(&o), IGVK_ERROR_NOT_FINITE);
    assert_int_equal(sscanf(igvk_error_text(), "step %llu:", &failed), 1);
    assert_int_equal(run_checkpoints(run, &steps, &count), IGVK_OK);
    assert_int_equal(count, 1);
    assert_int_equal(steps[0], failed);
    checkpoint_of(run, steps[0], path);
    assert_true(difference(path, path) == 0); // finite
    free(steps);
}

// Cuts the images off once the first step is told of; both steps of the run are submitted then.
static void lose_the_images(void *user, const igvk_progress *p) {
    if (p->done == 1)
        assert_int_equal(truncate(user, 0), 0);
}

static void a_failing_search_for_the_cause_loses_no_state(void **state) {
    (void)state;
    char run[128], path[192], data[128], shard[256];
    dataset *lost = NULL;
    char **names = NULL;
    size_t count = 0;
    snprintf(data, sizeof data, "%s/lost", test.folder);
    make_dataset(data);
    assert_int_equal(folder_list(data, &names, &count), IGVK_OK);
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], ".safetensors"))
            snprintf(shard, sizeof shard, "%s/%s", data, names[i]);
    folder_list_free(&names, count);
    assert_int_equal(dataset_open(data, &lost), IGVK_OK);
    igvk_events events = {.user = shard, .progress = lose_the_images};
    loop_options o = options_for(run, "not-finite-lost");
    o.trainer.optimizer.learning_rate = 1e30;
    o.trainer.optimizer.warmup = 0;
    o.data = lost;
    o.steps = 2;
    o.events = &events;
    assert_int_equal(training_loop(&o), IGVK_ERROR_NOT_FINITE);
    assert_non_null(strstr(igvk_error_text(), "could not be looked for"));
    checkpoint_of(run, 1, path);
    assert_true(difference(path, path) == 0);
    dataset_close(&lost);
}

static void the_newest_checkpoints_are_kept(void **state) {
    (void)state;
    char run[128];
    uint64_t *steps = NULL;
    size_t count = 0;
    loop_options o = options_for(run, "keep");
    o.save_every = 1;
    o.keep = 2;
    assert_int_equal(training_loop(&o), IGVK_OK);
    assert_int_equal(run_checkpoints(run, &steps, &count), IGVK_OK);
    assert_int_equal(count, 2);
    assert_true(steps[0] == 5 && steps[1] == 6);
    free(steps);
}

// A host program may have a locale whose decimal point is a comma.
static void checkpoints_are_read_back_in_every_locale(void **state) {
    (void)state;
    char run[128], path[192];
    checkpoint_counters c;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip();
    loop_options o = options_for(run, "locale");
    o.steps = 1;
    igvk_status status = training_loop(&o);
    setlocale(LC_NUMERIC, "C");
    assert_int_equal(status, IGVK_OK);
    checkpoint_of(run, 1, path);
    assert_int_equal(checkpoint_read_counters(path, &c), IGVK_OK);
    assert_true(c.seconds > 0);
}

static void another_dataset_is_refused_on_resume(void **state) {
    (void)state;
    char run[128], path[192], data[128];
    dataset *other = NULL;
    static const char *const names[] = {"a", "b", "c"};
    dataset_writer *w = NULL;
    uint8_t image[64] = {0};
    snprintf(data, sizeof data, "%s/other", test.folder);
    dataset_writer_options d = {
        .folder = data, .channels = 1, .height = 8, .width = 8, .class_names = names, .classes = 3};
    assert_int_equal(dataset_writer_create(&d, &w), IGVK_OK);
    assert_int_equal(dataset_append(w, image, 0), IGVK_OK);
    assert_int_equal(dataset_finish(w), IGVK_OK);
    dataset_writer_destroy(&w);
    assert_int_equal(dataset_open(data, &other), IGVK_OK);
    loop_options o = options_for(run, "swap");
    o.steps = 1;
    assert_int_equal(training_loop(&o), IGVK_OK);
    checkpoint_of(run, 1, path);
    o.resume_from = path;
    o.data = other;
    assert_int_equal(training_loop(&o), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "dataset"));
    dataset_close(&other);
}

// One argument: the tests whose names match it.
int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumed_runs_end_with_the_same_bits),
        cmocka_unit_test(a_lightningdit_with_muon_resumes_to_the_bit),
        cmocka_unit_test(the_head_alone_is_trained),
        cmocka_unit_test(a_head_alone_resumes_to_the_bit),
        cmocka_unit_test(a_head_alone_takes_little_memory),
        cmocka_unit_test(a_head_alone_has_no_step_of_later_blocks),
        cmocka_unit_test(micro_batches_change_rounding_alone),
        cmocka_unit_test(a_resumed_run_tells_of_other_micro_batches),
        cmocka_unit_test(what_a_device_limits_is_split),
        cmocka_unit_test(the_loss_falls_with_the_guided_target_too),
        cmocka_unit_test(the_loss_falls_with_muon_in_f32_and_rounded),
        cmocka_unit_test(a_stop_saves),
        cmocka_unit_test(a_broken_sheet_is_told_and_training_goes_on),
        cmocka_unit_test(a_sheet_is_stopped_by_the_user),
        cmocka_unit_test(a_sheet_is_stopped_by_the_time),
        cmocka_unit_test(time_is_kept_for_the_sheet_that_is_due),
        cmocka_unit_test(memory_is_left_for_sheets),
        cmocka_unit_test(a_gradient_that_is_not_finite_leaves_the_state_before_it),
        cmocka_unit_test(no_checkpoint_follows_a_gradient_that_is_not_finite),
        cmocka_unit_test(a_failing_search_for_the_cause_loses_no_state),
        cmocka_unit_test(the_newest_checkpoints_are_kept),
        cmocka_unit_test(checkpoints_are_read_back_in_every_locale),
        cmocka_unit_test(another_dataset_is_refused_on_resume),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
