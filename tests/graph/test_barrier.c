// SPDX-License-Identifier: MIT
// Derived barriers against an oracle that looks at every pair of dispatches: each hazard has a barrier between, no
// barrier is useless, and a replayed program's wrap-around is safe with the recorder's barrier at its start.
#include "graph/helpers.h"

#include <stdlib.h>

// Whether two dispatches touch a byte that one of them writes. Places come from the plan's table, not by tensor_range.
static bool touch_same(const dispatch_list *l, const memory_plan *p, tensor_id a, tensor_id b) {
    const tensor *left = tensor_of(l->graph, a), *right = tensor_of(l->graph, b);
    const placement *x = &p->placements[left->root.i], *y = &p->placements[right->root.i];
    uint64_t left_begin = left->offset, right_begin = right->offset;
    if (x->placed != y->placed)
        return false;
    if (x->placed) {
        if (x->block != y->block)
            return false;
        left_begin += x->offset;
        right_begin += y->offset;
    } else if (left->root.i != right->root.i)
        return false;
    return left_begin < right_begin + tensor_bytes(l->graph, b) && right_begin < left_begin + tensor_bytes(l->graph, a);
}

static bool hazard(const dispatch_list *l, const memory_plan *p, size_t i, size_t j) {
    const dispatch *a = &l->items[i % l->count], *b = &l->items[j % l->count];
    for (uint32_t k = 0; k < a->argument_count; k++)
        for (uint32_t m = 0; m < b->argument_count; m++)
            if (((a->arguments[k].access | b->arguments[m].access) & ACCESS_WRITE) &&
                touch_same(l, p, a->arguments[k].tensor, b->arguments[m].tensor))
                return true;
    return false;
}

// The number of hazards without a barrier between, over `runs` runs in a row; the recorder's barrier before each.
static size_t count_open_hazards(const dispatch_list *l, const memory_plan *p, const bool *before, size_t runs,
                                 bool recorder) {
    size_t open = 0;
    for (size_t j = 1; j < runs * l->count; j++) {
        // Back from j to the nearest barrier, at or before j: what lies between is unordered.
        for (size_t i = j; i-- > 0;) {
            if (before[(i + 1) % l->count] || (recorder && (i + 1) % l->count == 0))
                break;
            open += hazard(l, p, i, j);
        }
    }
    return open;
}

// The dispatches between two barriers may run in any order: here, last first.
static void run_backwards(host *h, const dispatch_list *l, const bool *before) {
    for (size_t begin = 0, end; begin < l->count; begin = end) {
        for (end = begin + 1; end < l->count && !before[end]; end++)
            ;
        for (size_t i = end; i-- > begin;)
            host_run(h, &l->items[i]);
    }
}

static void check_order(const dispatch_list *l, const memory_plan *p, const bool *before) {
    host forwards, backwards;
    host_open(&forwards, l->graph, p);
    host_open(&backwards, l->graph, p);
    for (int run = 0; run < 2; run++) {
        host_run_all(&forwards, l);
        run_backwards(&backwards, l, before);
    }
    for (uint32_t i = 1; i <= graph_tensor_count(l->graph); i++)
        if (tensor_of(l->graph, (tensor_id){i})->role == ROLE_STATE)
            assert_memory_equal(host_at(&forwards, (tensor_id){i}), host_at(&backwards, (tensor_id){i}),
                                tensor_bytes(l->graph, (tensor_id){i}));
    host_close(&forwards);
    host_close(&backwards);
}

static void test_random(void **state_) {
    (void)state_;
    size_t wraps = 0, shared = 0;
    for (uint32_t seed = 1; seed <= 100; seed++) {
        tensor_id keep[8];
        size_t keep_count;
        graph *g = random_graph(seed * 7919, 10 + seed / 2, keep, &keep_count);
        dispatch_list l;
        assert_int_equal(graph_lower(g, &test_capabilities, keep, keep_count, &l), IGVK_OK);
        for (int no_reuse = 0; no_reuse < 2; no_reuse++) {
            memory_plan p;
            const plan_options o = {256, 1 << 20, no_reuse, keep, keep_count};
            assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_OK);
            bool *before = malloc(l.count * sizeof *before);
            assert_non_null(before);
            memset(before, 1, l.count * sizeof *before);
            assert_int_equal(barriers_make(&l, &p, before), IGVK_OK);
            assert_false(before[0]);
            assert_int_equal(count_open_hazards(&l, &p, before, 2, true), 0);
            wraps += count_open_hazards(&l, &p, before, 2, false) > 0;
            for (size_t i = 0; i < l.count; i++) {
                shared += !before[i];
                if (!before[i])
                    continue;
                before[i] = false;
                assert_true(count_open_hazards(&l, &p, before, 1, true) > 0); // it was of use
                before[i] = true;
            }
            check_order(&l, &p, before);
            free(before);
            memory_plan_free(&p);
        }
        dispatch_list_free(&l);
        graph_destroy(&g);
    }
    assert_true(wraps > 50 && shared > 1000); // the cases that matter did come up
}

// ---- by hand -----------------------------------------------------------------------------------------

typedef struct step {
    tensor_id tensor;
    tensor_access access;
} step;

static void check_steps(graph *g, const step *steps, size_t count, const char *expected) {
    dispatch_list l = {.graph = g};
    dispatch items[8] = {{0}};
    for (size_t i = 0; i < count; i++)
        dispatch_bind(&items[i], steps[i].tensor, steps[i].access);
    l.items = items;
    l.count = count;
    memory_plan p;
    const plan_options o = {.alignment = 4, .max_block = 1 << 20};
    assert_int_equal(memory_plan_make(&l, &o, &p), IGVK_OK);
    bool before[8];
    assert_int_equal(barriers_make(&l, &p, before), IGVK_OK);
    for (size_t i = 0; i < count; i++)
        if (before[i] != (expected[i] == '|'))
            FAIL_TEST("%s: step %zu is wrong", expected, i);
    memory_plan_free(&p);
}

static void test_by_hand(void **state_) {
    (void)state_;
    graph *g = test_graph();
    tensor_id s = state(g, "s", 100), r = state(g, "r", 100);
    tensor_id low = graph_view(g, s, 0, SHAPE(50), NULL), high = graph_view(g, s, 50, SHAPE(50), NULL),
              both = graph_view(g, s, 49, SHAPE(2), NULL);
    const tensor_access R = ACCESS_READ, W = ACCESS_WRITE, U = ACCESS_UPDATE;
    check_steps(g, (step[]){{s, R}, {s, R}, {low, R}}, 3, "...");
    check_steps(g, (step[]){{s, W}, {s, R}, {s, R}}, 3, ".|.");
    check_steps(g, (step[]){{s, R}, {s, W}, {s, W}}, 3, ".||");
    check_steps(g, (step[]){{s, U}, {r, U}, {s, U}}, 3, "..|");
    check_steps(g, (step[]){{low, W}, {high, W}, {both, R}}, 3, "..|");
    check_steps(g, (step[]){{low, W}, {high, R}, {r, W}, {low, R}, {r, R}}, 5, "...|.");
    // Two tensors of one place, one after the other: the second's first write waits for the first's last use.
    tensor_id a = graph_scratch(g, STORAGE_F32, SHAPE(10)), b = graph_scratch(g, STORAGE_F32, SHAPE(10));
    check_steps(g, (step[]){{a, W}, {b, W}}, 2, ".|");
    check_steps(g, (step[]){{a, W}, {b, W}, {a, U}}, 3, "..|");
    graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
