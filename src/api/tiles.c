// SPDX-License-Identifier: MIT
#include "api/tiles.h"

igvk_status tile_axis_make(uint32_t length, uint32_t side, tile_axis *out) {
    *out = (tile_axis){.length = length, .side = side && side < length ? side : length, .count = 1};
    if (out->side == length)
        return IGVK_OK;
    if (side < 4)
        return fail(IGVK_ERROR_INVALID, "tiles of %u latent pixels: must be at least 4, or 0 for none", side);
    const uint32_t step = side - (side + 3) / 4;
    const uint32_t count = (length - side + step - 1) / step + 1;
    if (count > TILES_MOST)
        return fail(IGVK_ERROR_INVALID,
                    "tiles of %u latent pixels: %u are needed along %u pixels, at most %d: choose larger ones", side,
                    count, length, TILES_MOST);
    out->count = count;
    for (uint32_t k = 0; k < count; k++) // evenly, the last at the end
        out->first[k] = (uint32_t)((uint64_t)(length - side) * k / (count - 1));
    return IGVK_OK;
}

// Falls to zero at the tile's edges; a neighbour's rises over the same pixels, but where a third tile reaches in.
static double raw_weight(const tile_axis *a, uint32_t k, uint32_t factor, uint32_t at) {
    const uint64_t begin = (uint64_t)a->first[k] * factor, end = begin + (uint64_t)a->side * factor;
    if (at < begin || at >= end)
        return 0;
    double weight = 1;
    if (k > 0) {
        const double overlap = (double)((uint64_t)(a->first[k - 1] + a->side) * factor - begin);
        const double inside = ((double)(at - begin) + 0.5) / overlap;
        weight = inside < weight ? inside : weight;
    }
    if (k + 1 < a->count) {
        const double overlap = (double)(end - (uint64_t)a->first[k + 1] * factor);
        const double inside = ((double)(end - at) - 0.5) / overlap;
        weight = inside < weight ? inside : weight;
    }
    return weight;
}

double tile_weight(const tile_axis *a, uint32_t k, uint32_t factor, uint32_t at) {
    double sum = 0;
    for (uint32_t i = 0; i < a->count; i++)
        sum += raw_weight(a, i, factor, at);
    return raw_weight(a, k, factor, at) / sum;
}
