// SPDX-License-Identifier: MIT
// 16-bit floating point numbers by their bits: IEEE 754 binary16 and bfloat16 (the upper half of a binary32).
#include "formats/safetensors.h"

#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Drops the low `shift` bits (1 to 31), to the nearest and to even where halfway.
static uint32_t shift_to_nearest_even(uint32_t bits, uint32_t shift) {
    uint32_t odd = bits >> shift & 1;
    return (bits + (1u << (shift - 1)) - 1 + odd) >> shift;
}

uint16_t f16_from_f32(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) // not a number: stays one, quiet
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
    if (magnitude >= 0x477ff000) // 65520 and more round to infinity
        return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000) // 2^-14: exponents of 127 - 15 less; a carry out of the fraction is right too
        return (uint16_t)(sign | (shift_to_nearest_even(magnitude, 13) - (112u << 10)));
    if (magnitude <= 0x33000000) // 2^-25, half of the smallest, is halfway to zero and zero is even
        return (uint16_t)sign;
    uint32_t fraction = (magnitude & 0x7fffff) | 0x800000;
    return (uint16_t)(sign | shift_to_nearest_even(fraction, 126 - (magnitude >> 23)));
}

float f32_from_f16(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) {
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t bf16_from_f32(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) // not a number: stays one, quiet
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)shift_to_nearest_even(bits, 16);
}

float f32_from_bf16(uint16_t bits) {
    return float_of((uint32_t)bits << 16);
}
