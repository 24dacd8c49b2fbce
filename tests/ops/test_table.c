// SPDX-License-Identifier: MIT
// The table of operators: names, what each must have, and that the rows of the other tests leave none out.
#include "ops/op_test.h"

#include "ops/rows_attention.c"
#include "ops/rows_convert.c"
#include "ops/rows_convolution.c"
#include "ops/rows_denoise.c"
#include "ops/rows_elementwise.c"
#include "ops/rows_noising.c"
#include "ops/rows_norm.c"
#include "ops/rows_linear.c"
#include "ops/rows_muon.c"
#include "ops/rows_optimizer.c"
#include "ops/rows_random.c"
#include "ops/rows_sampling.c"
#include "ops/rows_token_order.c"
#include "ops/rows_training.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ROWS(rows) {rows, sizeof(rows) / sizeof *(rows)}
static const struct {
    const op_row *rows;
    size_t count;
} all_rows[] = {
    ROWS(elementwise_rows), ROWS(random_rows),  ROWS(training_rows),    ROWS(optimizer_rows), ROWS(sampling_rows),
    ROWS(attention_rows),   ROWS(norm_rows),    ROWS(linear_rows),      ROWS(convert_rows),   ROWS(convolution_rows),
    ROWS(denoise_rows),     ROWS(noising_rows), ROWS(token_order_rows), ROWS(muon_rows),
};

static void operators_are_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < operator_count; i++) {
        const operator *op = operator_table[i];
        assert_non_null(op->name);
        assert_non_null(op->shapes);
        assert_non_null(op->lower);
        assert_non_null(op->cost);
        assert_ptr_equal(operator_find(op->name), op); // so names are apart
    }
    assert_null(operator_find("no such operator"));
}

static void every_operator_has_rows(void **state) {
    (void)state;
    const operator *covered[256];
    size_t count = 0, missing = 0;
    for (size_t k = 0; k < sizeof all_rows / sizeof *all_rows; k++)
        for (size_t i = 0; i < all_rows[k].count; i++) {
            const op_row *row = &all_rows[k].rows[i];
            assert_non_null(operator_find(row->op));
            assert_true(op_row_operators(row, covered, sizeof covered / sizeof *covered, &count));
        }
    for (size_t i = 0; i < operator_count; i++) {
        size_t k = 0;
        while (k < count && covered[k] != operator_table[i])
            k++;
        if (k == count) {
            missing++;
            print_error("operator '%s' stands in no row of tests/ops/rows_*.c\n", operator_table[i]->name);
        }
    }
    assert_int_equal(missing, 0);
    for (size_t k = 0; k < count; k++) // and the rows know none that the table does not
        assert_ptr_equal(operator_find(covered[k]->name), covered[k]);
}

// A device without storage of 16 bits is told so before anything runs.
static void sixteen_bits_are_refused_where_missing(void **state) {
    (void)state;
    capabilities c = {.max_invocations = 128, .max_groups = {65535, 65535, 65535}, .vector_width = 32,
                      .max_binding = UINT64_MAX, .max_allocation = UINT64_MAX};
    for (int has = 0; has < 2; has++) {
        graph *g = graph_new();
        dispatch_list list = {0};
        tensor_id x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(8));
        tensor_id y = op_convert(g, op_convert(g, x, STORAGE_F16), STORAGE_F32);
        c.storage_16bit = has;
        assert_int_equal(graph_lower(g, &c, &y, 1, &list), has ? IGVK_OK : IGVK_ERROR_INVALID);
        if (!has)
            assert_non_null(strstr(igvk_error_text(), "storage-16bit"));
        dispatch_list_free(&list);
        graph_destroy(&g);
    }
}

static void linear_refuses_mixed_operands(void **state) {
    (void)state;
    graph *g = graph_new();
    tensor_id x = graph_external(g, ROLE_INPUT, "x", STORAGE_F16, SHAPE(8, 4));
    tensor_id weight = graph_external(g, ROLE_PARAMETER, "w", STORAGE_F32, SHAPE(8, 4));
    assert_false(tensor_is(op_linear(g, x, weight, &(linear_options){0})));
    assert_int_equal(graph_check(g), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "'x' is of type f16, the weight of f32"));
    graph_destroy(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_are_whole),
        cmocka_unit_test(every_operator_has_rows),
        cmocka_unit_test(sixteen_bits_are_refused_where_missing),
        cmocka_unit_test(linear_refuses_mixed_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
