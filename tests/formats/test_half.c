// SPDX-License-Identifier: MIT
// 16-bit numbers: every one of binary16 through f32 and back, and rounding at the midpoints between neighbours.
#include "formats/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

// By the definition of binary16, in double.
static double value_of(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static void test_every_half(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = f32_from_f16((uint16_t)bits);
        if ((bits & 0x7c00) == 0x7c00) {
            assert_true(bits & 0x3ff ? isnan(value) : isinf(value));
            assert_int_equal(signbit(value) != 0, bits >> 15);
            if (!(bits & 0x3ff))
                assert_int_equal(f16_from_f32(value), bits);
            continue;
        }
        assert_true((double)value == value_of((uint16_t)bits));
        assert_int_equal(signbit(value) != 0, bits >> 15);
        assert_int_equal(f16_from_f32(value), bits);
    }
}

static void test_rounding(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        float low = f32_from_f16((uint16_t)bits), high = f32_from_f16((uint16_t)(bits + 1));
        float middle = (low + high) / 2; // exact
        uint16_t even = (uint16_t)(bits + (bits & 1));
        assert_int_equal(f16_from_f32(middle), even);
        assert_int_equal(f16_from_f32(-middle), even | 0x8000);
        assert_int_equal(f16_from_f32(nextafterf(middle, 0)), bits);
        assert_int_equal(f16_from_f32(nextafterf(middle, INFINITY)), bits + 1);
    }
    assert_int_equal(f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(f16_from_f32(65520), 0x7c00);
    assert_int_equal(f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(f16_from_f32(1e-40f), 0);
    uint16_t nan = f16_from_f32(NAN);
    assert_true((nan & 0x7c00) == 0x7c00 && nan & 0x3ff);
}

static void test_bfloat(void **state) {
    (void)state;
    assert_true(f32_from_bf16(0x3f80) == 1);
    assert_true(f32_from_bf16(0xc000) == -2);
    assert_true(isinf(f32_from_bf16(0x7f80)));
    assert_true(f32_from_bf16(0x0001) == 0x1p-133f);
    for (uint32_t bits = 0; bits < 0x7f80; bits++) {
        assert_int_equal(bf16_from_f32(f32_from_bf16((uint16_t)bits)), bits);
        if (bits == 0x7f7f)
            continue; // beyond the middle lies infinity
        double middle = ((double)f32_from_bf16((uint16_t)bits) + (double)f32_from_bf16((uint16_t)(bits + 1))) / 2; // exact
        uint16_t even = (uint16_t)(bits + (bits & 1));
        assert_int_equal(bf16_from_f32((float)middle), even);
        assert_int_equal(bf16_from_f32(-(float)middle), even | 0x8000);
        assert_int_equal(bf16_from_f32(nextafterf((float)middle, 0)), bits);
        assert_int_equal(bf16_from_f32(nextafterf((float)middle, INFINITY)), bits + 1);
    }
    assert_int_equal(bf16_from_f32(3.4e38f), 0x7f80);
    assert_int_equal(bf16_from_f32(-INFINITY), 0xff80);
    uint16_t nan = bf16_from_f32(NAN);
    assert_true((nan & 0x7f80) == 0x7f80 && nan & 0x7f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_bfloat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
