// SPDX-License-Identifier: MIT
// Lowering: which nodes are needed, what each dispatch is checked for, workgroups folded into two axes, cost.
#include "graph/helpers.h"

#include <stdio.h>

static void test_needed_nodes(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 100), s = state(g, "s", 100);
    tensor_id a = scale(g, x, 2);                  // 0 needed through 4
    tensor_id unused = multiply(g, a, a);          // 1
    tensor_id kept = branch(g, scale(g, unused, 2)); // 2, 3 kept through a view of output 1
    tensor_id output = graph_external(g, ROLE_OUTPUT, "out", STORAGE_F32, SHAPE(100));
    assign(g, reverse(g, a), s); // 4, 5: reverse is two dispatches
    opaque(g, kept);             // 6 unused
    assign(g, x, output);        // 7
    tensor_id new = graph_output(g, node_of(g, 5)->outputs[0], 0);
    scale(g, new, 2); // 8 unused: reads the new value, is not read
    assert_int_equal(graph_node_count(g), 9);

    dispatch_list l;
    assert_int_equal(graph_lower(g, &test_capabilities, NULL, 0, &l), IGVK_OK);
    const uint32_t without_keep[] = {0, 4, 4, 5, 7};
    assert_int_equal(l.count, 5);
    for (size_t i = 0; i < l.count; i++)
        assert_int_equal(l.items[i].node, without_keep[i]);
    assert_string_equal(l.items[1].shader, "scale");
    assert_string_equal(l.items[2].shader, "reverse");
    // The cost of a node whose operator did not split it is shared by its dispatches.
    assert_true(l.items[1].flops == 50 && l.items[2].flops == 50 && l.items[1].bytes == 400);
    dispatch_list_free(&l);

    tensor_id part = graph_view(g, graph_output(g, kept, 1), 5, SHAPE(3), NULL);
    assert_int_equal(graph_lower(g, &test_capabilities, &part, 1, &l), IGVK_OK);
    const uint32_t with_keep[] = {0, 1, 2, 3, 4, 4, 5, 7};
    assert_int_equal(l.count, 8);
    for (size_t i = 0; i < l.count; i++)
        assert_int_equal(l.items[i].node, with_keep[i]);
    dispatch_list_free(&l);
    assert_int_equal(l.count, 0);
    graph_destroy(&g);
}

static void test_groups(void **state_) {
    (void)state_;
    capabilities c = test_capabilities;
    static const uint64_t items[] = {
        0, 1, 63, 64, 65, 64 * 65535ull, 64 * 65535ull + 1, 1ull << 31, 64 * 65535ull * 65535};
    for (size_t k = 0; k < sizeof items / sizeof *items; k++) {
        dispatch d = {0};
        dispatch_groups_linear(&d, &c, items[k], 64);
        uint64_t groups = (uint64_t)d.groups[0] * d.groups[1], need = (items[k] + 63) / 64;
        assert_true(d.groups[0] >= 1 && d.groups[0] <= 65535 && d.groups[1] >= 1 && d.groups[1] <= 65535);
        assert_int_equal(d.groups[2], 1);
        assert_true(groups >= need && groups < (need ? need : 1) + d.groups[1]);
    }
    dispatch d = {.shader = "x", .local_size = 64};
    dispatch_groups_linear(&d, &c, UINT64_MAX, 1); // more than two axes hold: emit refuses it
    graph *g = test_graph();
    dispatch_list list = {.graph = g};
    lowering l = {&c, g, &list, 0};
    assert_int_equal(lowering_emit(&l, &d), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(igvk_error_text(), "use a smaller batch"));
    graph_destroy(&g);
}

static void assert_emit(graph *g, const capabilities *c, const dispatch *d, const char *refusal) {
    dispatch_list list = {.graph = g};
    lowering l = {c, g, &list, 3};
    igvk_status status = lowering_emit(&l, d);
    if (refusal) {
        assert_int_not_equal(status, IGVK_OK);
        assert_int_equal(list.count, 0);
        if (!strstr(igvk_error_text(), refusal))
            FAIL_TEST("\"%s\" does not tell of \"%s\"", igvk_error_text(), refusal);
    } else {
        assert_int_equal(status, IGVK_OK);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.items[0].node, 3);
    }
    dispatch_list_free(&list);
}

static void test_emit_checks(void **state_) {
    (void)state_;
    graph *g = test_graph();
    capabilities c = test_capabilities;
    c.max_binding = 1000;
    tensor_id x = input(g, "x", 100), y = scale(g, x, 1), large = scale(g, input(g, "large", 251), 1);
    graph_label(g, large, "blocks.0.mlp");
    const dispatch good = {.shader = "scale", .local_size = 64, .groups = {2, 1, 1}};
    dispatch d = good;
    dispatch_bind(&d, y, ACCESS_READ);
    dispatch_bind_in_place(&d, graph_scratch(g, STORAGE_F32, SHAPE(100)), 0);
    assert_int_equal(d.arguments[1].in_place_of, 1);
    assert_emit(g, &c, &d, NULL);

    d = good, d.local_size = 129;
    assert_emit(g, &c, &d, "129 invocations");
    d = good, d.local_size = 0;
    assert_emit(g, &c, &d, "0 invocations");
    d = good, d.groups[2] = 0;
    assert_emit(g, &c, &d, "0 workgroups along z");
    d = good;
    for (int k = 0; k <= DISPATCH_MAX_ARGUMENTS; k++)
        dispatch_bind_in_place(&d, x, 0);
    assert_emit(g, &c, &d, "11 tensors bound");
    d = good;
    for (int k = 0; k <= DISPATCH_MAX_SCALARS; k++)
        dispatch_scalar_f32(&d, 1);
    assert_emit(g, &c, &d, "13 push words");
    d = good;
    for (int k = 0; k <= DISPATCH_MAX_CONSTANTS; k++)
        dispatch_constant(&d, 1);
    assert_emit(g, &c, &d, "17 specialization constants");
    d = good;
    dispatch_bind(&d, NO_TENSOR, ACCESS_READ);
    assert_emit(g, &c, &d, "shader scale: slot 0 binds no tensor");
    d = good;
    dispatch_bind(&d, large, ACCESS_READ);
    assert_emit(g, &c, &d, "'blocks.0.mlp' (251) has 1004 B, one binding of this device spans at most 1000 B");
    d = good;
    dispatch_bind(&d, x, ACCESS_UPDATE);
    assert_emit(g, &c, &d, "writes 'x' (100), which is not declared as written");
    d = good;
    dispatch_bind(&d, y, ACCESS_WRITE);
    dispatch_bind_in_place(&d, large, 0);
    assert_emit(g, &test_capabilities, &d, "in place of slot 0, which is not read");
    d = good;
    dispatch_bind_in_place(&d, y, 5);
    assert_emit(g, &c, &d, "in place of slot 5");
    graph_destroy(&g);
}

// A refusal while lowering names the node; the list is empty afterwards.
static void test_refusal_names_the_node(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 100), s = state(g, "s", 100);
    assign(g, graph_label(g, scale(g, x, 1), "blocks.2.attention"), s);
    capabilities c = test_capabilities;
    c.max_binding = 10;
    dispatch_list l;
    assert_int_equal(graph_lower(g, &c, NULL, 0, &l), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(
        strstr(igvk_error_text(), "node 0 (scale 'blocks.2.attention'): shader scale: 'x' (100) has 400 B"));
    assert_null(l.items);
    graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needed_nodes),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_emit_checks),
        cmocka_unit_test(test_refusal_names_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
