// SPDX-License-Identifier: MIT
// Elementary functions from add, multiply and integer operations. Vulkan promises sin and cos to 2^-11 and
// division to 2.5 ulp, and drivers use it; these are within the budgets of tests/ops/test_math.c (all at most
// 4 ulp) on any device whose additions and multiplications are correctly rounded. No branches, no tables: they
// run as well on the vectors of a CPU as on a GPU. Polynomials are minimax fits (Remez) on the reduced range.
//
// Arguments are normal numbers or zero, results below 2^-126 may be zero. A NaN gives a NaN.
//
// With IGVK_SAME_BITS defined before the include nothing is contracted to fma, so that the functions give the
// same bits on every device (random numbers); else the compiler may fuse, which is faster and no less accurate.
#ifndef IGVK_MATH_GLSL
#define IGVK_MATH_GLSL

#ifdef IGVK_SAME_BITS
#define SAME_BITS precise
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#else
#define SAME_BITS
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#endif

const float FLOAT_LEAST_NORMAL = 1.17549435e-38;
#define FLOAT_INFINITY uintBitsToFloat(0x7F800000u)
#define FLOAT_NAN uintBitsToFloat(0x7FC00000u)

// ---- division and roots: a guess from the exponent's bits, Newton steps, one residual ------------------------
// A residual must be that of the rounded number: `precise` keeps the compiler from fusing the product it comes from.
// Steps before the last are written so that no intermediate lies far below the result, as devices may flush small
// numbers to zero.

// 1 / b for 2^-126 <= |b| <= 2^125; not finite where b is zero or not finite.
float igvk_reciprocal(float b) {
    precise float y = uintBitsToFloat(0x7EF311C3u - floatBitsToUint(b)); // within 5 %
    precise float e = MULTIPLY_ADD(-b, y, 1.0);
    y = y * MULTIPLY_ADD(e, e + 1.0, 1.0);
    y = y * MULTIPLY_ADD(-b, y, 2.0);
    e = MULTIPLY_ADD(-b, y, 1.0);
    y = MULTIPLY_ADD(y, e, y);
    return y;
}

// a / b, likewise; the last place of quotients below 2^-100 is less certain.
float igvk_divide(float a, float b) {
    float y = igvk_reciprocal(b);
    precise float q = a * y;
    precise float e = MULTIPLY_ADD(-q, b, a);
    q = MULTIPLY_ADD(e, y, q);
    return q;
}

// 1 / sqrt(x) for normal x.
float igvk_rsqrt_core(float x) {
    precise float y = uintBitsToFloat(0x5F3759DFu - (floatBitsToUint(x) >> 1)); // within 4 %
    y = (0.5 * y) * MULTIPLY_ADD(-(x * y), y, 3.0);
    y = (0.5 * y) * MULTIPLY_ADD(-(x * y), y, 3.0);
    precise float e = MULTIPLY_ADD(-(x * y), y, 1.0);
    y = MULTIPLY_ADD(0.5 * y, e, y);
    return y;
}

// NaN below zero, infinity at zero, zero at infinity.
float igvk_rsqrt(float x) {
    float y = igvk_rsqrt_core(x);
    float special = x < 0.0 ? FLOAT_NAN : x < FLOAT_LEAST_NORMAL ? FLOAT_INFINITY : x == FLOAT_INFINITY ? 0.0 : x;
    return x >= FLOAT_LEAST_NORMAL && x < FLOAT_INFINITY ? y : special;
}

float igvk_sqrt(float x) {
    float y = igvk_rsqrt_core(x);
    precise float root = x * y;
    precise float e = MULTIPLY_ADD(-root, y, 1.0);
    root = MULTIPLY_ADD(0.5 * root, e, root);
    float special = x < 0.0 ? FLOAT_NAN : x < FLOAT_LEAST_NORMAL ? 0.0 : x;
    return x >= FLOAT_LEAST_NORMAL && x < FLOAT_INFINITY ? root : special;
}

// ---- exponentials and logarithm ----------------------------------------------------------------------------

// p 2^k where the result is a normal number. Adding 1.5 2^23 leaves the whole number k in the low bits: software
// drivers convert float to int lane by lane, which costs more than all the rest of an exponential.
float igvk_times_power(float p, float k) {
    precise float shifted = k + 12582912.0;
    return uintBitsToFloat(floatBitsToUint(p) + (floatBitsToUint(shifted) << 23));
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2.
float igvk_exp_tail(float r) {
    SAME_BITS float p = MULTIPLY_ADD(0.0013950448, r, 0.008368886);
    p = MULTIPLY_ADD(p, r, 0.041666206);
    p = MULTIPLY_ADD(p, r, 0.1666652);
    p = MULTIPLY_ADD(p, r, 0.5);
    return p;
}

// e^r - 1 for |r| <= ln(2) / 2. The last step is no fma(): older Mesa takes those of its software driver apart and
// then adds in another order, which costs a place of 1 + e^r - 1.
float igvk_exp_core(float r) {
    SAME_BITS float p = igvk_exp_tail(r) * (r * r) + r;
    return p;
}

// x = k ln(2) + r. ln(2) as two numbers, the first of 15 bits: its product with k is exact.
float igvk_exp_reduce(float x, out float k) {
    k = floor(x * 1.442695 + 0.5);
    precise float r = (x - k * 0.693145751953125) - k * 1.4286067653e-6;
    return r;
}

// Zero below -87.3, infinity above 88.72.
float igvk_exp(float x) {
    float k;
    float r = igvk_exp_reduce(x, k);
    SAME_BITS float y = igvk_times_power(1.0 + igvk_exp_core(r), k);
    y = x < -87.33 ? 0.0 : y;
    return x <= 88.72 ? y : x + FLOAT_INFINITY;
}

// 2^x; zero below -126, infinity above 127.99.
float igvk_exp2(float x) {
    float k = floor(x + 0.5);
    SAME_BITS float r = x - k;
    SAME_BITS float p = 0.00015476096;
    p = p * r + 0.0013399933;
    p = p * r + 0.009618005;
    p = p * r + 0.05550329;
    p = p * r + 0.2402265;
    p = p * r + 0.6931472;
    p = p * r + 1.0;
    float y = igvk_times_power(p, k);
    y = x < -126.0 ? 0.0 : y;
    return x <= 127.99 ? y : x + FLOAT_INFINITY;
}

// ln((1 + f) 2^e) for sqrt(1/2) - 1 <= f <= sqrt(2) - 1. f comes instead of 1 + f so that no bits are lost.
float igvk_log_core(float f, float e) {
    SAME_BITS float square = f * f;
    SAME_BITS float p = -0.07865443;
    p = p * f + 0.12879188;
    p = p * f - 0.13125293;
    p = p * f + 0.14181422;
    p = p * f - 0.1662497;
    p = p * f + 0.20002283;
    p = p * f - 0.25000796;
    p = p * f + 0.33333316;
    p = (p * f) * square + e * 1.4286067653e-6;
    p = p - 0.5 * square;
    return (f + p) + e * 0.693145751953125;
}

// NaN below zero, minus infinity at zero.
float igvk_log(float x) {
    const uint root_half = 0x3F3504F3u;
    int e = int(floatBitsToUint(x) - root_half) >> 23;
    float f = uintBitsToFloat(floatBitsToUint(x) - (uint(e) << 23)) - 1.0;
    SAME_BITS float y = igvk_log_core(f, float(e));
    float special = x < 0.0 ? FLOAT_NAN : x < FLOAT_LEAST_NORMAL ? -FLOAT_INFINITY : x;
    return x >= FLOAT_LEAST_NORMAL && x < FLOAT_INFINITY ? y : special;
}

// ---- circular functions ------------------------------------------------------------------------------------

// sin and cos of r in [-pi/4, pi/4], turned by `quarter` quarter turns.
void igvk_turn(float s, float c, int quarter, out float sine, out float cosine) {
    bool swap = (quarter & 1) != 0;
    float a = swap ? c : s;
    float b = swap ? s : c;
    sine = (quarter & 2) != 0 ? -a : a;
    cosine = ((quarter + 1) & 2) != 0 ? -b : b;
}

// For |x| <= 1e4 (6400 quarter turns): pi/2 as four numbers, the first three of 11 bits, so that their products
// with the count and the first two differences are exact.
void igvk_sincos(float x, out float sine, out float cosine) {
    float k = floor(x * 0.63661975 + 0.5);
    precise float r = x - k * 1.5703125;
    r = r - k * 0.00048351287841796875;
    r = r - k * 3.1385570764541626e-07;
    r = r - k * 6.07710062827671e-11;
    SAME_BITS float u = r * r;
    SAME_BITS float s = (-0.00019514958 * u + 0.008332158) * u - 0.16666655;
    s = s * (u * r) + r;
    SAME_BITS float c = (2.4438092e-5 * u - 0.0013887364) * u + 0.041666646;
    c = c * (u * u) + (1.0 - 0.5 * u);
    igvk_turn(s, c, int(k), sine, cosine);
}

float igvk_sin(float x) {
    float s, c;
    igvk_sincos(x, s, c);
    return s;
}

float igvk_cos(float x) {
    float s, c;
    igvk_sincos(x, s, c);
    return c;
}

// sin and cos of 2 pi x for |x| < 2^21: the reduction is exact.
void igvk_sincos_turns(float x, out float sine, out float cosine) {
    float k = floor(x * 4.0 + 0.5);
    SAME_BITS float r = x - 0.25 * k;
    SAME_BITS float u = r * r;
    SAME_BITS float s = (-75.44535 * u + 81.593766) * u - 41.34167;
    s = s * (u * r) - r * 1.7484555e-7; // 2 pi = 6.2831855 - 1.7484555e-7
    s = s + r * 6.2831855;
    SAME_BITS float c = ((59.245766 * u - 85.43373) * u + 64.93932) * u;
    c = c * u + (1.0 - 19.739209 * u);
    igvk_turn(s, c, int(k), sine, cosine);
}

// atan(x) for x >= 0: below tan(pi/8) as it is, else turned by pi/4 or pi/2.
float igvk_atan(float x) {
    bool turn = x > 0.41421356;
    bool far = x > 2.4142135;
    SAME_BITS float y = igvk_divide(far ? -1.0 : turn ? x - 1.0 : x, far ? x : turn ? x + 1.0 : 1.0);
    SAME_BITS float u = y * y;
    SAME_BITS float p = ((0.08059092 * u - 0.138795) * u + 0.19977896) * u - 0.33332956;
    p = p * (u * y) + y;
    return p + (far ? 1.5707964 : turn ? 0.78539819 : 0.0);
}

// ---- activations -------------------------------------------------------------------------------------------

float igvk_tanh(float x) {
    float a = abs(x) > 10.0 ? 20.0 : abs(x) * 2.0;
    float k;
    float r = igvk_exp_reduce(a, k);
    float power = igvk_times_power(1.0, k);
    SAME_BITS float grown = igvk_exp_core(r) * power + (power - 1.0); // e^a - 1
    SAME_BITS float y = igvk_divide(grown, grown + 2.0);
    y = x < 0.0 ? -y : y;
    return x == x ? y : x;
}

// The exponential of an activation: e^-x, held between e^-80 and e^80 so that it and its reciprocal stay normal
// numbers and need no further comparison: an eighth of a product's time where it ends with an activation.
float igvk_exp_negative(float x) {
    float a = x < -80.0 ? 80.0 : -x;
    a = a < -80.0 ? -80.0 : a;
#ifdef IGVK_SAME_BITS
    float k;
    float r = igvk_exp_reduce(a, k);
    return igvk_times_power(1.0 + igvk_exp_core(r), k);
#else
    // The same in fewer steps. The first product of r is exact and no fma(): older Mesa's software driver would take
    // it apart and join it with the second.
    precise float shifted = fma(a, 1.442695, 12582912.0); // as in igvk_times_power
    precise float k = shifted - 12582912.0;
    precise float near = a - k * 0.693145751953125;
    float r = fma(k, -1.4286067653e-6, near);
    float p = fma(fma(igvk_exp_tail(r), r, 1.0), r, 1.0);
    return uintBitsToFloat(floatBitsToUint(p) + (floatBitsToUint(shifted) << 23));
#endif
}

float igvk_sigmoid(float x) {
    return igvk_reciprocal(1.0 + igvk_exp_negative(x));
}

float igvk_silu(float x) {
    return x * igvk_sigmoid(x);
}

float igvk_silu_gradient(float x) {
    float e = igvk_exp_negative(x);
    float s = igvk_reciprocal(1.0 + e);
    return s * (1.0 + x * (e * s));
}

// 0.5 x (1 + tanh(z)) = x sigmoid(2 z), z = sqrt(2 / pi) (x + 0.044715 x^3); |x| < 1e12.
float igvk_gelu_tanh(float x) {
    return x * igvk_sigmoid(x * (1.5957691 + 0.071354814 * (x * x)));
}

float igvk_gelu_tanh_gradient(float x) {
    float square = x * x;
    float e = igvk_exp_negative(x * (1.5957691 + 0.071354814 * square));
    float s = igvk_reciprocal(1.0 + e);
    return s + x * (e * s) * s * (1.5957691 + 0.21406445 * square);
}

// ---- two-float arithmetic: a value as (high, low), high the value rounded ------------------------------------

vec2 two_sum(float a, float b) {
    precise float sum = a + b;
    precise float b_part = sum - a;
    precise float low = (a - (sum - b_part)) + (b - b_part);
    return vec2(sum, low);
}

// Where |a| >= |b|.
vec2 quick_two_sum(float a, float b) {
    precise float sum = a + b;
    precise float low = b - (sum - a);
    return vec2(sum, low);
}

// The product without rounding. Halves of 12 bits, because fma need not be fused: every product here is exact.
vec2 two_product(float a, float b) {
    float a_high = uintBitsToFloat(floatBitsToUint(a) & 0xFFFFF000u);
    float b_high = uintBitsToFloat(floatBitsToUint(b) & 0xFFFFF000u);
    precise float a_low = a - a_high;
    precise float b_low = b - b_high;
    precise float product = a * b;
    precise float low = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return vec2(product, low);
}

// Relative error about 2^-46.
vec2 pair_add(vec2 a, vec2 b) {
    vec2 s = two_sum(a.x, b.x);
    vec2 t = two_sum(a.y, b.y);
    precise float low = s.y + t.x;
    s = quick_two_sum(s.x, low);
    low = s.y + t.y;
    return quick_two_sum(s.x, low);
}

vec2 pair_add(vec2 a, float b) {
    vec2 s = two_sum(a.x, b);
    precise float low = s.y + a.y;
    return quick_two_sum(s.x, low);
}

vec2 pair_multiply(vec2 a, vec2 b) {
    vec2 p = two_product(a.x, b.x);
    precise float low = p.y + (a.x * b.y + a.y * b.x);
    return quick_two_sum(p.x, low);
}

vec2 pair_multiply(vec2 a, float b) {
    vec2 p = two_product(a.x, b);
    precise float low = p.y + a.y * b;
    return quick_two_sum(p.x, low);
}

#endif
