// SPDX-License-Identifier: MIT
// 16-bit floating point numbers by their bits, as src/formats/half.c has them: f16 is IEEE 754 binary16, bf16 the upper
// half of a binary32. Rounded to nearest even here, in integers: Vulkan leaves packHalf2x16's rounding to the driver.

float f32_of_f16(uint bits) { return unpackHalf2x16(bits).x; }
float f32_of_bf16(uint bits) { return uintBitsToFloat(bits << 16); }

// Drops the low `shift` bits (1 to 31).
uint shift_to_nearest_even(uint bits, uint shift) {
    uint odd = bits >> shift & 1;
    return (bits + (1u << (shift - 1)) - 1 + odd) >> shift;
}

uint f16_of_f32(float value) {
    uint bits = floatBitsToUint(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    uint result = shift_to_nearest_even(magnitude, 13) - (112u << 10);
    if (magnitude < 0x38800000u) // below 2^-14
        result = shift_to_nearest_even(magnitude & 0x7fffffu | 0x800000u, clamp(126 - (magnitude >> 23), 1, 31));
    if (magnitude <= 0x33000000u) // 2^-25, half of the smallest, is halfway to zero and zero is even
        result = 0;
    if (magnitude >= 0x477ff000u) // 65520 and more
        result = 0x7c00u;
    if (magnitude > 0x7f800000u) // not a number
        result = 0x7e00u | magnitude >> 13 & 0x1ffu;
    return sign | result;
}

uint bf16_of_f32(float value) {
    uint bits = floatBitsToUint(value);
    bool number = (bits & 0x7fffffffu) <= 0x7f800000u;
    return number ? shift_to_nearest_even(bits, 16) : bits >> 16 | 0x40u;
}
