// SPDX-License-Identifier: MIT
// A large picture from overlapping tiles of one size: which there are, and how they are blended. Each tile's weight
// rises linearly from its edges, where other tiles lie, so that no seam is a step: at a tile's edge its share is zero.
#ifndef IGVK_API_TILES_H
#define IGVK_API_TILES_H

#include "core/status.h"

// Of one axis: `count` tiles of `side` from first[0] = 0 to the end; neighbours overlap by at least a quarter of a
// side.
#define TILES_MOST 256
typedef struct tile_axis {
    uint32_t length, side, count;
    uint32_t first[TILES_MOST];
} tile_axis;
// `side` at least 4; one as long as the axis, or 0, is one tile. Refuses more than TILES_MOST.
igvk_status tile_axis_make(uint32_t length, uint32_t side, tile_axis *out);
// The weight of tile k at the axis' pixel `at`, which lies in it, where each pixel of the axis stands for `factor` of
// the picture's and `at` counts these. Weights of all tiles at a pixel sum to 1.
double tile_weight(const tile_axis *a, uint32_t k, uint32_t factor, uint32_t at);

#endif
