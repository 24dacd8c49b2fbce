// SPDX-License-Identifier: MIT
// Parameter sets on the device: filled in pieces in every storage type, at the places that graphs look at.
#include "helpers/run_graph.h"

#include "formats/safetensors.h"
#include "ops/ops.h"
#include "vulkan/parameter_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#undef fail // cmocka's macro of that name; here it is core/status.h's

#define LONG (2 * PARAMETER_PIECE + 13) // three pieces
#define SHORT 7

static parameter_layout *two_chunks(void) {
    parameter_layout *l = parameter_layout_create(4 * (LONG + 512));
    parameter_layout_add(l, &(parameter){.name = "one", .shape = SHAPE(1)});
    parameter_layout_add(l, &(parameter){.name = "long", .shape = SHAPE(LONG)});
    parameter_layout_add(l, &(parameter){.name = "short", .shape = SHAPE(SHORT)});
    parameter_layout_add(l, &(parameter){.name = "second", .shape = SHAPE(SHORT, 100)});
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    assert_int_equal(parameter_chunk_count(l), 2);
    return l;
}

// 1/3 is exact in no type.
static float value_at(size_t i, uint64_t e) { return (float)(i + 1) + (float)(e % 1999) / 3; }

typedef struct asked {
    uint64_t elements;
    size_t fail_at; // fails at this parameter
} asked;

static igvk_status give(void *user, const parameter_layout *l, size_t i, uint64_t first, uint64_t count, float *out) {
    asked *a = user;
    assert_true(count > 0 && count <= PARAMETER_PIECE && first + count <= shape_elements(parameter_at(l, i)->shape));
    if (i == a->fail_at)
        return fail(IGVK_ERROR_IO, "the source ends at '%s'", parameter_at(l, i)->name);
    a->elements += count;
    for (uint64_t e = first; e < first + count; e++)
        *out++ = value_at(i, e);
    return IGVK_OK;
}

static float rounded(storage_type type, float value) {
    return type == STORAGE_F16    ? f32_from_f16(f16_from_f32(value))
           : type == STORAGE_BF16 ? f32_from_bf16(bf16_from_f32(value))
                                  : value;
}

// Through a graph: what the set's views show.
static void check_values(const parameter_set *set, store *s) {
    graph *g = graph_new();
    tensor_id keep[4];
    for (size_t i = 0; i < 4; i++)
        keep[i] = op_convert(g, parameter_tensor(g, set, parameter_at(set->layout, i)->name), STORAGE_F32);
    graph_run *r = graph_run_open(test_device(), s, g, keep, 4);
    graph_run_go(r);
    float *got = malloc(LONG * sizeof *got);
    for (size_t i = 0; i < 4; i++) {
        const uint64_t count = shape_elements(parameter_at(set->layout, i)->shape);
        graph_run_read(r, keep[i], got, count * sizeof *got);
        for (uint64_t e = 0; e < count; e++)
            assert_true(got[e] == rounded(set->type, value_at(i, e)));
    }
    free(got);
    graph_run_close(&r);
    graph_destroy(&g);
}

static void check_fill(storage_type type) {
    parameter_layout *l = two_chunks();
    const parameter_set set = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER, .type = type};
    store *s = NULL;
    asked a = {.fail_at = 4};
    assert_ok(store_create(test_device(), &s));
    assert_ok(parameter_memory_add(s, l, "model", type));
    assert_int_equal(store_bytes(s, "model.0") + store_bytes(s, "model.1"), parameter_memory_bytes(l, type));
    assert_int_equal(parameter_memory_bytes(l, type), parameter_memory_bytes(l, STORAGE_F32) / 4 * storage_bytes(type));
    assert_ok(parameter_memory_fill(s, &set, &(parameter_source){give, &a}));
    assert_int_equal(a.elements, parameter_elements(l));
    uint32_t gap[2] = {1, 1};
    assert_ok(store_read(s, "model.0", 2 * storage_bytes(type), gap, sizeof gap)); // behind "one"
    assert_int_equal(gap[0] | gap[1], 0);
    check_values(&set, s);

    a.fail_at = 2;
    assert_fails(parameter_memory_fill(s, &set, &(parameter_source){give, &a}), IGVK_ERROR_IO, "the source ends at 'short'");
    store_destroy(&s);
    parameter_layout_destroy(&l);
}

static void test_f32(void **state) {
    (void)state;
    check_fill(STORAGE_F32);
}

static void test_16_bits(void **state) {
    (void)state;
    if (!device_capabilities(test_device())->storage_16bit)
        skip();
    check_fill(STORAGE_F16);
    check_fill(STORAGE_BF16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_f32), cmocka_unit_test(test_16_bits)};
    return cmocka_run_group_tests(tests, NULL, close_test_devices);
}
