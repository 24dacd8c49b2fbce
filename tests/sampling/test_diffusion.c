// SPDX-License-Identifier: MIT
// Steps along a noising process without a device: which steps are taken, that the true noise leads to the image, how
// much noise DDPM and DDIM add, what is refused.
#include "sampling/diffusion.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sampling_method method(solver_kind solver, uint32_t steps) {
    return (sampling_method){.solver = solver, .steps = steps, .ig = {1, 0, 1}, .cfg = {1, 0, 1}};
}

static sampling_stage *stages_of(const sampling_method *m, size_t *count) {
    sampling_stage *s = NULL;
    assert_int_equal(schedule_make(m, &s, count), IGVK_OK);
    return s;
}

static void assert_steps(uint32_t count, step_spacing spacing, const uint32_t *wanted) {
    diffusion_step *s = NULL;
    assert_int_equal(diffusion_steps_make(count, spacing, &s), IGVK_OK);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(s[i].original, wanted[i]);
    free(s);
}

// As the official space_timesteps takes them.
static void steps_are_official(void **state) {
    (void)state;
    assert_steps(10, SPACING_EVEN, (uint32_t[]){0, 111, 222, 333, 444, 555, 666, 777, 888, 999});
    assert_steps(7, SPACING_EVEN, (uint32_t[]){0, 166, 333, 500, 666, 832, 999}); // 499.5 and 832.5 to even
    assert_steps(10, SPACING_STRIDE, (uint32_t[]){0, 100, 200, 300, 400, 500, 600, 700, 800, 900});
    assert_steps(1, SPACING_EVEN, (uint32_t[]){0});
    diffusion_step *s = NULL;
    assert_int_equal(diffusion_steps_make(1000, SPACING_EVEN, &s), IGVK_OK);
    assert_true(fabs(s[0].abar - 0.9999) < 1e-15 && fabs(s[999].abar - 4.035830e-5) < 1e-11);
    assert_true(fabs(s[0].log_least - s[1].log_least) < 1e-15 &&
                fabs(s[500].log_most - log(0.01005995995995996)) < 1e-12);
    free(s);
}

static void odd_counts_are_refused(void **state) {
    (void)state;
    diffusion_step *s = NULL;
    sampling_stage *stages = NULL;
    size_t count = 0;
    assert_int_equal(diffusion_steps_make(0, SPACING_EVEN, &s), IGVK_ERROR_INVALID);
    assert_int_equal(diffusion_steps_make(1001, SPACING_EVEN, &s), IGVK_ERROR_INVALID);
    assert_int_equal(diffusion_steps_make(300, SPACING_STRIDE, &s), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--spacing even"));
    assert_null(s);
    sampling_method m = method(SOLVER_DDPM, 10);
    m.eta = 0.5;
    assert_int_equal(schedule_make(&m, &stages, &count), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--eta"));
}

// The noise that leads from x to the image x0 at a step.
static double true_noise(const sampling_stage *s, double x, double x0) {
    return (x0 - s->coefficients[0] * x) / s->coefficients[1];
}

// With the true noise each step lands where the process would be, and the last on the image.
static void the_true_noise_leads_to_the_image(void **state) {
    (void)state;
    const solver_kind solvers[] = {SOLVER_DDPM, SOLVER_DDIM};
    const double x0 = 0.3, e = 1.7;
    for (int k = 0; k < 2; k++) {
        size_t count = 0;
        const sampling_method m = method(solvers[k], 50);
        sampling_stage *s = stages_of(&m, &count);
        diffusion_step *process = NULL;
        assert_int_equal(count, 50);
        assert_int_equal(diffusion_steps_make(50, SPACING_EVEN, &process), IGVK_OK);
        double x = sqrt(process[49].abar) * x0 + sqrt(1 - process[49].abar) * e;
        for (size_t i = 0; i < count; i++) {
            const double predicted = s[i].coefficients[0] * x + s[i].coefficients[1] * true_noise(&s[i], x, x0);
            assert_true(fabs(predicted - x0) < 1e-10);
            x = s[i].coefficients[2] * predicted + s[i].coefficients[3] * x;
            const double abar = process[49 - i].before;
            if (m.solver == SOLVER_DDIM) // walks along one noise
                assert_true(fabs(x - (sqrt(abar) * x0 + sqrt(1 - abar) * e)) < 1e-9);
        }
        assert_true(fabs(x - x0) < 1e-9);
        free(process);
        free(s);
    }
}

static void noise_is_as_much_as_asked(void **state) {
    (void)state;
    size_t count = 0;
    sampling_method m = method(SOLVER_DDPM, 20);
    sampling_stage *ddpm = stages_of(&m, &count);
    assert_true(ddpm[0].noisy && ddpm[18].noisy && !ddpm[19].noisy);
    assert_true(ddpm[0].time == 999 && ddpm[19].time == 0 && ddpm[5].log_variance[0] < ddpm[5].log_variance[1]);
    m.solver = SOLVER_DDIM;
    sampling_stage *ddim = stages_of(&m, &count);
    for (size_t i = 0; i < count; i++)
        assert_false(ddim[i].noisy);
    free(ddim);
    m.eta = 1; // as much as the posterior's, and the same mean
    ddim = stages_of(&m, &count);
    for (size_t i = 0; i + 1 < count; i++) {
        assert_true(fabs(ddim[i].log_variance[0] - ddpm[i].log_variance[0]) < 1e-9);
        assert_true(fabs(ddim[i].coefficients[2] - ddpm[i].coefficients[2]) < 1e-9);
        assert_true(fabs(ddim[i].coefficients[3] - ddpm[i].coefficients[3]) < 1e-9);
    }
    free(ddim);
    free(ddpm);
}

// Intervals count steps in thousandths; the power-cosine scale is 1 at the noise and full at the image.
static void guidance_follows_time(void **state) {
    (void)state;
    size_t count = 0;
    sampling_method m = method(SOLVER_DDPM, 10);
    m.ig = (guidance_scale){1.5, 0.111, 0.555};
    m.cfg = (guidance_scale){3.8, 0, 1};
    m.cfg_power = 4;
    sampling_stage *s = stages_of(&m, &count);
    assert_true(s[9].ig == 1 && s[8].ig == 1.5 && s[4].ig == 1.5 && s[3].ig == 1); // steps 0, 111, 555, 666
    assert_true(s[9].cfg == 3.8 && s[0].cfg == 1);
    for (size_t i = 1; i < count; i++)
        assert_true(s[i].cfg > s[i - 1].cfg);
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_official),
        cmocka_unit_test(odd_counts_are_refused),
        cmocka_unit_test(the_true_noise_leads_to_the_image),
        cmocka_unit_test(noise_is_as_much_as_asked),
        cmocka_unit_test(guidance_follows_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
