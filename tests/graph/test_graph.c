// SPDX-License-Identifier: MIT
// Tensors, views, nodes, the sticky failure, and the order rule of states.
#include "graph/helpers.h"

#include <stdio.h>

static void assert_refused(graph *g, const char *part) {
    assert_int_equal(graph_check(g), IGVK_ERROR_INVALID);
    if (!strstr(igvk_error_text(), part))
        FAIL_TEST("\"%s\" does not tell of \"%s\"", igvk_error_text(), part);
}

static void test_shapes(void **state_) {
    (void)state_;
    char text[64];
    assert_int_equal(shape_elements(SHAPE(4, 16, 48)), 4 * 16 * 48);
    assert_int_equal(shape_elements((tensor_shape){0}), 1);
    assert_int_equal(shape_elements(SHAPE(1ull << 40, 1ull << 40)), UINT64_MAX);
    assert_string_equal(shape_text(text, SHAPE(4, 16, 48)), "4x16x48");
    assert_string_equal(shape_text(text, (tensor_shape){0}), "scalar");
    shape_text(text, SHAPE(UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX)); // cut, not overrun
    assert_int_equal(strlen(text), 63);
    assert_true(shape_equal(SHAPE(2, 3), SHAPE(2, 3)));
    assert_false(shape_equal(SHAPE(2, 3), SHAPE(2, 3, 1)));
    assert_false(shape_equal(SHAPE(2, 3), SHAPE(3, 2)));
}

static void test_sticky_failure_keeps_its_text(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id a = input(g, "a", 4), b = input(g, "b", 5);
    tensor_id bad = add(g, a, b);
    assert_false(tensor_is(bad));
    uint32_t nodes = graph_node_count(g), tensors = graph_tensor_count(g);
    // A builder goes on without looking.
    tensor_id more = multiply(g, scale(g, bad, 2), graph_view(g, bad, 0, SHAPE(shape_of(g, bad).dim[0] / 2 + 1), "v"));
    graph_accumulate(g, more, state(g, "s", 4));
    graph_label(g, more, "label %d", 1);
    assert_false(tensor_is(graph_output(g, more, 0)));
    tensor_id gradient;
    assert_int_equal(graph_gradient(g, &more, &a, 1, &a, 1, &gradient), IGVK_ERROR_INVALID);
    assert_false(tensor_is(gradient));
    assert_false(tensor_is(graph_fail(g, "a later failure")));
    assert_int_equal(graph_node_count(g), nodes);
    assert_int_equal(graph_tensor_count(g), tensors);
    fail(IGVK_ERROR_IO, "something else went wrong");
    assert_refused(g, "add: input 1 is 5, input 0 is 4");
    fail(IGVK_ERROR_IO, "something else went wrong");
    assert_refused(g, "add: input 1 is 5, input 0 is 4");
    dispatch_list l;
    assert_int_equal(graph_lower(g, &test_capabilities, NULL, 0, &l), IGVK_ERROR_INVALID);
    assert_int_equal(l.count, 0);
    graph_destroy(&g);
    assert_null(g);
    graph_destroy(&g);
    graph_destroy(NULL);
}

static void test_externals(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id a = input(g, "a", 4);
    assert_true(tensor_same(a, input(g, "a", 4)));
    assert_true(tensor_same(a, graph_find(g, "a")));
    assert_false(tensor_is(graph_find(g, "b")));
    assert_int_equal(tensor_bytes(g, a), 16);
    assert_false(tensor_is(state(g, "a", 4)));
    assert_refused(g, "'a' is declared as state f32 4, but was declared as input f32 4 before");
    graph_destroy(&g);

    const tensor_shape refused[] = {SHAPE(4, 0), SHAPE(1ull << 40, 1ull << 40), {TENSOR_MAX_RANK + 1, {1}}};
    for (size_t k = 0; k < 3; k++) {
        g = test_graph();
        assert_false(tensor_is(graph_external(g, ROLE_INPUT, "empty", STORAGE_F32, refused[k])));
        assert_refused(g, "empty: shape");
        graph_destroy(&g);
    }
    g = test_graph();
    assert_false(tensor_is(graph_external(g, ROLE_INPUT, "", STORAGE_F32, SHAPE(1))));
    assert_refused(g, "needs a name");
    graph_destroy(&g);
}

static void test_views(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id chunk = graph_external(g, ROLE_PARAMETER, "model.0", STORAGE_F16, SHAPE(100));
    tensor_id weight = graph_view(g, chunk, 10, SHAPE(4, 5), "weight");
    tensor_id row = graph_view(g, weight, 5, SHAPE(5), "row");
    assert_true(tensor_same(tensor_of(g, row)->root, chunk));
    assert_int_equal(tensor_of(g, row)->offset, 2 * 15);
    assert_int_equal(tensor_bytes(g, row), 10);
    assert_int_equal(tensor_of(g, row)->role, ROLE_PARAMETER);
    assert_int_equal(tensor_of(g, row)->type, STORAGE_F16);
    assert_true(tensor_same(weight, graph_view(g, chunk, 10, SHAPE(4, 5), NULL)));
    assert_true(tensor_same(row, graph_find(g, "row")));
    tensor_id unnamed = graph_view(g, chunk, 0, SHAPE(3), NULL);
    assert_true(tensor_same(unnamed, graph_view(g, chunk, 0, SHAPE(3), "named later")));
    assert_true(tensor_same(unnamed, graph_find(g, "named later")));
    assert_false(tensor_same(unnamed, graph_view(g, chunk, 0, SHAPE(3, 1), NULL)));
    assert_int_equal(graph_check(g), IGVK_OK);
    assert_true(tensor_is(graph_view(g, weight, 19, SHAPE(1), NULL)));
    assert_false(tensor_is(graph_view(g, weight, 16, SHAPE(5), NULL)));
    assert_refused(g, "a view of 5 at element 16 reaches beyond 'weight' (4x5)");
    graph_destroy(&g);

    g = test_graph();
    assert_false(tensor_is(graph_view(g, input(g, "a", 4), UINT64_MAX, SHAPE(2), NULL)));
    assert_refused(g, "reaches beyond");
    graph_destroy(&g);
    g = test_graph();
    assert_false(tensor_is(graph_view(g, (tensor_id){77}, 0, SHAPE(2), "v")));
    assert_refused(g, "v: not a tensor of this graph");
    graph_destroy(&g);
}

static void test_nodes(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 6), twice = branch(g, x), thrice = graph_output(g, twice, 1);
    assert_int_equal(graph_node_count(g), 1);
    assert_int_equal(node_of(g, 0)->output_count, 2);
    assert_true(tensor_same(node_of(g, 0)->outputs[1], thrice));
    assert_int_equal(tensor_of(g, thrice)->producer, 1);
    assert_false(tensor_is(graph_output(g, twice, 2)));
    assert_false(tensor_is(graph_output(g, x, 0)));
    tensor_id part = graph_view(g, thrice, 2, SHAPE(3), NULL);
    assert_int_equal(tensor_of(g, part)->producer, 1);
    assert_true(tensor_same(graph_output(g, part, 0), twice));
    graph_label(g, twice, "block.%d", 3);
    assert_true(tensor_same(graph_find(g, "block.3"), twice));
    graph_label(g, x, "other");
    assert_string_equal(tensor_of(g, x)->name, "x"); // a key of memory stays
    assert_false(graph_keeps_for_gradient(g));
    graph_keep_for_gradient(g, true);
    assert_true(graph_keeps_for_gradient(g));

    // Attributes are the graph's own copy; null ones are zeros.
    float factor = 3;
    tensor_id y = scale(g, x, factor);
    factor = 4;
    memcpy(&factor, node_of(g, tensor_of(g, y)->producer - 1)->attributes, sizeof factor);
    assert_true(factor == 3);
    y = graph_node(g, &operator_scale, NULL, &x, 1);
    memcpy(&factor, node_of(g, tensor_of(g, y)->producer - 1)->attributes, sizeof factor);
    assert_true(factor == 0);

    // An input bound later: must be older than the node.
    graph_set_input(g, tensor_of(g, y)->producer - 1, 1, twice);
    assert_int_equal(node_of(g, tensor_of(g, y)->producer - 1)->input_count, 2);
    assert_int_equal(graph_check(g), IGVK_OK);
    graph_set_input(g, 0, 1, y);
    assert_refused(g, "node 0, slot 1 cannot read the 6 of node 2 (scale)");
    graph_destroy(&g);
}

static void test_assignment(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id chunk = state(g, "arena", 20), s = graph_view(g, chunk, 8, SHAPE(6), "s"), x = input(g, "x", 6);
    tensor_id old = add(g, s, x);
    tensor_id new = graph_node_assign(g, &operator_add, NULL, (tensor_id[]){s, old}, 2, &s, 1);
    const tensor *t = tensor_of(g, new);
    assert_true(tensor_same(t->root, chunk) && tensor_same(t->assigns, s));
    assert_int_equal(t->offset, 32);
    assert_int_equal(t->role, ROLE_STATE);
    scale(g, new, 2);                                     // the new value, by the assigning output
    scale(g, graph_view(g, new, 1, SHAPE(2), NULL), 2);   // or a view of it
    scale(g, graph_view(g, chunk, 0, SHAPE(8), NULL), 2); // beside it
    scale(g, graph_view(g, chunk, 14, SHAPE(6), NULL), 2);
    assert_int_equal(graph_check(g), IGVK_OK);
    graph_label(g, scale(g, graph_view(g, chunk, 13, SHAPE(2), NULL), 2), "late");
    assert_refused(g,
                   "node 6 (scale 'late') reads state part of 'arena' (2 at byte 52) after node 1 (add) assigned it");
    graph_destroy(&g);
}

static void test_assignment_refused(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 6), chunk = state(g, "arena", 20);
    assign(g, x, graph_view(g, chunk, 0, SHAPE(6), "one"));
    assign(g, x, graph_view(g, chunk, 5, SHAPE(6), "two"));
    assert_refused(g, "state 'two' (6) is assigned twice, by node 0 (scale) and by node 1 (scale)");
    graph_destroy(&g);

    g = test_graph();
    x = input(g, "x", 6);
    assign(g, x, x);
    assert_refused(g, "scale: cannot assign 'x' (6): only states and outputs");
    graph_destroy(&g);

    g = test_graph();
    x = input(g, "x", 6);
    assign(g, x, state(g, "s", 7));
    assert_refused(g, "scale: cannot assign 's' (7): the value is 6");
    graph_destroy(&g);

    g = test_graph();
    x = input(g, "x", 6);
    tensor_id s = state(g, "s", 6);
    tensor_id new = graph_node_assign(g, &operator_add, NULL, (tensor_id[]){x, x}, 2, &s, 1);
    assign(g, x, new);
    assert_refused(g, "assigned already");
    graph_destroy(&g);

    g = test_graph();
    x = input(g, "x", 6);
    tensor_id two[2] = {NO_TENSOR, state(g, "s", 6)};
    graph_node_assign(g, &operator_add, NULL, (tensor_id[]){x, x}, 2, two, 2);
    assert_refused(g, "2 states to assign, but 1 outputs");
    graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_sticky_failure_keeps_its_text),
        cmocka_unit_test(test_externals),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_assignment),
        cmocka_unit_test(test_assignment_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
