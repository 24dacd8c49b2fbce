// SPDX-License-Identifier: MIT
// Dormand and Prince's weights without a device: orders of accuracy on an equation whose solution is known, and the
// rules of lengths at their edges.
#include "sampling/dopri5.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// dx/dt = x cos t, x(0) = 1: x = exp(sin t).
static double slope(double t, double x) {
    return x * cos(t);
}
static double solution(double t) {
    return exp(sin(t));
}

static double sum(double x, const double *weights, const double *slopes) {
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++)
        x += weights[j] * slopes[j];
    return x;
}

// One step from t: its slopes, and the result.
static double step(double t, double h, double slopes[DOPRI5_SLOPES]) {
    double weights[DOPRI5_SLOPES], x = solution(t), at = x;
    for (uint32_t k = 0; k < DOPRI5_SLOPES; k++) {
        dopri5_stage(k, h, weights);
        at = sum(x, weights, slopes);
        slopes[k] = slope(t + dopri5_place(k) * h, at);
    }
    return at;
}

// Halving h divides an error of order n by 2^n.
static void orders(void **state) {
    (void)state;
    double slopes[DOPRI5_SLOPES] = {0}, weights[DOPRI5_SLOPES], error[2], estimate[2], inside[2];
    for (int k = 0; k < 2; k++) {
        const double t = 0.3, h = k ? 0.05 : 0.1;
        error[k] = fabs(step(t, h, slopes) - solution(t + h));
        dopri5_error(h, weights);
        estimate[k] = fabs(sum(0, weights, slopes));
        dopri5_inside(0.3, h, weights);
        inside[k] = fabs(sum(solution(t), weights, slopes) - solution(t + 0.3 * h));
    }
    assert_true(log2(error[0] / error[1]) > 5.7);
    assert_true(log2(estimate[0] / estimate[1]) > 4.7);
    assert_true(log2(inside[0] / inside[1]) > 4);
    assert_true(estimate[0] > error[0]);
}

static void the_quartic_meets_the_ends(void **state) {
    (void)state;
    double ends[DOPRI5_SLOPES], result[DOPRI5_SLOPES];
    dopri5_inside(0, 0.7, ends);
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++)
        assert_true(ends[j] == 0);
    dopri5_inside(1, 0.7, ends);
    dopri5_stage(DOPRI5_SLOPES - 1, 0.7, result);
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++)
        assert_true(fabs(ends[j] - result[j]) < 1e-14);
}

static void lengths(void **state) {
    (void)state;
    assert_true(dopri5_next(0.1, 0) == 1); // ten times at most
    assert_true(fabs(dopri5_next(0.1, 1e-9) - 1) < 1e-15);
    assert_true(fabs(dopri5_next(0.1, 0.99) - 0.1) < 1e-15);      // an accepted step is not followed by a shorter one
    assert_true(fabs(dopri5_next(0.1, 32) - 0.1 * 0.45) < 1e-15); // 0.9 / 32^(1/5)
    assert_true(fabs(dopri5_next(0.1, 1e9) - 0.1 * 0.2) < 1e-15); // a fifth at least
    assert_true(dopri5_trial(1e-6, 1) == 1e-6 && dopri5_trial(1, 1e-6) == 1e-6);
    assert_true(fabs(dopri5_trial(3, 2) - 0.015) < 1e-15);
    assert_true(fabs(dopri5_first(1e-3, 0, 0) - 1e-6) < 1e-18);                          // no slope at all
    assert_true(fabs(dopri5_first(1, 2, 0.01 * 3125) - pow(0.01 / 31.25, 0.2)) < 1e-15); // the larger of both
    assert_true(fabs(dopri5_first(1e-4, 1, 1) - 1e-2) < 1e-15);                          // a hundred trials at most
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(orders), cmocka_unit_test(the_quartic_meets_the_ends),
                                       cmocka_unit_test(lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
