// SPDX-License-Identifier: MIT
// Gradients of small graphs by hand and of random ones by finite differences; sums in epilogues; accumulation.
#include "graph/helpers.h"

#include <math.h>
#include <stdlib.h>

static const operator *operator_at(const graph *g, uint32_t index) { return node_of(g, index)->op; }

static tensor_id gradient_of(graph *g, tensor_id output, tensor_id wrt) {
    tensor_id seed = fill(g, shape_of(g, output), 1), gradient;
    assert_int_equal(graph_gradient(g, &output, &seed, 1, &wrt, 1, &gradient), IGVK_OK);
    return gradient;
}

static void assert_refused(graph *g, const char *part) {
    assert_int_equal(graph_check(g), IGVK_ERROR_INVALID);
    if (!strstr(igvk_error_text(), part))
        FAIL_TEST("\"%s\" does not tell of \"%s\"", igvk_error_text(), part);
    graph_destroy(&g);
}

static void run(graph *g, const tensor_id *keep, size_t keep_count, host *h) {
    dispatch_list l;
    assert_int_equal(graph_lower(g, &test_capabilities, keep, keep_count, &l), IGVK_OK);
    host_open(h, g, NULL);
    host_run_all(h, &l);
    dispatch_list_free(&l);
}

// ---- sums --------------------------------------------------------------------------------------------

static void test_sum_in_the_epilogue(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), y = add(g, scale(g, x, 2), scale(g, x, 3));
    uint32_t before = graph_node_count(g) + 1; // and the seed's fill
    tensor_id dx = gradient_of(g, y, x);
    // The last consumer first: 3 dy, then 2 dy + that, in the epilogue of the later one.
    assert_int_equal(graph_node_count(g), before + 2);
    const node *sum = node_of(g, before + 1);
    assert_true(tensor_same(sum->outputs[0], dx));
    assert_true(tensor_same(sum->inputs[1], node_of(g, before)->outputs[0]));
    host h;
    run(g, &dx, 1, &h);
    assert_true(host_at(&h, dx)[4] == 5);
    host_close(&h);
    graph_destroy(&g);
}

static void test_sum_by_add(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), y = multiply(g, x, x);
    uint32_t before = graph_node_count(g) + 1;
    tensor_id dx = gradient_of(g, y, x);
    assert_int_equal(graph_node_count(g), before + 3);
    assert_ptr_equal(operator_at(g, before + 2), &operator_add);
    host h;
    run(g, &dx, 1, &h);
    for (int i = 0; i < 5; i++)
        assert_true(host_at(&h, dx)[i] == 2 * host_at(&h, x)[i]);
    host_close(&h);
    graph_destroy(&g);
}

// What two gradients share is never added into: x + x hands dy on twice; a + b hands one tensor to both.
static void test_shared_gradients(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id a = input(g, "a", 5), b = input(g, "b", 5);
    tensor_id sum = add(g, a, b), y = add(g, add(g, scale(g, sum, 4), add(g, sum, sum)), scale(g, a, 7));
    tensor_id seed = fill(g, SHAPE(5), 1), wrt[3] = {a, b, sum}, d[3];
    assert_int_equal(graph_gradient(g, &y, &seed, 1, wrt, 3, d), IGVK_OK);
    assert_true(tensor_same(d[1], d[2]));
    tensor_id keep[4] = {d[0], d[1], d[2], seed};
    host h;
    run(g, keep, 4, &h);
    assert_true(host_at(&h, d[0])[0] == 13 && host_at(&h, d[1])[0] == 6 && host_at(&h, seed)[0] == 1);
    host_close(&h);
    graph_destroy(&g);
}

static void gradient_is_own_output(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)dy, (void)want;
    dx[0] = node_of(g, index)->outputs[0];
}

// A rule may hand out a tensor of the forward graph; that is not to be added into, though nothing reads it.
static void test_forward_tensors_stay(void **state_) {
    (void)state_;
    operator exponential = operator_scale;
    exponential.gradient = gradient_is_own_output;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), y = graph_node(g, &exponential, NULL, &x, 1), seed = input(g, "seed", 5);
    // x is an output too, so that its sum starts with the seed, which is older than y.
    tensor_id outputs[2] = {y, x}, seeds[2] = {seed, seed}, dx;
    assert_int_equal(graph_gradient(g, outputs, seeds, 2, &x, 1, &dx), IGVK_OK);
    assert_int_equal(node_of(g, 0)->input_count, 1);
    assert_false(tensor_same(dx, y));
    graph_destroy(&g);
}

static void gradient_in_reverse(graph *g, uint32_t index, const tensor_id *dy, const bool *want, tensor_id *dx) {
    (void)index, (void)want;
    dx[1] = scale(g, dy[0], 3);
    dx[0] = scale(g, dy[0], 2);
}

// Both inputs are x, and the rule makes the second one's gradient first: it cannot add what is made after it.
static void test_newer_sum(void **state_) {
    (void)state_;
    operator mixture = operator_add;
    mixture.gradient = gradient_in_reverse;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), y = graph_node(g, &mixture, NULL, (tensor_id[]){x, x}, 2);
    tensor_id dx = gradient_of(g, y, x);
    host h;
    run(g, &dx, 1, &h);
    assert_true(host_at(&h, dx)[0] == 5);
    host_close(&h);
    graph_destroy(&g);
}

// ---- what is wanted ----------------------------------------------------------------------------------

static void test_only_what_is_wanted(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), w = input(g, "w", 5), other = input(g, "other", 5);
    tensor_id y = multiply(g, scale(g, x, 2), w);
    multiply(g, y, other); // not on the path from y
    uint32_t before = graph_node_count(g) + 1;
    tensor_id seed = fill(g, SHAPE(5), 1), wrt[3] = {w, other, seed}, d[3];
    assert_int_equal(graph_gradient(g, &y, &seed, 1, wrt, 3, d), IGVK_OK);
    assert_int_equal(graph_node_count(g), before + 1); // dw alone
    assert_true(tensor_is(d[0]) && !tensor_is(d[1]) && !tensor_is(d[2]));
    // The output itself, and nothing through an operator without a rule.
    tensor_id z = opaque(g, scale(g, x, 2));
    before = graph_node_count(g);
    assert_int_equal(graph_gradient(g, &z, &seed, 1, (tensor_id[]){x, z}, 2, d), IGVK_OK);
    assert_int_equal(graph_node_count(g), before);
    assert_false(tensor_is(d[0]));
    assert_true(tensor_same(d[1], seed));
    graph_destroy(&g);
}

static void test_two_outputs(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), first = branch(g, x), second = graph_output(g, first, 1);
    tensor_id seeds[3] = {fill(g, SHAPE(5), 1), fill(g, SHAPE(5), 10), fill(g, SHAPE(5), 100)}, dx[2];
    assert_int_equal(graph_gradient(g, &second, seeds, 1, &x, 1, &dx[0]), IGVK_OK); // dy of output 0 is absent
    tensor_id outputs[3] = {first, second, first};                                  // the same output twice
    assert_int_equal(graph_gradient(g, outputs, seeds, 3, &x, 1, &dx[1]), IGVK_OK);
    host h;
    run(g, dx, 2, &h);
    assert_true(host_at(&h, dx[0])[0] == 3);
    assert_true(host_at(&h, dx[1])[0] == 2 * 101 + 3 * 10);
    host_close(&h);
    graph_destroy(&g);
}

static void test_bad_arguments(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 5), y = scale(g, x, 2), seed = fill(g, SHAPE(4), 1), d;
    graph_gradient(g, &y, &seed, 1, &x, 1, &d);
    assert_refused(g, "has a seed of another shape");
    g = test_graph();
    x = input(g, "x", 5), y = scale(g, x, 2);
    tensor_id part = graph_view(g, y, 1, SHAPE(2), "part"), z = scale(g, part, 1);
    graph_gradient(g, &z, &z, 1, &part, 1, &d);
    assert_refused(g, "wrt 'part' (2) is a view of a part of a computed tensor");
    g = test_graph();
    x = input(g, "x", 5), y = scale(g, x, 2), part = graph_view(g, y, 1, SHAPE(2), "part");
    graph_gradient(g, &part, &part, 1, &x, 1, &d);
    assert_refused(g, "output 'part' (2) is a view of a part");
    g = test_graph();
    x = input(g, "x", 5);
    graph_gradient(g, &x, &(tensor_id){99}, 1, &x, 1, &d);
    assert_refused(g, "graph_gradient, seed: not a tensor of this graph");
}

// ---- views -------------------------------------------------------------------------------------------

static void test_whole_views(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id chunk = state(g, "chunk", 64), w = graph_view(g, chunk, 8, SHAPE(12), "w");
    tensor_id x = input(g, "x", 12), a = multiply(g, x, w);
    tensor_id b = graph_view(g, graph_view(g, a, 0, SHAPE(3, 4), NULL), 0, SHAPE(2, 6), NULL);
    tensor_id c = multiply(g, b, graph_view(g, w, 0, SHAPE(2, 6), NULL)); // x w w
    tensor_id d = multiply(g, a, w);                                      // x w w
    tensor_id y = total(g, c), z = total(g, d), outputs[2] = {y, z};
    tensor_id one = fill(g, SHAPE(1), 1), seeds[2] = {one, one}, wrt[2] = {w, x}, dx[2];
    assert_int_equal(graph_gradient(g, outputs, seeds, 2, wrt, 2, dx), IGVK_OK);
    assert_true(shape_equal(shape_of(g, dx[0]), SHAPE(12)));
    host h;
    run(g, dx, 2, &h);
    for (int i = 0; i < 12; i++) {
        float xi = host_at(&h, x)[i], wi = host_at(&h, w)[i];
        assert_true(fabsf(host_at(&h, dx[0])[i] - 4 * xi * wi) < 1e-5f);
        assert_true(fabsf(host_at(&h, dx[1])[i] - 2 * wi * wi) < 1e-5f);
    }
    host_close(&h);
    graph_destroy(&g);
}

static void test_partial_views(void **state_) {
    (void)state_;
    // Off the path: an input's part, and a part that only a rule-less operator reads.
    graph *g = test_graph();
    tensor_id x = input(g, "x", 12), w = input(g, "w", 6), a = multiply(g, graph_view(g, x, 3, SHAPE(6), NULL), w);
    opaque(g, graph_view(g, a, 0, SHAPE(2), NULL));
    assert_true(tensor_is(gradient_of(g, a, w)));
    graph_destroy(&g);
    // On it: a part of an activation, a part of a wrt.
    for (int which = 0; which < 2; which++) {
        g = test_graph();
        x = input(g, "x", 12);
        tensor_id whole = which ? x : scale(g, x, 2);
        tensor_id y = scale(g, graph_view(g, whole, 3, SHAPE(6), "middle"), 2), seed = fill(g, SHAPE(6), 1), d;
        assert_int_equal(graph_gradient(g, &y, &seed, 1, &x, 1, &d), IGVK_ERROR_INVALID);
        assert_refused(g, "(scale): its input 'middle' (6) is a view of a part");
    }
    // A wrt that is a view itself, read through another view that shares bytes with it.
    g = test_graph();
    x = input(g, "x", 12), w = graph_view(g, x, 0, SHAPE(6), "w");
    tensor_id y = multiply(g, w, graph_view(g, x, 5, SHAPE(6), "beside")), seed = fill(g, SHAPE(6), 1), d;
    graph_gradient(g, &y, &seed, 1, &w, 1, &d);
    assert_refused(g, "its input 'beside' (6)");
}

// ---- accumulation ------------------------------------------------------------------------------------

static void test_accumulate(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id chunk = state(g, "gradient", 40), x = input(g, "x", 6);
    tensor_id s[6];
    for (uint64_t k = 0; k < 6; k++)
        s[k] = graph_view(g, chunk, 6 * k, SHAPE(6), NULL);
    tensor_id v[6] = {scale(g, x, 2),    // fused
                      multiply(g, x, x), // no fuse_add
                      scale(g, x, 3),    // read by another
                      graph_view(g, scale(g, graph_view(g, x, 0, SHAPE(2, 3), NULL), 4), 0, SHAPE(6), NULL), // fused
                      scale(g, x, 5),                                                // its state is read after it
                      graph_node(g, &operator_scale, NULL, (tensor_id[]){x, x}, 2)}; // has an addend already
    tensor_id reader = scale(g, v[2], 1), old = scale(g, s[4], 1), keep[2] = {reader, old};
    uint32_t before = graph_node_count(g);
    for (int k = 0; k < 6; k++)
        graph_accumulate(g, v[k], s[k]);
    assert_int_equal(graph_check(g), IGVK_OK);
    assert_int_equal(graph_node_count(g), before + 4);
    assert_true(tensor_same(tensor_of(g, v[0])->root, chunk) && tensor_same(tensor_of(g, v[3])->root, chunk));
    assert_int_equal(tensor_of(g, v[3])->offset, 4 * 18);
    host h;
    run(g, keep, 2, &h);
    for (uint64_t i = 0; i < 6; i++) {
        float xi = host_at(&h, x)[i], value[6] = {2 * xi, xi * xi, 3 * xi, 4 * xi, 5 * xi, xi};
        for (uint64_t k = 0; k < 6; k++)
            assert_true(fabsf(host_at(&h, s[k])[i] - (host_initial(chunk, 6 * k + i) + value[k])) < 1e-6f);
        assert_true(host_at(&h, reader)[i] == 3 * xi && host_at(&h, old)[i] == host_initial(chunk, 24 + i));
    }
    host_close(&h);
    graph_accumulate(g, v[0], graph_view(g, chunk, 36, SHAPE(4), NULL));
    assert_refused(g, "is the new value of a state already");

    g = test_graph();
    graph_accumulate(g, scale(g, input(g, "x", 6), 1), state(g, "s", 5));
    assert_refused(g, "graph_accumulate: cannot assign 's' (5): the value is 6");
}

// One tensor is the gradient of two states: both get it, neither addition goes into it.
static void test_accumulate_shared(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id a = input(g, "a", 5), b = input(g, "b", 5), y = scale(g, add(g, a, b), 3);
    tensor_id seed = fill(g, SHAPE(5), 1), wrt[2] = {a, b}, d[2];
    assert_int_equal(graph_gradient(g, &y, &seed, 1, wrt, 2, d), IGVK_OK);
    assert_true(tensor_same(d[0], d[1]));
    tensor_id da = state(g, "da", 5), db = state(g, "db", 5);
    graph_accumulate(g, d[0], da);
    graph_accumulate(g, d[1], db);
    host h;
    run(g, NULL, 0, &h);
    assert_true(host_at(&h, da)[0] == host_initial(da, 0) + 3 && host_at(&h, db)[0] == host_initial(db, 0) + 3);
    host_close(&h);
    graph_destroy(&g);
}

// ---- random graphs -----------------------------------------------------------------------------------

#define SIZE 6

static tensor_id random_formula(graph *g, uint32_t seed, const tensor_id *inputs) {
    tensor_id pool[8];
    for (int k = 0; k < 8; k++)
        pool[k] = inputs[k % 3];
    for (int i = 0; i < 14; i++) {
        tensor_id a = pool[random_below(&seed, 8)], b = pool[random_below(&seed, 8)], t;
        switch (random_below(&seed, 6)) {
        case 0:
            t = add(g, a, b);
            break;
        case 1:
            t = multiply(g, a, b);
            break;
        case 2:
            t = scale(g, a, -0.7f);
            break;
        case 3:
            t = branch(g, scale(g, a, 0.3f));
            pool[random_below(&seed, 8)] = graph_output(g, t, 1);
            break;
        case 4:
            t = graph_view(g, reverse(g, graph_view(g, a, 0, SHAPE(2, 3), NULL)), 0, SHAPE(SIZE), NULL);
            break;
        default:
            t = graph_node(g, &operator_scale, (float[16]){0.9f}, (tensor_id[]){a, b}, 2);
        }
        pool[random_below(&seed, 8)] = t;
    }
    tensor_id y = pool[0];
    for (int k = 1; k < 8; k++)
        y = add(g, y, pool[k]);
    return total(g, multiply(g, scale(g, y, 0.1f), inputs[0]));
}

static double loss_at(const dispatch_list *l, tensor_id loss, tensor_id wrt, int element, double change) {
    host h;
    host_open(&h, l->graph, NULL);
    host_at(&h, wrt)[element] += (float)change;
    host_run_all(&h, l);
    double value = host_at(&h, loss)[0];
    host_close(&h);
    return value;
}

static void test_random(void **state_) {
    (void)state_;
    for (uint32_t seed = 1; seed <= 150; seed++) {
        graph *g = test_graph();
        tensor_id x[3] = {input(g, "x", SIZE), input(g, "y", SIZE), input(g, "z", SIZE)}, keep[4], one;
        keep[3] = random_formula(g, seed, x);
        one = fill(g, SHAPE(1), 1);
        assert_int_equal(graph_gradient(g, &keep[3], &one, 1, x, 3, keep), IGVK_OK);
        dispatch_list l;
        size_t keep_count = 0;
        tensor_id kept[4];
        for (int k = 0; k < 4; k++)
            if (tensor_is(keep[k]))
                kept[keep_count++] = keep[k];
        assert_int_equal(graph_lower(g, &test_capabilities, kept, keep_count, &l), IGVK_OK);
        host h;
        host_open(&h, g, NULL);
        host_run_all(&h, &l);
        for (int k = 0; k < 3; k++)
            for (int e = 0; e < SIZE; e++) {
                double step = 0.02, up = loss_at(&l, keep[3], x[k], e, step),
                       down = loss_at(&l, keep[3], x[k], e, -step);
                double numeric = (up - down) / (2 * step), found = tensor_is(keep[k]) ? host_at(&h, keep[k])[e] : 0;
                if (!(fabs(found - numeric) < 0.01 * (fabs(numeric) + fabs(found)) + 0.002))
                    FAIL_TEST("seed %u: d loss / d x%d[%d]: %g, by differences %g", seed, k, e, found, numeric);
            }
        host_close(&h);
        dispatch_list_free(&l);
        graph_destroy(&g);
    }
}

// ---- computed again ----------------------------------------------------------------------------------

#define SEGMENTS 3
#define INSIDE 100

// Segments x := (x^2 as a row)^2, and what the sum's gradient with respect to the first x is. inside[k] is in segment k.
static tensor_id squares_of_squares(graph *g, tensor_id inside[SEGMENTS]) {
    tensor_id x = input(g, "x", INSIDE), first = x;
    for (uint32_t k = 0; k < SEGMENTS; k++) {
        graph_segment_begin(g);
        inside[k] = graph_view(g, multiply(g, x, x), 0, SHAPE(1, INSIDE), NULL);
        graph_segment_begin(g);
        x = graph_view(g, multiply(g, inside[k], inside[k]), 0, SHAPE(INSIDE), NULL);
        graph_segment_end(g);
        graph_segment_end(g);
    }
    return gradient_of(g, total(g, x), first);
}

static bool reads(const graph *g, const node *n, tensor_id t) {
    for (uint32_t k = 0; k < n->input_count; k++)
        if (tensor_same(tensor_of(g, n->inputs[k])->root, tensor_of(g, t)->root))
            return true;
    return false;
}

// Besides the forward pass (two products a segment) none reads what is inside a segment, but of the last.
static void test_computed_again(void **state_) {
    (void)state_;
    tensor_id inside[SEGMENTS], plain_dx, dx;
    host plain, again;
    graph *g = test_graph(), *h = test_graph();
    plain_dx = squares_of_squares(g, inside);
    graph_recompute(h, true);
    dx = squares_of_squares(h, inside);
    for (uint32_t i = 2 * SEGMENTS; i < graph_node_count(h); i++)
        for (uint32_t k = 0; k + 1 < SEGMENTS; k++)
            assert_false(reads(h, node_of(h, i), inside[k]));
    assert_int_equal(graph_node_count(h), graph_node_count(g) + 2 * (SEGMENTS - 1));
    run(g, &plain_dx, 1, &plain);
    run(h, &dx, 1, &again);
    assert_memory_equal(host_at(&plain, plain_dx), host_at(&again, dx), INSIDE * sizeof(float));
    host_close(&plain);
    host_close(&again);
    graph_destroy(&g);
    graph_destroy(&h);
}

static void test_states_are_not_assigned_again(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id x = input(g, "x", 2), y = NO_TENSOR;
    graph_recompute(g, true);
    for (int k = 0; k < 2; k++) {
        graph_segment_begin(g);
        y = multiply(g, tensor_is(y) ? y : x, x);
        assign(g, y, state(g, k ? "b" : "a", 2));
        y = multiply(g, y, x);
        graph_segment_end(g);
    }
    tensor_id seed = fill(g, SHAPE(2), 1), dx;
    assert_int_equal(graph_gradient(g, &y, &seed, 1, &x, 1, &dx), IGVK_ERROR_INVALID);
    assert_refused(g, "assigns a state");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_in_the_epilogue),
        cmocka_unit_test(test_sum_by_add),
        cmocka_unit_test(test_shared_gradients),
        cmocka_unit_test(test_forward_tensors_stay),
        cmocka_unit_test(test_only_what_is_wanted),
        cmocka_unit_test(test_two_outputs),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_whole_views),
        cmocka_unit_test(test_partial_views),
        cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_accumulate_shared),
        cmocka_unit_test(test_newer_sum),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_computed_again),
        cmocka_unit_test(test_states_are_not_assigned_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
