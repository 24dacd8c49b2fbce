// SPDX-License-Identifier: MIT
// Memory that runs out, at each allocation in turn: building, differentiating, lowering, planning and deriving
// barriers end in one clear failure each, and nothing is left behind. glibc only, without sanitizers: the allocator's
// functions are replaced.
#include "graph/helpers.h"

#include "graph/parameters.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#if !defined(__GLIBC__) || defined(HAS_SANITIZER)
int main(void) {
    print_message("needs glibc and a build without sanitizers\n");
    return 77;
}
#else

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t bytes);
void __libc_free(void *place);

static long left = -1; // allocations until one fails; -1 never
static long live;      // places not yet freed

static bool refuse(void) { return left >= 0 && left-- == 0; }
static void *count_in(void *place) {
    live += place != NULL;
    return place;
}
void *malloc(size_t bytes) { return refuse() ? NULL : count_in(__libc_malloc(bytes)); }
void *calloc(size_t count, size_t size) { return refuse() ? NULL : count_in(__libc_calloc(count, size)); }
void *realloc(void *old, size_t bytes) {
    if (refuse())
        return NULL;
    void *place = __libc_realloc(old, bytes);
    live += !old && place;
    return place;
}
void free(void *place) {
    live -= place != NULL;
    __libc_free(place);
}

static igvk_status make_parameters(void) {
    parameter_layout *l = parameter_layout_create(1024);
    if (!l)
        return fail_memory("the layout", 0);
    for (int i = 0; i < 40; i++) {
        char name[2] = {(char)('0' + i), 0};
        parameter_layout_add(l, &(parameter){.name = name, .shape = SHAPE(100)});
    }
    igvk_status status = parameter_layout_check(l);
    parameter_layout_destroy(&l);
    return status;
}

static graph *make_graph(tensor_id *loss) {
    graph *g = graph_create(&operator_add);
    if (!g)
        return NULL;
    tensor_id x = input(g, "x", 12), w = state(g, "w", 12), dw = state(g, "dw", 12), y = x;
    for (int i = 0; i < 20; i++)
        y = graph_label(g, add(g, multiply(g, y, graph_view(g, w, 0, SHAPE(12), "weight")), scale(g, y, 2)), "y%d", i);
    *loss = total(g, y);
    tensor_id seed = fill(g, SHAPE(1), 1), gradient;
    if (graph_gradient(g, loss, &seed, 1, &w, 1, &gradient) == IGVK_OK)
        graph_accumulate(g, gradient, dw);
    return g;
}

static igvk_status make_everything(void) {
    igvk_status status = IGVK_OK;
    tensor_id loss;
    dispatch_list l = {0};
    memory_plan p = {0};
    bool before[400];
    graph *g = make_graph(&loss);
    if (!g)
        return fail_memory("the graph", 0);
    TRY(graph_check(g));
    TRY(graph_lower(g, &test_capabilities, &loss, 1, &l));
    TRY(memory_plan_make(&l, &(plan_options){256, 1024, false, &loss, 1}, &p));
    TRY(l.count <= 400 ? barriers_make(&l, &p, before) : fail(IGVK_ERROR_INTERNAL, "too many dispatches"));
done:
    memory_plan_free(&p);
    dispatch_list_free(&l);
    graph_destroy(&g);
    return status;
}

static void fail_each(igvk_status (*make)(void), int at_least) {
    int failures = 0;
    igvk_status status;
    do {
        long before = live;
        left = failures;
        status = make();
        left = -1;
        assert_int_equal(live, before);
        if (status != IGVK_OK) {
            failures++;
            assert_int_equal(status, IGVK_ERROR_MEMORY);
            assert_non_null(strstr(igvk_error_text(), "out of memory"));
        }
    } while (status != IGVK_OK);
    assert_true(failures >= at_least);
    print_message("%d allocations, each failed once\n", failures);
}

static void test_parameters(void **state_) {
    (void)state_;
    fail_each(make_parameters, 6);
}

static void test_graph_to_barriers(void **state_) {
    (void)state_;
    fail_each(make_everything, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_graph_to_barriers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
