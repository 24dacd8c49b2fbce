// SPDX-License-Identifier: MIT
// `igvk data glyphs`: a dataset of characters drawn with the fonts of the system, one class a character, one
// grey channel, light (255) on dark (0), each slightly different in size, place and weight. A picture depends
// on (seed, font file's name, character, variant) alone.
#ifndef IGVK_DATA_GLYPHS_H
#define IGVK_DATA_GLYPHS_H

#include "data/maker.h"

typedef struct glyph_options {
    const char *folder;       // the dataset to make
    const char *characters;   // "A-Za-z", "0-9", ... (data/character_list.h); null: A-Z
    uint32_t size;            // side of a picture in pixels, 8 to 256; 0: 16
    uint32_t variants;        // pictures of each character in each font, 1 to 10000; 0: 8
    const char *const *fonts; // files or folders; none: the default set (data/font_list.h)
    size_t font_count;
    bool slanted;    // also italic and oblique fonts
    double held_out; // share kept for validation
    uint64_t seed;
    const char *made_by;       // the command line, for people
    maker_callbacks callbacks; // `source` is told of every font, with the reason where it is left out
} glyph_options;

typedef struct glyph_result {
    uint64_t images, held_out; // written; held-out ones among them
    uint32_t classes;
    uint32_t fonts_used, fonts_skipped;
} glyph_result;

igvk_status glyphs_make(const glyph_options *o, glyph_result *result);

#endif
