// SPDX-License-Identifier: MIT
// Small text in pictures, without any font of the system: ASCII in a grid of 6 x 9, enlarged by whole numbers.
// One sign a code point of UTF-8; what is not ASCII is drawn as a box.
#ifndef IGVK_DATA_BITMAP_TEXT_H
#define IGVK_DATA_BITMAP_TEXT_H

#include "formats/image.h"

enum { BITMAP_TEXT_ADVANCE = 6, BITMAP_TEXT_HEIGHT = 9 }; // at scale 1; the last gap is not counted as width

uint64_t bitmap_text_width(const char *text, uint32_t scale);
// Draws with the top left corner at (x, y), cut off at the picture's border. What is wider than `room` pixels
// ends in "..".
void bitmap_text_draw(image *im, int64_t x, int64_t y, uint32_t scale, uint8_t shade, uint64_t room, const char *text);

#endif
