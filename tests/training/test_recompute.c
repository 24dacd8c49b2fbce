// SPDX-License-Identifier: MIT
// --recompute: blocks computed again in the backward pass end with the same bits, in less memory.
#include "core/philox.h"
#include "training/trainer_internal.h"
#include "vulkan/parameter_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 3

static device *opened;

static int set_up(void **state) {
    (void)state;
    device_options o = {.no_address = getenv("IGVK_TEST_NO_ADDRESS") != NULL};
    if (device_open(&o, &opened) == IGVK_OK)
        return 0;
    print_message("cannot run: %s\n", igvk_error_text());
    return -1;
}

static int tear_down(void **state) {
    (void)state;
    device_close(&opened);
    return 0;
}

static void assert_ok(igvk_status status) {
    if (status != IGVK_OK)
        fail_msg("%s", igvk_error_text());
}

static const model_config sit = {.kind = "sit",
                                 .height = 8,
                                 .width = 8,
                                 .channels = 2,
                                 .patch = 2,
                                 .hidden = 24,
                                 .depth = 4,
                                 .heads = 2,
                                 .head_after = 2,
                                 .classes = 3,
                                 .null_class = true,
                                 .qk_norm = true,
                                 .mlp_ratio = 4};

static model_config lightning(void) {
    model_config c = sit;
    strcpy(c.kind, "lightningdit");
    c.rms_norm = c.swiglu = c.rotary = true;
    return c;
}

static model_config masked(void) {
    model_config c = sit;
    strcpy(c.kind, "mdtv2");
    c.qk_norm = false;
    c.depth = 6;
    c.decode_layers = 2;
    c.learn_sigma = true;
    c.mask_ratio = 0.3;
    return c;
}

static trainer_options options_for(const model_config *c, bool recompute) {
    return (trainer_options){.device = opened,
                             .model = *c,
                             .objective = {.auxiliary_weight = 0.5, .guided_target = 1},
                             .optimizer = {.kind = model_objective_of(c)->optimizer,
                                           .learning_rate = 1e-2,
                                           .beta1 = 0.9,
                                           .beta2 = 0.99,
                                           .momentum = 0.95,
                                           .epsilon = 1e-8,
                                           .clip = 1,
                                           .ema_decay = 0.9},
                             .label_dropout = 0.2,
                             .batch = 4,
                             .micro_batch = 2,
                             .recompute = recompute,
                             .seed = 5};
}

static igvk_status read_batch(void *user, uint64_t step, uint32_t first, uint32_t count, float *images,
                              uint32_t *labels) {
    const uint64_t elements = model_elements(user);
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t k = 0; k < elements; k++)
            images[i * elements + k] = (float)random_normal(7, STREAM_NOISE, (uint32_t)step, first + i, k);
        labels[i] = (uint32_t)(step + first + i) % 3;
    }
    return IGVK_OK;
}

// Not zeros, which would hide most of the model.
static igvk_status weights(void *user, const parameter_layout *l, size_t i, uint64_t first, uint64_t count,
                           float *out) {
    (void)user;
    const double scale = parameter_at(l, i)->shape.rank > 1 ? 0.15 : 0.05;
    for (uint64_t k = first; k < first + count; k++)
        *out++ = (float)(scale * random_normal(1, STREAM_INITIALISATION, 0, (uint32_t)i, k));
    return IGVK_OK;
}

typedef struct outcome {
    training_result results[STEPS];
    float *values[2]; // of all parameters: the model, its EMA
    uint64_t count, peak;
    uint32_t nodes;
} outcome;

static void read_set(trainer *t, const char *set, float *out) {
    const parameter_layout *l = trainer_layout(t);
    for (size_t i = 0; i < parameter_count(l); i++) {
        assert_ok(parameter_memory_read(trainer_store(t), l, set, i, out));
        out += shape_elements(parameter_at(l, i)->shape);
    }
}

static outcome train(const model_config *c, bool recompute) {
    outcome out = {0};
    trainer *t = NULL;
    compiled_graph compiled = {0};
    model_config config = *c;
    const trainer_options o = options_for(c, recompute);
    assert_ok(trainer_create(&o, &t));
    graph *g = trainer_micro_graph(t, t->micro);
    out.nodes = graph_node_count(g);
    assert_ok(graph_compile(&g, device_capabilities(opened), NULL, 0, &compiled));
    out.peak = compiled.plan.peak;
    compiled_graph_free(&compiled);
    assert_ok(trainer_initialise(t, &(parameter_source){.read = weights}));
    for (uint64_t step = 0; step < STEPS; step++)
        assert_ok(trainer_step(t, step, read_batch, &config));
    assert_ok(trainer_finish(t));
    for (int k = 0; k < STEPS; k++)
        assert_true(trainer_take(t, &out.results[k]));
    out.count = parameter_elements(trainer_layout(t));
    for (int k = 0; k < 2; k++) {
        out.values[k] = calloc(out.count, sizeof(float));
        read_set(t, k ? SET_EMA : SET_MODEL, out.values[k]);
    }
    trainer_destroy(&t);
    return out;
}

static void same_bits_in_less_memory(const model_config *c) {
    outcome plain = train(c, false), again = train(c, true);
    for (int k = 0; k < STEPS; k++) {
        assert_true(plain.results[k].finite && plain.results[k].gradient_norm > 0);
        assert_memory_equal(&plain.results[k].terms, &again.results[k].terms, sizeof plain.results[k].terms);
        assert_true(plain.results[k].loss == again.results[k].loss);
        assert_true(plain.results[k].gradient_norm == again.results[k].gradient_norm);
    }
    assert_int_equal(plain.count, again.count);
    for (int k = 0; k < 2; k++)
        assert_memory_equal(plain.values[k], again.values[k], plain.count * sizeof(float));
    print_message("%s: %llu bytes of activations, computed again %llu\n", c->kind, (unsigned long long)plain.peak,
                  (unsigned long long)again.peak);
    assert_true(again.nodes > plain.nodes);
    assert_true(again.peak < plain.peak);
    for (int k = 0; k < 2; k++) {
        free(plain.values[k]);
        free(again.values[k]);
    }
}

static void a_sit(void **state) {
    (void)state;
    same_bits_in_less_memory(&sit);
}

static void a_lightningdit(void **state) {
    (void)state;
    const model_config c = lightning();
    same_bits_in_less_memory(&c);
}

static void a_masked_mdtv2(void **state) {
    (void)state;
    const model_config c = masked();
    same_bits_in_less_memory(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sit),
        cmocka_unit_test(a_lightningdit),
        cmocka_unit_test(a_masked_mdtv2),
    };
    return cmocka_run_group_tests_name("training/recompute", tests, set_up, tear_down);
}
