// SPDX-License-Identifier: MIT
// SiT without a device: presets, parameter lists, initial values, configuration texts, and the memory plans of the
// real sizes.
#include "core/philox.h"
#include "graph/compile.h"
#include "models/model.h"
#include "models/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static model_config preset(const char *name) {
    model_config c = {.channels = 4, .height = 32, .width = 32, .classes = 1000, .null_class = true, .mlp_ratio = 4};
    assert_int_equal(model_config_preset(name, &c), IGVK_OK);
    return c;
}

static parameter_layout *layout_of(const model_config *c) {
    parameter_layout *l = parameter_layout_create(1u << 30);
    sit_kind.parameters(c, l);
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    return l;
}

// The released SiT-XL/2 with the head: 296 EMA tensors, 677,786,144 parameters.
static void xl_has_the_published_count(void **state) {
    (void)state;
    model_config c = preset("SiT-XL/2");
    parameter_layout *l = layout_of(&c);
    assert_int_equal(c.head_after, 8);
    assert_int_equal(parameter_count(l), 296);
    assert_int_equal(parameter_elements(l), 677786144);
    parameter_layout_destroy(&l);
}

static void names_are_official(void **state) {
    (void)state;
    static const char *const some[] = {"pos_embed", "x_embedder.proj.weight", "t_embedder.mlp.0.bias", "t_embedder.mlp.2.weight",
                                       "y_embedder.embedding_table.weight", "blocks.11.attn.qkv.weight", "blocks.0.attn.q_norm.weight",
                                       "blocks.3.mlp.fc2.bias", "blocks.5.adaLN_modulation.1.weight", "final_layer_xr.linear.weight",
                                       "final_layer.adaLN_modulation.1.bias"};
    model_config c = preset("SiT-B/2");
    c.qk_norm = true;
    parameter_layout *l = layout_of(&c);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_non_null(parameter_find(l, some[i]));
    assert_string_equal(parameter_at(l, 0)->name, "pos_embed");
    assert_true(parameter_find(l, "pos_embed")->frozen);
    parameter_layout_destroy(&l);
}

static void unconditional_has_no_label_table(void **state) {
    (void)state;
    model_config c = preset("SiT-S/8");
    c.classes = 0;
    c.null_class = false;
    parameter_layout *l = layout_of(&c);
    assert_null(parameter_find(l, "y_embedder.embedding_table.weight"));
    parameter_layout_destroy(&l);
}

// ---- initial values --------------------------------------------------------------------------------

typedef struct moments {
    double mean, deviation, largest;
} moments;

static moments moments_of(const parameter_layout *l, const char *name) {
    moments m = {0};
    for (size_t i = 0; i < parameter_count(l); i++) {
        if (strcmp(parameter_at(l, i)->name, name) != 0)
            continue;
        uint64_t n = shape_elements(parameter_at(l, i)->shape);
        float *v = malloc(n * sizeof *v);
        uint64_t seed = 7;
        assert_int_equal(parameter_initialise(&seed, l, i, 0, n, v), IGVK_OK);
        for (uint64_t k = 0; k < n; k++) {
            m.mean += v[k] / (double)n;
            m.deviation += (double)v[k] * v[k] / (double)n;
            m.largest = fmax(m.largest, fabs(v[k]));
        }
        m.deviation = sqrt(m.deviation - m.mean * m.mean);
        free(v);
        return m;
    }
    fail_msg("no parameter %s", name);
    return m;
}

static void initial_values_are_official(void **state) {
    (void)state;
    model_config c = preset("SiT-S/2");
    parameter_layout *l = layout_of(&c);
    double bound = sqrt(6.0 / (384 + 3 * 384)); // Xavier uniform: deviation bound / sqrt(3)
    moments m = moments_of(l, "blocks.0.attn.qkv.weight");
    assert_true(m.largest <= bound && m.largest > 0.99 * bound);
    assert_true(fabs(m.deviation - bound / sqrt(3)) < 0.01 * bound && fabs(m.mean) < 0.01 * bound);
    bound = sqrt(6.0 / (384 + 16)); // the convolution's fans: D and C p p
    m = moments_of(l, "x_embedder.proj.weight");
    assert_true(m.largest <= bound && fabs(m.deviation - bound / sqrt(3)) < 0.03 * bound);
    assert_true(fabs(moments_of(l, "y_embedder.embedding_table.weight").deviation - 0.02) < 1e-4);
    assert_true(fabs(moments_of(l, "t_embedder.mlp.2.weight").deviation - 0.02) < 2e-4);
    static const char *const zero[] = {"blocks.0.adaLN_modulation.1.weight", "final_layer.linear.weight", "final_layer_xr.linear.weight",
                                       "final_layer_xr.adaLN_modulation.1.weight", "blocks.2.mlp.fc1.bias", "x_embedder.proj.bias"};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
        assert_true(moments_of(l, zero[i]).largest == 0);
    parameter_layout_destroy(&l);
}

static void position_table_counts_columns_first(void **state) {
    (void)state;
    float table[2 * 3 * 8];
    position_table(3, 8, 0, 20, table);
    position_table(3, 8, 20, 2 * 3 * 8 - 20, table + 20); // in pieces: the same
    const float *row1column2 = table + (1 * 3 + 2) * 8;
    assert_true(row1column2[0] == (float)sin(2.0) && row1column2[2] == (float)cos(2.0)); // the column's half
    assert_true(row1column2[4] == (float)sin(1.0) && row1column2[7] == (float)cos(0.01));
}

// ---- configuration ---------------------------------------------------------------------------------

static void configuration_survives_json(void **state) {
    (void)state;
    model_config c = preset("SiT-L/4"), again;
    c.qk_norm = true;
    c.path = PATH_COSINE;
    c.height = 16;
    char *text = model_config_to_json(&c);
    assert_int_equal(model_config_from_json("test", text, &again), IGVK_OK);
    assert_memory_equal(&c, &again, sizeof c);
    free(text);
}

static void hostile_configurations_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "", "[]", "{}", "null", "{\"kind\": \"sit\"}",
        "{\"kind\":\"sit\",\"height\":8,\"width\":8,\"channels\":1,\"patch\":3,\"hidden\":48,\"depth\":1,\"heads\":4,\"head_after\":1,"
        "\"classes\":0,\"null_class\":false,\"qk_norm\":false,\"mlp_ratio\":4.0,\"path\":\"linear\"}",
        "{\"kind\":\"sit\",\"height\":8,\"width\":8,\"channels\":1,\"patch\":2,\"hidden\":4294967296,\"depth\":1,\"heads\":4,\"head_after\":1,"
        "\"classes\":0,\"null_class\":false,\"qk_norm\":false,\"mlp_ratio\":4.0,\"path\":\"linear\"}",
        "{\"kind\":\"sit\",\"height\":8,\"width\":8,\"channels\":1,\"patch\":2,\"hidden\":48,\"depth\":1,\"heads\":4,\"head_after\":2,"
        "\"classes\":0,\"null_class\":false,\"qk_norm\":false,\"mlp_ratio\":4.0,\"path\":\"linear\"}",
        "{\"kind\":\"other\",\"height\":8,\"width\":8,\"channels\":1,\"patch\":2,\"hidden\":48,\"depth\":1,\"heads\":4,\"head_after\":1,"
        "\"classes\":0,\"null_class\":false,\"qk_norm\":false,\"mlp_ratio\":4.0,\"path\":\"linear\"}",
    };
    model_config c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(model_config_from_json("test", bad[i], &c), IGVK_ERROR_INVALID);
    assert_int_equal(model_config_preset("SiT-B/3", &c), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "SiT-B/2"));
}

#define OLD_KEYS                                                                                                       \
    "\"kind\":\"sit\",\"height\":16,\"width\":16,\"channels\":1,\"patch\":4,\"hidden\":192,\"depth\":4,\"heads\":6,"              \
    "\"head_after\":1"

// The text of the first checkpoints (of assets/demo.safetensors) has no version.
static void configurations_without_version_are_read(void **state) {
    (void)state;
    model_config full, short_form;
    assert_int_equal(model_config_from_json("test",
                                            "{" OLD_KEYS ",\"classes\":26,\"null_class\":true,\"qk_norm\":false,"
                                            "\"mlp_ratio\":4.0,\"path\":\"linear\"}",
                                            &full),
                     IGVK_OK);
    assert_int_equal(full.hidden, 192);
    assert_int_equal(full.classes, 26);
    assert_true(full.null_class && full.mlp_ratio == 4);
    char *text = model_config_to_json(&full);
    assert_non_null(strstr(text, "\"version\":1"));
    free(text);
    // Fields that came later may be missing.
    assert_int_equal(model_config_from_json("test", "{" OLD_KEYS "}", &short_form), IGVK_OK);
    assert_int_equal(short_form.classes, 0);
    assert_true(!short_form.null_class && !short_form.qk_norm && short_form.mlp_ratio == 4 && short_form.path == PATH_LINEAR);
}

static void refused_configurations_name_the_key(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{" OLD_KEYS ",\"rope\":true}", "unknown key 'rope'"},
        {"{" OLD_KEYS ",\"version\":2}", "version 2, this igvk reads up to 1"},
        {"{" OLD_KEYS ",\"version\":\"1\"}", "'version' must be"},
        {"{\"kind\":\"sit\",\"height\":8}", "'width' is missing"},
        {"{\"height\":8}", "'kind' is missing"},
        {"{\"kind\":\"unet\"}", "unknown kind of model 'unet'"},
        {"{" OLD_KEYS ",\"qk_norm\":1}", "'qk_norm' must be true or false"},
        {"{" OLD_KEYS ",\"classes\":-1}", "'classes' must be a whole number from 0 to 1048576"},
        {"{" OLD_KEYS ",\"mlp_ratio\":true}", "'mlp_ratio' must be between 0.01 and 64"},
        {"{" OLD_KEYS ",\"path\":\"square\"}", "'path' must be linear or cosine"},
        {"{" OLD_KEYS ",\"path\":1}", "'path' must be linear or cosine"},
    };
    model_config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(model_config_from_json("test", cases[i][0], &c), IGVK_ERROR_INVALID);
        if (!strstr(igvk_error_text(), cases[i][1]))
            fail_msg("\"%s\" does not tell of \"%s\"", igvk_error_text(), cases[i][1]);
    }
}

// The shipped model's file.
static void the_demo_model_is_read(void **state) {
    (void)state;
    weights_file *w = NULL;
    assert_int_equal(weights_open(IGVK_SOURCE_DIR "/assets/demo.safetensors", "ema", &w), IGVK_OK);
    parameter_layout *l = layout_of(weights_config(w));
    assert_int_equal(weights_check(w, l), IGVK_OK);
    parameter_layout_destroy(&l);
    weights_close(&w);
}

// ---- memory plans of real sizes --------------------------------------------------------------------

// Largest sum of sizes that live at one dispatch, from the dispatches alone: what no plan can beat.
static uint64_t live_set(const dispatch_list *l) {
    uint32_t count = graph_tensor_count(l->graph) + 1;
    uint32_t *first = calloc(count, sizeof *first), *last = calloc(count, sizeof *last);
    int64_t *change = calloc(l->count + 2, sizeof *change), live = 0, most = 0;
    for (uint32_t i = 0; i < l->count; i++)
        for (uint32_t k = 0; k < l->items[i].argument_count; k++) {
            tensor_id root = tensor_of(l->graph, l->items[i].arguments[k].tensor)->root;
            if (!first[root.i])
                first[root.i] = i + 1;
            last[root.i] = i + 1;
        }
    for (uint32_t t = 1; t < count; t++) {
        const tensor *x = tensor_of(l->graph, (tensor_id){t});
        if (!first[t] || x->role != ROLE_ACTIVATION || tensor_is(x->assigns))
            continue;
        change[first[t]] += (int64_t)tensor_bytes(l->graph, (tensor_id){t});
        change[last[t] + 1] -= (int64_t)tensor_bytes(l->graph, (tensor_id){t});
    }
    for (size_t i = 0; i < l->count + 2; i++) {
        live += change[i];
        most = live > most ? live : most;
    }
    free(first);
    free(last);
    free(change);
    return (uint64_t)most;
}

static const capabilities plain_device = {.cpu = true, .address = true, .vector_width = 8, .max_invocations = 128,
                                          .max_groups = {65535, 65535, 65535}, .max_shared_bytes = 16384,
                                          .max_binding = UINT64_MAX, .max_allocation = UINT64_MAX / 4, .register_tile = true};

static graph *model_graph(const model_config *c, const parameter_layout *l, uint32_t count, bool training, tensor_id *out) {
    graph *g = graph_new();
    graph_keep_for_gradient(g, training);
    parameter_set set = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER};
    model_inputs in = {.x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(count, c->channels, c->height, c->width)),
                       .t = graph_external(g, ROLE_INPUT, "t", STORAGE_F32, SHAPE(count)),
                       .labels = graph_external(g, ROLE_INPUT, "y", STORAGE_U32, SHAPE(count))};
    model_outputs o = sit_kind.build(g, c, &set, &in);
    out[0] = o.final_output;
    out[1] = o.intermediate;
    return g;
}

// The gradient of every parameter, accumulated as training does.
static void add_gradients(graph *g, const parameter_layout *l, const tensor_id *outputs) {
    size_t n = 0, count = parameter_count(l);
    tensor_id *wrt = calloc(count, sizeof *wrt), *dw = calloc(count, sizeof *dw);
    parameter_set model = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER};
    parameter_set gradient = {.layout = l, .arena_name = "gradient", .role = ROLE_STATE};
    tensor_id seeds[2] = {op_fill(g, shape_of(g, outputs[0]), 1), op_fill(g, shape_of(g, outputs[1]), 1)};
    for (size_t i = 1; i < count; i++) // without pos_embed
        wrt[n++] = parameter_tensor(g, &model, parameter_at(l, i)->name);
    assert_int_equal(graph_gradient(g, outputs, seeds, 2, wrt, n, dw), IGVK_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(tensor_is(dw[i])); // every parameter takes part
        graph_accumulate(g, dw[i], parameter_tensor(g, &gradient, parameter_at(l, i + 1)->name));
    }
    free(wrt);
    free(dw);
}

static void plan_is_near_the_live_set(const char *name, uint32_t count, bool training) {
    model_config c = preset(name);
    parameter_layout *l = layout_of(&c);
    compiled_graph compiled;
    tensor_id outputs[2];
    graph *g = model_graph(&c, l, count, training, outputs);
    if (training)
        add_gradients(g, l, outputs);
    assert_int_equal(graph_compile(&g, &plain_device, outputs, 2, &compiled), IGVK_OK);
    uint64_t live = live_set(&compiled.list);
    print_message("%s %s: %zu dispatches, peak %.1f MiB, live set %.1f MiB\n", name, training ? "training" : "sampling",
                  compiled.list.count, (double)compiled.plan.peak / 1048576, (double)live / 1048576);
    assert_true((double)compiled.plan.peak <= 1.1 * (double)live);
    compiled_graph_free(&compiled);
    parameter_layout_destroy(&l);
}

static void plans_of_real_sizes(void **state) {
    (void)state;
    static const char *const names[] = {"SiT-S/2", "SiT-B/2", "SiT-XL/2"};
    for (size_t i = 0; i < 3; i++) {
        plan_is_near_the_live_set(names[i], 4, false);
        plan_is_near_the_live_set(names[i], 4, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xl_has_the_published_count),     cmocka_unit_test(names_are_official),
        cmocka_unit_test(unconditional_has_no_label_table), cmocka_unit_test(initial_values_are_official),
        cmocka_unit_test(position_table_counts_columns_first), cmocka_unit_test(configuration_survives_json),
        cmocka_unit_test(hostile_configurations_are_refused), cmocka_unit_test(configurations_without_version_are_read),
        cmocka_unit_test(refused_configurations_name_the_key), cmocka_unit_test(the_demo_model_is_read),
        cmocka_unit_test(plans_of_real_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
