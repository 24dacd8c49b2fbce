// SPDX-License-Identifier: MIT
// Schedules without a device: an exact velocity field must carry noise to data, guidance intervals are closed and
// Heun tests the start of its step, bad numbers are refused.
#include "sampling/schedule.h"
#include "sampling/step_words.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const guidance_scale off = {1, 0, 1};

// Runs a schedule on the velocity of a single data point x0 from noise n, in f64, without the SDE's noise.
static double carry(const sampling_method *m, double x0, double n) {
    sampling_stage *s = NULL;
    size_t count = 0;
    double x = n, input = n, previous = 0;
    assert_int_equal(schedule_make(m, &s, &count), IGVK_OK);
    for (size_t i = 0; i < count; i++) {
        double t = s[i].time, v = t > 0 ? (input - x0) / t : 0; // linear path: (x_t - x0) / t = n - x0
        double next = s[i].coefficients[0] * x + s[i].coefficients[1] * v + s[i].coefficients[2] * previous;
        previous = v;
        input = next;
        if (s[i].commit)
            x = next;
    }
    free(s);
    return x;
}

static void odes_reach_the_data(void **state) {
    (void)state;
    sampling_method m = {.solver = SOLVER_EULER, .steps = 7, .ig = off, .cfg = off};
    assert_true(fabs(carry(&m, 0.3, 1.7) - 0.3) < 1e-12); // straight lines are exact for Euler
    m.solver = SOLVER_HEUN;
    assert_true(fabs(carry(&m, 0.3, 1.7) - 0.3) < 1e-12);
}

// For one point of data x0 the drift is linear, so that the noise-free run is the mean: y = x - x0 obeys
// dy/dt = 2 y / t + x0, whose solution y = C t^2 - x0 t ends, after the last Euler step from 0.04, at -0.04^2 C.
static void the_sde_reaches_the_data(void **state) {
    (void)state;
    sampling_method m = {.solver = SOLVER_SDE, .steps = 250, .ig = off, .cfg = off};
    double c = 1.7 - 0.3 + 0.3; // y(1) = C - x0
    assert_true(fabs(carry(&m, 0.3, 1.7) - (0.3 - 0.04 * 0.04 * c)) < 5e-4);
}

static void counts_and_noise(void **state) {
    (void)state;
    sampling_stage *s = NULL;
    size_t count = 0;
    sampling_method m = {.solver = SOLVER_SDE, .steps = 10, .ig = off, .cfg = off};
    assert_int_equal(schedule_make(&m, &s, &count), IGVK_OK);
    assert_int_equal(count, 10); // steps are model calls
    assert_true(s[0].time == 1 && s[9].time == 0.04 && s[9].coefficients[3] == 0 && s[8].coefficients[3] > 0);
    free(s);
    m.solver = SOLVER_HEUN;
    assert_int_equal(schedule_make(&m, &s, &count), IGVK_OK);
    assert_int_equal(count, 19); // the last step is Euler's
    assert_true(!s[0].commit && s[1].commit && s[18].commit);
    free(s);
}

static void intervals_are_closed_and_of_the_start(void **state) {
    (void)state;
    sampling_stage *s = NULL;
    size_t count = 0;
    sampling_method m = {.solver = SOLVER_HEUN, .steps = 4, .ig = {2, 0.5, 0.75}, .cfg = {1, 0, 1}};
    assert_int_equal(schedule_make(&m, &s, &count), IGVK_OK); // t = 1, .75, .5, .25: two stages each but the last
    const double expected[] = {1, 1, 2, 2, 2, 2, 1};
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++)
        assert_true(s[i].ig == expected[i] && s[i].cfg == 1);
    free(s);
}

static void bad_numbers_are_refused(void **state) {
    (void)state;
    sampling_stage *s = NULL;
    size_t count = 0;
    sampling_method m = {.solver = SOLVER_SDE, .steps = 1, .ig = off, .cfg = off};
    assert_int_equal(schedule_make(&m, &s, &count), IGVK_ERROR_INVALID);
    m.steps = 0;
    m.solver = SOLVER_EULER;
    assert_int_equal(schedule_make(&m, &s, &count), IGVK_ERROR_INVALID);
    m.steps = 10;
    m.ig = (guidance_scale){1.5, 0.8, 0.2};
    assert_int_equal(schedule_make(&m, &s, &count), IGVK_ERROR_INVALID);
    assert_null(s);
}

static void words_hold_coefficients_to_48_bits(void **state) {
    (void)state;
    uint32_t words[STEP_WORDS] = {0};
    float pair[2];
    sampling_stage s = {.coefficients = {1.0 / 3, 0, 0, 0}, .ig = 1, .cfg = 1};
    step_words_of_stage(&s, words);
    memcpy(pair, &words[STEP_COEFFICIENTS], sizeof pair);
    assert_true(fabs((double)pair[0] + pair[1] - 1.0 / 3) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odes_reach_the_data), cmocka_unit_test(the_sde_reaches_the_data), cmocka_unit_test(counts_and_noise),
        cmocka_unit_test(intervals_are_closed_and_of_the_start), cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(words_hold_coefficients_to_48_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
