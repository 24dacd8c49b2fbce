// SPDX-License-Identifier: MIT
// DiT: published counts, outputs of twice the channels, a configuration without a path.
#include "models/model.h"

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

static void xl_has_the_published_count(void **state) {
    (void)state;
    const uint64_t published = 675129632, width = 1152, head = 2 * width * width + 2 * width + 32 * width + 32;
    model_config c = preset("DiT-XL/2");
    parameter_layout *l = layout_of(&c);
    assert_int_equal(parameter_elements(l), published + head);
    parameter_layout_destroy(&l);
    assert_int_equal(c.head_after, 8);
    assert_string_equal(c.kind, "dit");
}

static void outputs_have_twice_the_channels(void **state) {
    (void)state;
    model_config c = preset("DiT-S/8");
    parameter_layout *l = layout_of(&c);
    graph *g = graph_new();
    parameter_set set = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER};
    model_inputs in = {.x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(2, 4, 32, 32)),
                       .t = graph_external(g, ROLE_INPUT, "t", STORAGE_F32, SHAPE(2)),
                       .labels = graph_external(g, ROLE_INPUT, "y", STORAGE_U32, SHAPE(2))};
    model_outputs o = dit_kind.build(g, &c, &set, &in);
    assert_int_equal(graph_check(g), IGVK_OK);
    assert_true(shape_equal(shape_of(g, o.final_output), SHAPE(2, 8, 32, 32)));
    assert_true(shape_equal(shape_of(g, o.intermediate), SHAPE(2, 8, 32, 32)));
    graph_destroy(&g);
    parameter_layout_destroy(&l);
}

static void configuration_has_no_path(void **state) {
    (void)state;
    model_config c = preset("DiT-B/2"), again;
    char *text = model_config_to_json(&c);
    assert_null(strstr(text, "path"));
    assert_int_equal(model_config_from_json("test", text, &again), IGVK_OK);
    assert_memory_equal(&c, &again, sizeof c);
    free(text);
    c.learn_sigma = false;
    assert_int_equal(model_config_check(&c), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "learn_sigma"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xl_has_the_published_count),
        cmocka_unit_test(outputs_have_twice_the_channels),
        cmocka_unit_test(configuration_has_no_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
