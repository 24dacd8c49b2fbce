// SPDX-License-Identifier: MIT
// One font opened to draw characters into small squares, with FreeType. Font files are hostile until checked:
// outlines are loaded unscaled and unhinted (no program of the font is run), their extent is bounded, and
// they are drawn into a buffer of this file's own.
#ifndef IGVK_DATA_GLYPH_FONT_H
#define IGVK_DATA_GLYPH_FONT_H

#include "core/status.h"

typedef struct glyph_font_options {
    const uint32_t *characters; // Unicode
    size_t character_count;
    bool slanted; // italic and oblique faces are let in
} glyph_font_options;

typedef struct glyph_font glyph_font;
// Fails with IGVK_ERROR_INVALID or _IO where this font cannot be used, and the reason.
igvk_status glyph_font_open(const char *path, const glyph_font_options *o, glyph_font **out);
void glyph_font_close(glyph_font **f);

// How one picture differs from the next. Lengths in pixels.
typedef struct glyph_style {
    double height; // of the font's tallest character of the set above the baseline; less where it would not fit
    double x, y;   // shift from the centred place, kept inside the picture
    double weight; // strokes grow by this much, or shrink
} glyph_style;

// Draws character `place` of the set into size x size bytes, rows top to bottom: 255 on 0, antialiased,
// never cut off at the border.
igvk_status glyph_font_draw(glyph_font *f, size_t place, const glyph_style *style, uint32_t size, uint8_t *pixels);

#endif
