// SPDX-License-Identifier: MIT
// MDTv2: names, counts and what it refuses; its weights are recognised, index buffers and all; every parameter learns.
#include "models/objective.h"
#include "models/recognise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static model_config preset(const char *name) {
    model_config c = {.height = 32, .width = 32, .channels = 4, .classes = 1000, .null_class = true, .mlp_ratio = 4};
    assert_int_equal(model_config_preset(name, &c), IGVK_OK);
    return c;
}

static parameter_layout *layout_of(const model_config *c) {
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    model_kind_find(c->kind)->parameters(c, l);
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    return l;
}

static void names_and_shapes_are_official(void **state) {
    (void)state;
    model_config c = preset("MDTv2-S/2");
    parameter_layout *l = layout_of(&c);
    const char *table = "de_blocks.3.attn.rel_pos_bias.relative_position_bias_table";
    assert_true(shape_equal(parameter_find(l, table)->shape, SHAPE(31 * 31 + 3, 6)));
    assert_true(shape_equal(parameter_find(l, "en_outblocks.3.skip_linear.weight")->shape, SHAPE(384, 768)));
    assert_true(shape_equal(parameter_find(l, "mask_token")->shape, SHAPE(1, 1, 384)));
    assert_false(parameter_find(l, "pos_embed")->frozen);
    assert_null(parameter_find(l, "en_inblocks.4.attn.qkv.weight"));
    assert_null(parameter_find(l, "en_inblocks.0.skip_linear.weight"));
    assert_null(parameter_find(l, "sideblocks.0.skip_linear.weight"));
    assert_non_null(parameter_find(l, "sideblocks.0.attn.proj.bias"));
    parameter_layout_destroy(&l);
}

static void odd_depths_and_late_heads_are_refused(void **state) {
    (void)state;
    model_config c = preset("MDTv2-B/2"), again;
    char *text = model_config_to_json(&c);
    assert_int_equal(model_config_from_json("test", text, &again), IGVK_OK);
    assert_memory_equal(&c, &again, sizeof c);
    free(text);
    c.depth = 11;
    assert_int_equal(model_config_check(&c), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--depth"));
    c = preset("MDTv2-B/2");
    c.head_after = 9;
    assert_int_equal(model_config_check(&c), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--head-after 9"));
}

// As an official file lists them, with the buffers of whole numbers that their shape determines.
static void weights_are_recognised(void **state) {
    (void)state;
    model_config c = preset("MDTv2-XL/2"), out;
    char notes[512];
    parameter_layout *l = layout_of(&c);
    const size_t count = parameter_count(l);
    weight_entry *entries = calloc(count, sizeof *entries);
    for (size_t i = 0; i < count; i++) { // sorted by insertion
        const parameter *p = parameter_at(l, i);
        size_t at = i;
        for (; at > 0 && strcmp(entries[at - 1].name, p->name) > 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = (weight_entry){.name = p->name, .rank = p->shape.rank, .shape = p->shape.dim};
    }
    const model_hints given = {.classes = 1000, .knows_classes = true};
    assert_int_equal(model_recognise("file", &(weight_list){entries, count}, &given, NULL, &out, notes, sizeof notes),
                     IGVK_OK);
    assert_string_equal(out.kind, "mdtv2");
    char *wanted = model_config_to_json(&c), *got = model_config_to_json(&out);
    assert_string_equal(got, wanted);
    free(wanted);
    free(got);
    free(entries);
    parameter_layout_destroy(&l);
}

static void every_parameter_learns(void **state) {
    (void)state;
    model_config c = preset("MDTv2-S/2");
    parameter_layout *l = layout_of(&c);
    const objective_options o = {.auxiliary_weight = 0.5, .guided_target = 1};
    const tensor_shape image = SHAPE(2, 4, 32, 32);
    tensor_id losses[OBJECTIVE_TERMS], seeds[OBJECTIVE_TERMS];
    graph *g = graph_new();
    graph_keep_for_gradient(g, true);
    const parameter_set set = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER};
    const objective_inputs in = {
        .model = set,
        .steps = graph_external(g, ROLE_STATE, "steps", STORAGE_U32, SHAPE((1 + STEP_RING) * STEP_WORDS)),
        .batch = {.x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, image),
                  .noise = graph_external(g, ROLE_INPUT, "noise", STORAGE_F32, image),
                  .labels = graph_external(g, ROLE_INPUT, "y", STORAGE_U32, SHAPE(2))}};
    mdtv2_kind.objective->losses(g, &c, &o, &in, losses);
    assert_int_equal(graph_check(g), IGVK_OK);
    const size_t count = parameter_count(l);
    tensor_id *wrt = calloc(count, sizeof *wrt), *gradients = calloc(count, sizeof *gradients);
    for (uint32_t k = 0; k < mdtv2_kind.objective->term_count; k++)
        seeds[k] = op_fill(g, SHAPE(2), 1);
    for (size_t i = 0; i < count; i++)
        wrt[i] = parameter_tensor(g, &set, parameter_at(l, i)->name);
    assert_int_equal(graph_gradient(g, losses, seeds, mdtv2_kind.objective->term_count, wrt, count, gradients),
                     IGVK_OK);
    for (size_t i = 0; i < count; i++)
        if (!tensor_is(gradients[i]))
            fail_msg("%s has no gradient", parameter_at(l, i)->name);
    free(wrt);
    free(gradients);
    graph_destroy(&g);
    parameter_layout_destroy(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_shapes_are_official),
        cmocka_unit_test(odd_depths_and_late_heads_are_refused),
        cmocka_unit_test(weights_are_recognised),
        cmocka_unit_test(every_parameter_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
