// SPDX-License-Identifier: MIT
// What the kernels of a convolution share: operands, where a tap of the kernel falls, and what happens to a sum.
//
//     y[n, o, p] = residual + bias[o] + sum over c, tap of weight[o, c, tap] x[n, c, place of tap about pixel p]
//
// in order of channels, then of taps row by row, one fma each, in parts of PART_CHANNELS channels whose sums are then
// added: the same bits for any tile, and thousands of terms do not add up their roundings.
layout(constant_id = 1) const int CHANNELS = 1; // C, of x
layout(constant_id = 2) const int IN_HEIGHT = 1;
layout(constant_id = 3) const int IN_WIDTH = 1;
layout(constant_id = 4) const int OUT_CHANNELS = 1; // O
layout(constant_id = 5) const int OUT_HEIGHT = 1;
layout(constant_id = 6) const int OUT_WIDTH = 1;
layout(constant_id = 7) const int KERNEL = 3;
layout(constant_id = 8) const int STRIDE = 1;
layout(constant_id = 9) const int PAD = 1;      // rows above, columns to the left; below and right as y's size wants
layout(constant_id = 10) const int UPSAMPLE = 0; // 1: x is read as if each pixel were two by two
layout(constant_id = 11) const bool HAS_BIAS = false;
layout(constant_id = 12) const bool HAS_RESIDUAL = false;

TENSOR_READ(0, f32, x)        // [N, C, IN_HEIGHT, IN_WIDTH]
TENSOR_READ(1, f32, weight)   // [O, C, KERNEL, KERNEL]
TENSOR_READ(2, f32, bias)     // [O]
TENSOR_READ(3, f32, residual) // y's
TENSOR_WRITE(4, f32, y)       // [N, O, OUT_HEIGHT, OUT_WIDTH]

const int TAPS = KERNEL * KERNEL;
const int DEPTH = CHANNELS * TAPS;
const int PART_CHANNELS = 32; // a multiple of what the kernels take at a time
const int IN_PIXELS = IN_HEIGHT * IN_WIDTH;
const int PIXELS = OUT_HEIGHT * OUT_WIDTH;

// Row and column in x, upsampled, of the first tap about pixel p.
ivec2 first_tap(int p) { return ivec2(p / OUT_WIDTH, p % OUT_WIDTH) * STRIDE - PAD; }

// Outside x: padding, zero.
bool inside(ivec2 at) {
    return at.x >= 0 && at.x < IN_HEIGHT << UPSAMPLE && at.y >= 0 && at.y < IN_WIDTH << UPSAMPLE;
}

// The pixel of x; outside it some pixel that is there.
int place(ivec2 at) {
    ivec2 there = clamp(at >> UPSAMPLE, ivec2(0), ivec2(IN_HEIGHT - 1, IN_WIDTH - 1));
    return there.x * IN_WIDTH + there.y;
}

// The residual's element is read by the invocation that then writes y's: both may lie in one place.
void finish(uint image, uint channel, uint pixel, float value) {
    uint i = (image * OUT_CHANNELS + channel) * PIXELS + pixel;
    if (HAS_BIAS)
        value += LOAD(f32, bias, channel);
    if (HAS_RESIDUAL)
        value += LOAD(f32, residual, i);
    STORE(f32, y, i, value);
}
