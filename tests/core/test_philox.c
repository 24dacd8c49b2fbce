// SPDX-License-Identifier: MIT
// The random numbers: Random123's known answers, the frozen mapping, and the moments of both distributions.
#include "core/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

// kat_vectors of Random123 (Salmon et al., SC 2011), philox4x32 with 10 rounds.
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], words[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t words[4];
        philox4x32(known[i].counter, known[i].key, words);
        assert_memory_equal(words, known[i].words, sizeof words);
    }
}

// Which word of counter and key holds what is frozen: checkpoints and images depend on it.
static void test_mapping(void **state) {
    (void)state;
    const uint32_t counter[4] = {25, 7, 1000, STREAM_NOISE}, key[2] = {0x89abcdef, 0x01234567};
    uint32_t words[4];
    double normals[4];
    philox4x32(counter, key, words);
    random_normals_of(words, normals);
    for (uint64_t k = 0; k < 4; k++) {
        assert_int_equal(random_word(0x0123456789abcdef, STREAM_NOISE, 1000, 7, 100 + k), words[k]);
        assert_true(random_normal(0x0123456789abcdef, STREAM_NOISE, 1000, 7, 100 + k) == normals[k]);
        assert_true(random_uniform(0x0123456789abcdef, STREAM_NOISE, 1000, 7, 100 + k) == random_uniform_of(words[k]));
    }
}

static void test_ends_are_finite(void **state) {
    (void)state;
    assert_true(random_uniform_of(0) == 0x1p-25);
    assert_true(random_uniform_of(0xffffffff) == 1 - 0x1p-25);
    double normals[4];
    random_normals_of((const uint32_t[4]){0, 0, 0xffffffff, 0xffffffff}, normals);
    for (int k = 0; k < 4; k++)
        assert_true(isfinite(normals[k]));
    assert_true(fabs(normals[0] - sqrt(-2 * log(0x1p-25))) < 1e-12);
}

static void test_moments(void **state) {
    (void)state;
    const int count = 100000;
    double uniform_sum = 0, uniform_squares = 0, sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < count; i++) {
        double u = random_uniform(5, STREAM_TIME, 0, 0, (uint64_t)i),
               n = random_normal(5, STREAM_NOISE, 0, 0, (uint64_t)i);
        uniform_sum += u;
        uniform_squares += u * u;
        sum += n;
        squares += n * n;
        fourth += n * n * n * n;
    }
    // Five standard errors each.
    assert_true(fabs(uniform_sum / count - 0.5) < 5 * 0.2887 / sqrt(count));
    assert_true(fabs(uniform_squares / count - 1.0 / 3) < 5 * 0.2981 / sqrt(count));
    assert_true(fabs(sum / count) < 5 / sqrt(count));
    assert_true(fabs(squares / count - 1) < 5 * 1.4142 / sqrt(count));
    assert_true(fabs(fourth / count - 3) < 5 * 9.798 / sqrt(count));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_ends_are_finite),
        cmocka_unit_test(test_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
