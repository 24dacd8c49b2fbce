// SPDX-License-Identifier: MIT
// core/philox.h on the device: the same words, and numbers of f32 that are the same bits on every device, since
// nothing here is contracted and every function is our own (math.glsl, which is included here for that reason).
#ifndef IGVK_PHILOX_GLSL
#define IGVK_PHILOX_GLSL

#define IGVK_SAME_BITS
#include "math.glsl"

uvec4 philox4x32(uvec4 c, uvec2 key) {
    UNROLL for (int round = 0; round < 10; round++) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, c.x, high0, low0);
        umulExtended(0xCD9E8D57u, c.z, high1, low1);
        c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// The word's number in (0, 1): (word >> 8) 2^-24 + 2^-25. Has 25 bits, so above 1/2 it is rounded, to even.
float uniform_of(uint word) {
    precise float u = float(word >> 8) * 5.9604644775390625e-8 + 2.98023223876953125e-8;
    return u;
}

// The logarithm of that number unrounded: above 1/2 from 1 - u, which has fewer bits.
float log_of_uniform(uint word) {
    float u = uniform_of(word);
    float below_one = float(2u * (0xFFFFFFu - (word >> 8)) + 1u) * 2.98023223876953125e-8; // 1 - u, exact above 1/2
    bool near = u > 0.70710678;
    precise float near_half = 1.0 - 2.0 * below_one; // 2 u - 1, exact
    uint bits = floatBitsToUint(u) - 0x3F3504F3u;
    int e = int(bits) >> 23;
    precise float f = uintBitsToFloat(floatBitsToUint(u) - (uint(e) << 23)) - 1.0;
    f = near ? -below_one : u >= 0.5 ? near_half : f;
    return igvk_log_core(f, near ? 0.0 : u >= 0.5 ? -1.0 : float(e));
}

// Box-Muller of two words: sqrt(-2 ln u0) (cos, sin)(2 pi u1).
vec2 normals_of(uint word0, uint word1) {
    precise float square = -2.0 * log_of_uniform(word0);
    precise float radius = igvk_sqrt(square);
    float sine, cosine;
    igvk_sincos_turns(uniform_of(word1), sine, cosine);
    precise vec2 normals = vec2(radius * cosine, radius * sine);
    return normals;
}

#endif
