// SPDX-License-Identifier: MIT
// The training order: a permutation for every count, another for each epoch and seed, without favourites; and
// the choice of held-out images made of it.
#include "data/dataset.h"
#include "data/maker.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void check_permutation(uint64_t seed, uint32_t epoch, uint64_t count) {
    uint8_t *seen = calloc(count, 1);
    assert_non_null(seen);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = dataset_order(seed, epoch, i, count);
        assert_true(at < count);
        assert_int_equal(seen[at]++, 0);
    }
    free(seen);
}

static void test_permutes(void **state) {
    (void)state;
    for (uint64_t count = 1; count <= 300; count++)
        check_permutation(count, (uint32_t)(count % 5), count);
    const uint64_t counts[] = {1023, 1024, 1025, 4096, 4097, 65537, 100003};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        check_permutation(UINT64_C(0x123456789abcdef) + i, 7, counts[i]);
}

// Far too many to list: values stay in range and do not collide.
static void test_large_counts(void **state) {
    (void)state;
    const uint64_t count = (UINT64_C(1) << 61) + 12345;
    uint64_t values[64];
    for (uint64_t i = 0; i < 64; i++) {
        values[i] = dataset_order(1, 2, count - 1 - i, count);
        assert_true(values[i] < count);
        for (uint64_t j = 0; j < i; j++)
            assert_true(values[i] != values[j]);
    }
}

static void test_depends_on_epoch_and_seed(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    int same_epoch = 0, same_seed = 0, high_seed = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t value = dataset_order(5, 0, i, COUNT);
        same_epoch += value == dataset_order(5, 1, i, COUNT);
        same_seed += value == dataset_order(6, 0, i, COUNT);
        high_seed += value == dataset_order(5 + (UINT64_C(1) << 32), 0, i, COUNT);
    }
    // One agreement is expected of unrelated permutations; ten have a probability of 1e-7.
    assert_in_range(same_epoch, 0, 9);
    assert_in_range(same_seed, 0, 9);
    assert_in_range(high_seed, 0, 9);
}

// Chi-square over (position, value) of many epochs: every value is equally likely everywhere.
static void test_is_uniform(void **state) {
    (void)state;
    const uint64_t counts[] = {5, 26, 64, 100};
    enum { EPOCHS = 4000 };
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        uint64_t n = counts[c];
        static uint32_t hits[100][100];
        memset(hits, 0, sizeof hits);
        for (uint32_t epoch = 0; epoch < EPOCHS; epoch++)
            for (uint64_t i = 0; i < n; i++)
                hits[i][dataset_order(3, epoch, i, n)]++;
        double expected = (double)EPOCHS / (double)n, chi = 0;
        for (uint64_t i = 0; i < n; i++)
            for (uint64_t j = 0; j < n; j++)
                chi += (hits[i][j] - expected) * (hits[i][j] - expected) / expected;
        double freedom = (double)((n - 1) * (n - 1));
        double deviations = (chi - freedom) / (freedom > 1 ? 1.4142135 * (double)(n - 1) : 1);
        assert_true(deviations > -5 && deviations < 5);
    }
}

// Neighbours do not stay together: the step from one position to the next is as spread as of unrelated numbers.
static void test_separates_neighbours(void **state) {
    (void)state;
    enum { COUNT = 4160, BINS = 16 };
    uint32_t bins[BINS] = {0};
    for (uint64_t i = 0; i + 1 < COUNT; i++) {
        uint64_t step = dataset_order(9, 0, i + 1, COUNT) + COUNT - dataset_order(9, 0, i, COUNT);
        bins[step % COUNT * BINS / COUNT]++;
    }
    for (int b = 0; b < BINS; b++)
        assert_in_range(bins[b], COUNT / BINS - 90, COUNT / BINS + 90); // 5.7 deviations
}

// Frozen: a resumed run of any later version continues the order it began.
static void test_is_frozen(void **state) {
    (void)state;
    const uint64_t expected[8] = {198, 156, 727, 395, 985, 358, 786, 40};
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(dataset_order(42, 3, i, 1000), expected[i]);
}

static void test_holds_out(void **state) {
    (void)state;
    assert_int_equal(hold_out_count(100, 0), 0);
    assert_int_equal(hold_out_count(100, 0.05), 5);
    assert_int_equal(hold_out_count(100, 0.001), 1);
    assert_int_equal(hold_out_count(1, 0.5), 0);
    assert_int_equal(hold_out_count(2, 0.9), 1);
    assert_int_equal(hold_out_count(0, 0.9), 0);
    uint64_t chosen = 0, differs = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        chosen += hold_out_chosen(1, i, 1000, 50);
        differs += hold_out_chosen(1, i, 1000, 50) != hold_out_chosen(2, i, 1000, 50);
    }
    assert_int_equal(chosen, 50);
    assert_true(differs > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permutes),
        cmocka_unit_test(test_large_counts),
        cmocka_unit_test(test_depends_on_epoch_and_seed),
        cmocka_unit_test(test_is_uniform),
        cmocka_unit_test(test_separates_neighbours),
        cmocka_unit_test(test_is_frozen),
        cmocka_unit_test(test_holds_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
