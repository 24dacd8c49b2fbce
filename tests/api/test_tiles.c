// SPDX-License-Identifier: MIT
// Tiles cover an axis and overlap; their weights sum to one and vanish at edges that other tiles cover.
#include "api/tiles.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t lengths[] = {1, 3, 4, 5, 17, 64, 96, 127, 128, 300}, sides[] = {0, 4, 5, 16, 64, 127};

static void check_axis(const tile_axis *a) {
    assert_int_equal(a->first[0], 0);
    assert_int_equal(a->first[a->count - 1] + a->side, a->length);
    for (uint32_t k = 1; k < a->count; k++) {
        assert_true(a->first[k] > a->first[k - 1]);
        assert_true(4 * (a->first[k - 1] + a->side - a->first[k]) >= a->side);
    }
}

static void check_weights(const tile_axis *a, uint32_t factor) {
    double before[TILES_MOST] = {0};
    const double steepest = 1.05 / (factor * floor((a->side + 3) / 4)); // a ramp over the least overlap
    for (uint32_t at = 0; at < a->length * factor; at++) {
        double sum = 0;
        for (uint32_t k = 0; k < a->count; k++) {
            const bool inside = at >= a->first[k] * factor && at < (a->first[k] + a->side) * factor;
            const double weight = tile_weight(a, k, factor, at);
            assert_true(inside ? weight > 0 : weight == 0);
            assert_true(at == 0 || fabs(weight - before[k]) <= 2 * steepest);
            before[k] = weight;
            sum += weight;
        }
        assert_true(fabs(sum - 1) < 1e-12);
    }
}

static void tiles_cover_and_sum_to_one(void **state) {
    (void)state;
    tile_axis a;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t k = 0; k < sizeof sides / sizeof *sides; k++) {
            assert_int_equal(tile_axis_make(lengths[i], sides[k], &a), IGVK_OK);
            check_axis(&a);
            check_weights(&a, 1);
            check_weights(&a, 8);
        }
}

static void too_small_tiles_are_refused(void **state) {
    (void)state;
    tile_axis a;
    assert_int_equal(tile_axis_make(64, 3, &a), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "at least 4"));
    assert_int_equal(tile_axis_make(4000, 4, &a), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "at most 256"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_cover_and_sum_to_one),
        cmocka_unit_test(too_small_tiles_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
