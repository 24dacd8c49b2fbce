#version 450
// SPDX-License-Identifier: MIT
// A convolution for software drivers: a register tile, no shared memory, after linear.comp, whose rules it keeps. One
// workgroup is one vector of lanes and computes TILE_ROWS output channels of TILE_VECTORS x LANES pixels; lanes run
// along pixels. In each turn the pixels under the taps of a few channels of x are gathered once and used by all output
// channels; a weight is the same for all lanes, a scalar load with its offset folded into the address.
#include "tensor.glsl"
#include "convolution_epilogue.glsl"

layout(constant_id = 13) const int TILE_ROWS = 8; // at most OUT_CHANNELS
layout(constant_id = 14) const int TILE_VECTORS = 1;
layout(constant_id = 15) const int CHANNELS_PER_TURN = 1; // divides CHANNELS
layout(constant_id = 16) const int REGISTER_ROWS = 8;     // worked on at a time; their sums stay in registers
const int LANES = int(gl_WorkGroupSize.x);
const int STEPS = CHANNELS_PER_TURN * TAPS;

uint lane, image;
uint first_row; // output channel
float sum[TILE_ROWS * TILE_VECTORS], total[TILE_ROWS * TILE_VECTORS];
int tap_place[TAPS * TILE_VECTORS];
bool tap_inside[TAPS * TILE_VECTORS];
float right[STEPS * TILE_VECTORS];

void locate_taps(int first_pixel) {
    UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
        ivec2 corner = first_tap(min(first_pixel + j * LANES + int(lane), PIXELS - 1));
        UNROLL for (int tap = 0; tap < TAPS; tap++) {
            ivec2 at = corner + ivec2(tap / KERNEL, tap % KERNEL);
            tap_place[tap * TILE_VECTORS + j] = place(at);
            tap_inside[tap * TILE_VECTORS + j] = inside(at);
        }
    }
}

void load_right(uint channel) {
    POINT_READ(f32, source, x, (image * CHANNELS + channel) * IN_PIXELS);
    UNROLL for (int c = 0; c < CHANNELS_PER_TURN; c++)
    UNROLL for (int i = 0; i < TAPS * TILE_VECTORS; i++) {
        float value = AT(f32, source, x, c * IN_PIXELS + tap_place[i]);
        right[c * TAPS * TILE_VECTORS + i] = tap_inside[i] ? value : 0.0;
    }
}

void accumulate(uint channel) {
    load_right(channel);
    POINT_READ(f32, rows, weight, first_row * DEPTH + channel * TAPS);
    UNROLL for (int block = 0; block < TILE_ROWS; block += REGISTER_ROWS)
    UNROLL for (int s = 0; s < STEPS; s++)
    UNROLL for (int i = 0; i < REGISTER_ROWS; i++)
        if (block + i < TILE_ROWS) {
            float value = AT(f32, rows, weight, (block + i) * DEPTH + s);
            UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
                int at = (block + i) * TILE_VECTORS + j;
                sum[at] = fma(value, right[s * TILE_VECTORS + j], sum[at]);
            }
        }
}

void main() {
    lane = gl_LocalInvocationID.x;
    image = gl_WorkGroupID.z;
    // The last tile is moved back until it fits, over the one before it, and stores only what that one does not.
    uint own_row = gl_WorkGroupID.y * TILE_ROWS;
    uint first_pixel = gl_WorkGroupID.x * (TILE_VECTORS * LANES);
    first_row = min(own_row, OUT_CHANNELS - TILE_ROWS);
    locate_taps(int(first_pixel));
    UNROLL for (int i = 0; i < TILE_ROWS * TILE_VECTORS; i++)
        total[i] = 0.0;
    uint channel = 0;
    NO_UNROLL do {
        uint end = min(channel + PART_CHANNELS, CHANNELS);
        UNROLL for (int i = 0; i < TILE_ROWS * TILE_VECTORS; i++)
            sum[i] = 0.0;
        NO_UNROLL do {
            accumulate(channel);
            channel += CHANNELS_PER_TURN;
        } while (channel < end);
        UNROLL for (int i = 0; i < TILE_ROWS * TILE_VECTORS; i++)
            total[i] += sum[i];
    } while (channel < CHANNELS);
    UNROLL for (int i = 0; i < TILE_ROWS; i++)
    UNROLL for (int j = 0; j < TILE_VECTORS; j++) {
        uint pixel = first_pixel + j * LANES + lane;
        if (first_row + i >= own_row && pixel < PIXELS)
            finish(image, first_row + i, pixel, total[i * TILE_VECTORS + j]);
    }
}
