// SPDX-License-Identifier: MIT
// MDTv2's two passes as a whole: the gradient of their losses along random directions of each sort of parameter against
// central differences, masks drawn by the step block. Of the terms the squared errors: the others take a part of what
// they are made of as given, so that their gradient is no difference of theirs.
#include "core/philox.h"
#include "helpers/run_graph.h"
#include "models/objective.h"
#include "step_block.h"
#include "vulkan/parameter_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMAGES 3
#define STEP 0.02 // of a parameter; losses are about 1, in f32

static const model_config config = {.kind = "mdtv2",
                                    .height = 8,
                                    .width = 12,
                                    .channels = 2,
                                    .patch = 2,
                                    .hidden = 24,
                                    .depth = 6,
                                    .heads = 2,
                                    .head_after = 3,
                                    .classes = 3,
                                    .null_class = true,
                                    .learn_sigma = true,
                                    .mlp_ratio = 2,
                                    .decode_layers = 2,
                                    .mask_ratio = 0.3};
static const char *const names[] = {"pos_embed",
                                    "decoder_pos_embed",
                                    "mask_token",
                                    "x_embedder.proj.weight",
                                    "t_embedder.mlp.0.weight",
                                    "y_embedder.embedding_table.weight",
                                    "en_inblocks.0.attn.qkv.weight",
                                    "en_inblocks.1.attn.rel_pos_bias.relative_position_bias_table",
                                    "en_outblocks.0.skip_linear.weight",
                                    "en_outblocks.1.attn.rel_pos_bias.relative_position_bias_table",
                                    "en_outblocks.1.mlp.fc1.weight",
                                    "sideblocks.0.attn.qkv.weight",
                                    "sideblocks.0.attn.rel_pos_bias.relative_position_bias_table",
                                    "sideblocks.0.adaLN_modulation.1.bias",
                                    "de_blocks.0.skip_linear.weight",
                                    "de_blocks.1.attn.proj.weight",
                                    "final_layer.linear.weight",
                                    "final_layer_xr.linear.weight"};
#define NAMES (sizeof names / sizeof *names)

static struct {
    parameter_layout *layout;
    store *store;
    graph_run *run;
    tensor_id keep[1 + NAMES]; // the loss, then the named parameters' gradients
    size_t index[NAMES];       // in the layout
} test;

static double weight_of(size_t i, uint64_t k) {
    const parameter *p = parameter_at(test.layout, i);
    const double scale = p->shape.rank > 1 ? 0.15 : 0.05; // zeros would hide half the model
    return scale * random_normal(1, STREAM_INITIALISATION, 0, (uint32_t)i, k);
}

// Parameter i moved by `step` along its direction.
static void write_parameter(size_t i, double step) {
    const uint64_t n = shape_elements(parameter_at(test.layout, i)->shape);
    float *v = malloc(n * sizeof *v);
    for (uint64_t k = 0; k < n; k++)
        v[k] = (float)(weight_of(i, k) +
                       step * random_normal(2, STREAM_INITIALISATION, 0, (uint32_t)i, k) / sqrt((double)n));
    assert_ok(parameter_memory_write(test.store, test.layout, "model", i, v));
    free(v);
}

static double loss(void) {
    float total = 0;
    graph_run_go(test.run);
    graph_run_read(test.run, test.keep[0], &total, sizeof total);
    return total;
}

static void fill_inputs(void) {
    const uint32_t labels[IMAGES] = {0, 3, 2};
    const float times[IMAGES] = {0, 400, 900};
    float images[IMAGES * 2 * 8 * 12], noise[IMAGES * 2 * 8 * 12], share = 1;
    for (uint32_t k = 0; k < sizeof images / sizeof *images; k++) {
        images[k] = (float)tanh(random_normal(3, STREAM_NOISE, 0, 0, k));
        noise[k] = (float)random_normal(4, STREAM_NOISE, 0, 0, k);
    }
    graph_run_write(test.run, "images", images, sizeof images);
    graph_run_write(test.run, "noise", noise, sizeof noise);
    graph_run_write(test.run, "times", times, sizeof times);
    graph_run_write(test.run, "labels", labels, sizeof labels);
    uint32_t *block = (uint32_t *)store_map(test.store, "steps") + STEP_WORDS;
    block[STEP_SEED_LOW] = 11;
    memcpy(&block[STEP_LOSS_SCALE], &share, sizeof share);
}

static int set_up(void **state) {
    (void)state;
    test.layout = parameter_layout_create(1 << 20);
    model_kind_find(config.kind)->parameters(&config, test.layout);
    assert_ok(parameter_layout_check(test.layout));
    assert_ok(store_create(test_device(), &test.store));
    assert_ok(parameter_memory_add(test.store, test.layout, "model", STORAGE_F32));
    for (size_t k = 0; k < NAMES; k++)
        while (strcmp(parameter_at(test.layout, test.index[k])->name, names[k]) != 0)
            assert_true(++test.index[k] < parameter_count(test.layout));
    return 0;
}

static int tear_down(void **state) {
    graph_run_close(&test.run);
    store_destroy(&test.store);
    parameter_layout_destroy(&test.layout);
    return close_test_devices(state);
}

// The squared errors of both passes and heads, and their gradients.
static graph *training_graph(void) {
    graph *g = graph_new();
    const tensor_shape shape = SHAPE(IMAGES, config.channels, config.height, config.width);
    const objective_options options = {.auxiliary_weight = 0.5, .guided_target = 1};
    const objective_inputs in = {
        .model = {.layout = test.layout, .arena_name = "model", .role = ROLE_PARAMETER},
        .steps = graph_external(g, ROLE_STATE, "steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS)),
        .batch = {.x = graph_external(g, ROLE_INPUT, "images", STORAGE_F32, shape),
                  .noise = graph_external(g, ROLE_INPUT, "noise", STORAGE_F32, shape),
                  .t = graph_external(g, ROLE_INPUT, "times", STORAGE_F32, SHAPE(IMAGES)),
                  .labels = graph_external(g, ROLE_INPUT, "labels", STORAGE_U32, SHAPE(IMAGES))}};
    const float weights[] = {1, 0.5, 1, 0.5};
    tensor_id losses[OBJECTIVE_TERMS], squares[4], wrt[NAMES];
    graph_keep_for_gradient(g, true);
    mdtv2_kind.objective->losses(g, &config, &options, &in, losses);
    for (uint32_t k = 0; k < 4; k++)
        squares[k] = losses[2 * k];
    loss_terms terms = {.values = squares, .weights = weights, .count = 4};
    test.keep[0] = op_loss(g, in.steps, &terms);
    const tensor_id one = op_fill(g, SHAPE(1), 1);
    for (size_t k = 0; k < NAMES; k++)
        wrt[k] = parameter_tensor(g, &in.model, names[k]);
    assert_ok(graph_gradient(g, test.keep, &one, 1, wrt, NAMES, test.keep + 1));
    assert_ok(graph_check(g));
    return g;
}

// Gradient times direction.
static double slope_of(size_t k) {
    const uint64_t n = shape_elements(parameter_at(test.layout, test.index[k])->shape);
    float *g = malloc(n * sizeof *g);
    double sum = 0;
    graph_run_read(test.run, test.keep[1 + k], g, n * sizeof *g);
    for (uint64_t i = 0; i < n; i++)
        sum += (double)g[i] * random_normal(2, STREAM_INITIALISATION, 0, (uint32_t)test.index[k], i) / sqrt((double)n);
    free(g);
    return sum;
}

static void gradients_are_the_losses_own(void **state) {
    double slopes[NAMES], largest = 0;
    (void)state;
    graph *g = training_graph();
    test.run = graph_run_open(test_device(), test.store, g, test.keep, 1 + NAMES);
    fill_inputs();
    for (size_t i = 0; i < parameter_count(test.layout); i++)
        write_parameter(i, 0);
    assert_true(isfinite(loss()));
    for (size_t k = 0; k < NAMES; k++) {
        slopes[k] = slope_of(k);
        largest = fmax(largest, fabs(slopes[k]));
    }
    for (size_t k = 0; k < NAMES; k++) {
        write_parameter(test.index[k], STEP);
        const double above = loss();
        write_parameter(test.index[k], -STEP);
        const double wanted = (above - loss()) / (2 * STEP);
        write_parameter(test.index[k], 0);
        if (!(fabs(slopes[k] - wanted) <= 0.02 * fabs(wanted) + 2e-4 * largest) || slopes[k] == 0)
            fail_msg("%s: slope %g, must be about %g", names[k], slopes[k], wanted);
    }
    graph_run_close(&test.run);
    graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients_are_the_losses_own)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
