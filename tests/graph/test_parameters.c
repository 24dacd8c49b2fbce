// SPDX-License-Identifier: MIT
// The parameter layout: places, chunks, refusals, the segment table, sets inside a graph.
#include "graph/helpers.h"
#include "graph/parameters.h"

#include <stdio.h>

static void fill_seven(const void *context, uint64_t first, uint64_t count, float *out) {
    for (uint64_t e = first; e < first + count; e++)
        *out++ = 7 + *(const float *)context;
}

// Sizes around the granule of 128 and frozen tensors between trained ones.
static parameter_layout *small_layout(uint64_t max_chunk_bytes, int count) {
    parameter_layout *l = parameter_layout_create(max_chunk_bytes);
    assert_non_null(l);
    static const uint64_t sizes[] = {1, 128, 129, 255, 256, 400, 13};
    for (int i = 0; i < count; i++) {
        char name[32]; // the layout copies it
        snprintf(name, sizeof name, "blocks.%d.weight", i);
        parameter_layout_add(l, &(parameter){.name = name, .shape = SHAPE(sizes[i % 7]), .frozen = i % 3 == 2});
        memset(name, '?', sizeof name);
    }
    return l;
}

static void test_one_chunk(void **state_) {
    (void)state_;
    parameter_layout *l = small_layout(UINT64_MAX, 7);
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    assert_int_equal(parameter_count(l), 7);
    assert_int_equal(parameter_chunk_count(l), 1);
    assert_int_equal(parameter_elements(l), 1 + 128 + 129 + 255 + 256 + 400 + 13);
    static const uint64_t places[] = {0, 128, 256, 512, 768, 1024, 1536};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(parameter_at(l, i)->first, places[i]);
        assert_int_equal(parameter_at(l, i)->first * storage_bytes(STORAGE_F16) % 256,
                         0); // a descriptor may start there
    }
    assert_int_equal(parameter_chunk_elements(l, 0), 1664);
    assert_ptr_equal(parameter_find(l, "blocks.4.weight"), parameter_at(l, 4));
    assert_null(parameter_find(l, "blocks.9.weight"));

    uint32_t segments[13], expected[13] = {1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1};
    parameter_segments(l, 0, segments);
    assert_memory_equal(segments, expected, sizeof segments);
    parameter_layout_destroy(&l);
    assert_null(l);
    parameter_layout_destroy(&l);
    parameter_layout_destroy(NULL);
}

// Matrices in chunks of their own, which keep the limit; a frozen one only where it decays.
static void test_split(void **state_) {
    (void)state_;
    parameter_layout *l = parameter_layout_create(2048);
    parameter_layout_split_matrices(l);
    static const parameter given[] = {{.name = "table", .shape = {2, {4, 8}}, .frozen = true},
                                      {.name = "position", .shape = {3, {1, 4, 8}}, .frozen = true, .decays = true},
                                      {.name = "a.weight", .shape = {2, {8, 16}}},
                                      {.name = "a.bias", .shape = {1, {8}}},
                                      {.name = "b.weight", .shape = {2, {30, 10}}},
                                      {.name = "b.bias", .shape = {1, {30}}}};
    static const struct { uint32_t chunk, first; } places[] = {{0, 0}, {1, 0}, {1, 128}, {0, 128}, {2, 0}, {0, 256}};
    for (size_t i = 0; i < 6; i++)
        parameter_layout_add(l, &given[i]);
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    assert_int_equal(parameter_chunk_count(l), 3);
    for (size_t i = 0; i < 6; i++) {
        const parameter *p = parameter_at(l, i);
        assert_int_equal(p->chunk, places[i].chunk);
        assert_int_equal(p->first, places[i].first);
        assert_int_equal(p->group, p->chunk ? PARAMETER_MATRICES : PARAMETER_ELEMENTS);
        assert_int_equal(parameter_chunk_group(l, p->chunk), p->group);
    }
    parameter_layout_destroy(&l);
}

// Weights of products in chunks of their own, the only ones that take a set's type.
static void test_products(void **state_) {
    (void)state_;
    parameter_layout *l = parameter_layout_create(1 << 20);
    parameter_layout_split_products(l);
    parameter_layout_add(l, &(parameter){.name = "table", .shape = {2, {4, 8}}});
    parameter_layout_add(l, &(parameter){.name = "a.weight", .shape = {2, {8, 16}}, .product = true});
    parameter_layout_add(l, &(parameter){.name = "a.bias", .shape = {1, {8}}});
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    graph *g = test_graph();
    const parameter_set half = {.layout = l, .arena_name = "ema", .role = ROLE_PARAMETER, .type = STORAGE_F16};
    assert_int_equal(tensor_of(g, parameter_tensor(g, &half, "table"))->type, STORAGE_F32);
    assert_int_equal(tensor_of(g, parameter_tensor(g, &half, "a.weight"))->type, STORAGE_F16);
    assert_int_equal(tensor_of(g, parameter_tensor(g, &half, "a.bias"))->type, STORAGE_F32);
    assert_int_equal(parameter_chunk_count(l), 2);
    graph_destroy(&g);
    parameter_layout_destroy(&l);
}

static bool is_b(const char *name) {
    return name[0] == 'b';
}

// What is kept lies in chunks of its own, of one set; it is frozen, and does not decay.
static void test_kept(void **state_) {
    (void)state_;
    parameter_layout *l = parameter_layout_create(1 << 20);
    parameter_layout_split_matrices(l);
    parameter_layout_keep(l, "model", is_b);
    parameter_layout_add(l, &(parameter){.name = "position", .shape = {2, {4, 8}}, .frozen = true, .decays = true});
    parameter_layout_add(l, &(parameter){.name = "a.weight", .shape = {2, {8, 16}}});
    parameter_layout_add(l, &(parameter){.name = "b.weight", .shape = {2, {30, 10}}});
    parameter_layout_add(l, &(parameter){.name = "b.bias", .shape = {1, {30}}});
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    assert_int_equal(parameter_chunk_count(l), 3);
    static const parameter_group groups[] = {PARAMETER_KEPT, PARAMETER_KEPT, PARAMETER_MATRICES, PARAMETER_ELEMENTS};
    for (size_t i = 0; i < 4; i++) {
        const parameter *p = parameter_at(l, i);
        assert_int_equal(p->group, groups[i]);
        assert_int_equal(p->frozen, groups[i] == PARAMETER_KEPT);
        assert_false(p->decays);
        assert_string_equal(parameter_chunk_home(l, "ema", p->chunk), i < 2 ? "model" : "ema");
    }
    graph *g = test_graph();
    const parameter_set model = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER};
    const parameter_set ema = {.layout = l, .arena_name = "ema", .role = ROLE_PARAMETER};
    assert_int_equal(parameter_chunk(g, &model, 0).i, parameter_chunk(g, &ema, 0).i);
    assert_int_not_equal(parameter_chunk(g, &model, 1).i, parameter_chunk(g, &ema, 1).i);
    graph_destroy(&g);
    parameter_layout_destroy(&l);
}

// No tensor straddles, none overlaps, chunks keep the limit and the official order, for many tiny limits.
static void test_chunks(void **state_) {
    (void)state_;
    for (uint64_t limit = 2048; limit < 10000; limit += 200) {
        parameter_layout *l = small_layout(limit, 40);
        assert_int_equal(parameter_layout_check(l), IGVK_OK);
        assert_true(parameter_chunk_count(l) > 1);
        uint32_t chunk = 0;
        uint64_t end = 0;
        for (size_t i = 0; i < 40; i++) {
            const parameter *p = parameter_at(l, i);
            assert_true(p->chunk == chunk || (p->chunk == chunk + 1 && p->first == 0));
            end = p->chunk == chunk ? end : 0;
            chunk = p->chunk;
            assert_int_equal(p->first % PARAMETER_GRANULE, 0);
            assert_true(p->first >= end && p->first < end + PARAMETER_GRANULE);
            end = p->first + shape_elements(p->shape);
            assert_true(end <= parameter_chunk_elements(l, chunk));
            assert_true(4 * parameter_chunk_elements(l, chunk) <= limit);
            assert_int_equal(parameter_chunk_elements(l, chunk) % PARAMETER_GRANULE, 0);
        }
        assert_int_equal(chunk + 1, parameter_chunk_count(l));
        parameter_layout_destroy(&l);
    }
}

static void assert_refused(const parameter *p, uint64_t limit, const char *part) {
    parameter_layout *l = small_layout(limit, 2);
    parameter_layout_add(l, p);
    parameter_layout_add(l, &(parameter){.name = "later", .shape = SHAPE(0)});
    fail(IGVK_ERROR_IO, "something else went wrong");
    assert_int_equal(parameter_layout_check(l), IGVK_ERROR_INVALID);
    if (!strstr(igvk_error_text(), part))
        FAIL_TEST("\"%s\" does not tell of \"%s\"", igvk_error_text(), part);
    assert_int_equal(parameter_count(l), 2);
    parameter_layout_destroy(&l);
}

static void test_refusals(void **state_) {
    (void)state_;
    assert_refused(&(parameter){.name = "y_embedder.table", .shape = SHAPE(1001, 1152)}, 1 << 20,
                   "parameter 'y_embedder.table' (1001x1152) needs 4.40 MiB");
    assert_refused(&(parameter){.name = "table", .shape = SHAPE(129)}, 1023, "'table' (129) needs 516 B");
    assert_refused(&(parameter){.name = "huge", .shape = SHAPE(1ull << 40, 1ull << 40)}, UINT64_MAX, "'huge'");
    assert_refused(&(parameter){.name = "wide", .shape = SHAPE((1ull << 30) + 1)}, UINT64_MAX, "'wide'");
    assert_refused(&(parameter){.name = "none", .shape = SHAPE(3, 0)}, 4096, "'none' (3x0) is empty");
    assert_refused(&(parameter){.name = "blocks.1.weight", .shape = SHAPE(3)}, 4096,
                   "'blocks.1.weight' is in the model twice");
}

static void test_sets(void **state_) {
    (void)state_;
    parameter_layout *l = small_layout(2048, 6);
    float context = 1;
    parameter_layout_add(
        l, &(parameter){.name = "pos_embed", .shape = SHAPE(1, 1), .fill = fill_seven, .context = &context});
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    float value;
    parameter_find(l, "pos_embed")->fill(parameter_find(l, "pos_embed")->context, 0, 1, &value);
    assert_true(value == 8);

    graph *g = test_graph();
    const parameter_set model = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER},
                        moment = {.layout = l, .arena_name = "moment1", .role = ROLE_STATE};
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        tensor_id a = parameter_tensor(g, &model, p->name), b = parameter_tensor(g, &moment, p->name);
        assert_true(tensor_same(a, parameter_tensor(g, &model, p->name)));
        assert_true(tensor_same(tensor_of(g, a)->root, parameter_chunk(g, &model, p->chunk)));
        assert_true(tensor_same(tensor_of(g, b)->root, parameter_chunk(g, &moment, p->chunk)));
        assert_int_equal(tensor_of(g, a)->offset, 4 * p->first);
        assert_int_equal(tensor_of(g, b)->offset, 4 * p->first);
        assert_true(shape_equal(shape_of(g, a), p->shape));
        assert_string_equal(tensor_of(g, a)->name, p->name);
    }
    assert_int_equal(shape_of(g, graph_find(g, "model.1")).dim[0], parameter_chunk_elements(l, 1));
    assert_int_equal(tensor_of(g, graph_find(g, "moment1.0"))->role, ROLE_STATE);
    assert_int_equal(graph_check(g), IGVK_OK);
    assert_false(tensor_is(parameter_tensor(g, &model, "blocks.77.weight")));
    assert_int_equal(graph_check(g), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "the model has no parameter 'blocks.77.weight'");
    graph_destroy(&g);
    parameter_layout_destroy(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_chunk), cmocka_unit_test(test_split),    cmocka_unit_test(test_products), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_chunks),    cmocka_unit_test(test_refusals), cmocka_unit_test(test_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
