// SPDX-License-Identifier: MIT
// The bench from end to end, on one small product.
#include "core/file.h"
#include "igvk/igvk_experimental.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// A bench of one small product, its file, and that file compared with: by every row, and refused where it is none.
static void keep_row(void *user, const igvk_bench_row *r) {
    double *seen = user; // rows, rows with an earlier time
    seen[0]++;
    seen[1] += r->before > 0;
    assert_true(r->unit || (r->milliseconds > 0 && r->median >= r->milliseconds && r->spread >= 0));
}

static void test_bench(void **state) {
    (void)state;
    const char *file = "/tmp/igvk-test-bench.json";
    double seen[2] = {0}, again[2] = {0};
    igvk_bench_options b;
    igvk_bench_options_default(&b);
    b.only = 1;
    b.rows = 9;
    b.input = 24;
    b.seconds = 0.01;
    assert_int_equal(igvk_bench(&b, keep_row, seen, NULL), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--input and --output"));
    b.output = 40;
    snprintf(b.json, sizeof b.json, "%s", file);
    assert_int_equal(igvk_bench(&b, keep_row, seen, NULL), IGVK_OK);
    snprintf(b.compare, sizeof b.compare, "%s", file);
    b.json[0] = 0;
    assert_int_equal(igvk_bench(&b, keep_row, again, NULL), IGVK_OK);
    assert_true(seen[0] > 5 && seen[1] == 0);
    assert_true(again[0] == seen[0] && again[1] == seen[0]);
    static const char *const spoilt[] = {"{\"rows\": [{\"name\": 1}]}", "{}", "[", "{\"rows\": [], \"rows\": []}"};
    for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        assert_int_equal(file_write_atomic(file, spoilt[i], strlen(spoilt[i])), IGVK_OK);
        assert_int_equal(igvk_bench(&b, keep_row, again, NULL), IGVK_ERROR_INVALID);
        assert_non_null(strstr(igvk_error_text(), "--compare"));
    }
    remove(file);
}

// Every kernel of a model by name, compiled and told of, however large the model is: nothing is allocated.
static void keep_kernel(void *user, const igvk_bench_row *r) {
    size_t *found = user; // rows, those of attention
    found[0]++;
    found[1] += !strncmp(r->name, "attention_", 10);
    assert_true(r->note && *r->note && !r->milliseconds);
}

static void test_kernels(void **state) {
    (void)state;
    size_t found[2] = {0};
    igvk_bench_options b;
    igvk_bench_options_default(&b);
    b.only = 5;
    b.batch = 512; // activations of hundreds of gigabytes
    snprintf(b.model, sizeof b.model, "SiT-S/2");
    assert_int_equal(igvk_bench(&b, keep_kernel, found, NULL), IGVK_OK);
    assert_true(found[0] > 20);
    assert_int_equal(found[1], 4); // forward, forward that keeps, queries' and keys' gradient
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bench), cmocka_unit_test(test_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
