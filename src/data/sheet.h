// SPDX-License-Identifier: MIT
// Contact sheets: a grid of small images, enlarged by a whole number (nearest neighbour, so that every pixel is
// seen as it is), with a title line, a label beside each row and one above each column.
//
//     sheet_create(&(sheet_options){.rows = 4, .columns = 26, .channels = 1, .height = 16, .width = 16,
//                                   .title = "...", .row_labels = modes, .column_labels = classes}, &s);
//     sheet_put_f32(s, row, column, image);   // for each; cells without an image stay empty
//     image_write_png(path, sheet_image(s), texts, text_count);
//     sheet_destroy(&s);
#ifndef IGVK_DATA_SHEET_H
#define IGVK_DATA_SHEET_H

#include "formats/image.h"

typedef struct sheet_options {
    uint32_t rows, columns;
    uint32_t channels, height, width; // of the images; 3 or more channels: the first three are red, green, blue
    uint32_t scale;                   // 0: the smallest that makes the longer side at least 48
    const char *title;                // texts are UTF-8 (data/bitmap_text.h); null: none
    const char *const *row_labels;    // [rows]; null: none
    const char *const *column_labels; // [columns]; null: none
} sheet_options;

typedef struct sheet sheet;
// Refuses what would be wider or higher than 16384 pixels or more than 64 MPixel.
igvk_status sheet_create(const sheet_options *o, sheet **out);
// C,H,W; values in [-1, 1], clamped; what is not a number is drawn as -1. Cells outside the grid: no effect.
void sheet_put_f32(sheet *s, uint32_t row, uint32_t column, const float *image);
void sheet_put_bytes(sheet *s, uint32_t row, uint32_t column, const uint8_t *image);
const image *sheet_image(const sheet *s); // grey or RGB, owned by the sheet
void sheet_destroy(sheet **s);

// The byte of a value of pixel space: clamp(127.5 v + 128, 0, 255) cut to a whole number, as the official
// sampler writes its images.
uint8_t pixel_byte(float value);

#endif
