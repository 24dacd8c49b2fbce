// SPDX-License-Identifier: MIT
#include "data/glyph_font.h"

#include "core/file.h"
#include "core/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_BBOX_H
#include FT_OUTLINE_H
#include FT_TRUETYPE_TABLES_H

#define FONT_BYTES_MAX (UINT64_C(64) << 20)
// In ems: beyond these an outline is no letter, and FreeType's fixed-point numbers could overflow.
#define EXTENT_MAX 4.0
#define TALLEST_MIN 0.05

struct glyph_font {
    FT_Library library;
    FT_Face face;
    char *bytes; // the file; the face reads from it
    char *path;
    uint32_t *characters;
    size_t character_count;
    double tallest; // font units, baseline to the top of the highest character
};

static igvk_status fail_freetype(const glyph_font *f, const char *doing, FT_Error error) {
    if (error == FT_Err_Out_Of_Memory)
        return fail_memory(f->path, 0);
    return fail(IGVK_ERROR_INVALID, "%s: %s (FreeType error 0x%02x)", f->path, doing, (unsigned)error);
}

static igvk_status load_outline(glyph_font *f, size_t place, FT_Outline **outline, FT_BBox *box) {
    uint32_t character = f->characters[place];
    FT_UInt index = FT_Get_Char_Index(f->face, character);
    if (!index)
        return fail(IGVK_ERROR_INVALID, "%s: has no character U+%04" PRIX32, f->path, character);
    FT_Error error = FT_Load_Glyph(f->face, index, FT_LOAD_NO_SCALE);
    if (error)
        return fail_freetype(f, "a glyph cannot be read", error);
    if (f->face->glyph->format != FT_GLYPH_FORMAT_OUTLINE)
        return fail(IGVK_ERROR_INVALID, "%s: U+%04" PRIX32 " is no outline", f->path, character);
    *outline = &f->face->glyph->outline;
    FT_Outline_Get_CBox(*outline, box);
    double limit = EXTENT_MAX * f->face->units_per_EM;
    if (box->xMin >= box->xMax || box->yMin >= box->yMax)
        return fail(IGVK_ERROR_INVALID, "%s: U+%04" PRIX32 " is blank", f->path, character);
    if (box->xMin < -limit || box->xMax > limit || box->yMin < -limit || box->yMax > limit)
        return fail(IGVK_ERROR_INVALID, "%s: U+%04" PRIX32 " is out of all proportion", f->path, character);
    return IGVK_OK;
}

// Every character is loaded once, so that drawing meets no surprise.
static igvk_status measure(glyph_font *f) {
    for (size_t i = 0; i < f->character_count; i++) {
        FT_Outline *outline;
        FT_BBox box;
        igvk_status status = load_outline(f, i, &outline, &box);
        if (status != IGVK_OK)
            return status;
        if (f->tallest < (double)box.yMax)
            f->tallest = (double)box.yMax;
    }
    if (f->tallest < TALLEST_MIN * f->face->units_per_EM)
        return fail(IGVK_ERROR_INVALID, "%s: its characters are too low to draw", f->path);
    return IGVK_OK;
}

static bool is_slanted(FT_Face face) {
    if (face->style_flags & FT_STYLE_FLAG_ITALIC)
        return true;
    if (face->style_name && (strstr(face->style_name, "Italic") || strstr(face->style_name, "Oblique")))
        return true;
    const TT_Postscript *table = FT_Get_Sfnt_Table(face, FT_SFNT_POST);
    return table && table->italicAngle != 0;
}

static igvk_status open_face(glyph_font *f, bool slanted) {
    igvk_status status = IGVK_OK;
    size_t size = 0;
    TRY(file_read(f->path, FONT_BYTES_MAX, &f->bytes, &size));
    FT_Error error = FT_Init_FreeType(&f->library);
    if (error)
        THROW(IGVK_ERROR_INTERNAL, "FreeType does not start (error 0x%02x)", (unsigned)error);
    error = FT_New_Memory_Face(f->library, (const FT_Byte *)f->bytes, (FT_Long)size, 0, &f->face);
    if (error) {
        status = fail_freetype(f, "no font that FreeType can read", error);
        goto done;
    }
    if (!FT_IS_SCALABLE(f->face) || !f->face->units_per_EM)
        THROW(IGVK_ERROR_INVALID, "%s: a bitmap font; outlines are needed", f->path);
    if (FT_Select_Charmap(f->face, FT_ENCODING_UNICODE))
        THROW(IGVK_ERROR_INVALID, "%s: a symbol font (no Unicode character map)", f->path);
    if (!slanted && is_slanted(f->face))
        THROW(IGVK_ERROR_INVALID, "%s: slanted (italic or oblique), left out unless asked for", f->path);
done:
    return status;
}

igvk_status glyph_font_open(const char *path, const glyph_font_options *o, glyph_font **out) {
    igvk_status status = IGVK_OK;
    *out = NULL;
    glyph_font *f = calloc(1, sizeof *f);
    if (!f)
        return fail_memory("font", sizeof *f);
    f->path = malloc(strlen(path) + 1);
    f->characters = malloc(o->character_count * sizeof *f->characters + 1);
    if (!f->path || !f->characters) {
        status = fail_memory("font", strlen(path) + o->character_count * sizeof *f->characters);
        goto done;
    }
    memcpy(f->path, path, strlen(path) + 1);
    memcpy(f->characters, o->characters, o->character_count * sizeof *f->characters);
    f->character_count = o->character_count;
    TRY(open_face(f, o->slanted));
    TRY(measure(f));
    *out = f;
    f = NULL;
done:
    glyph_font_close(&f);
    return status;
}

void glyph_font_close(glyph_font **f) {
    if (!f || !*f)
        return;
    if ((*f)->face)
        FT_Done_Face((*f)->face);
    if ((*f)->library)
        FT_Done_FreeType((*f)->library);
    free((*f)->bytes);
    free((*f)->path);
    free((*f)->characters);
    free(*f);
    *f = NULL;
}

// ---- drawing, in FreeType's 1/64 pixels -------------------------------------------------------------------

static void scale_outline(FT_Outline *outline, double factor) {
    FT_Fixed fixed = (FT_Fixed)floor(factor * 65536); // down: what fits must not grow
    FT_Matrix matrix = {.xx = fixed, .yy = fixed};
    FT_Outline_Transform(outline, &matrix);
}

// Largest factor <= 1 by which the box fits a square of `room`.
static double fitting(const FT_BBox *box, double room) {
    double width = (double)(box->xMax - box->xMin), height = (double)(box->yMax - box->yMin);
    double larger = width > height ? width : height;
    return larger > room ? room / larger : 1;
}

// How far to move [low, high] to lie inside [margin, side - margin], starting from a wish.
static FT_Pos inside(double wish, FT_Pos low, FT_Pos high, double margin, double side) {
    double least = margin - (double)low, most = side - margin - (double)high;
    double shift = wish < least ? least : wish > most ? most : wish;
    return (FT_Pos)floor(shift);
}

static igvk_status shape_outline(glyph_font *f, size_t place, const glyph_style *style, uint32_t size,
                                 FT_Outline **outline) {
    igvk_status status = IGVK_OK;
    FT_BBox box;
    double side = 64.0 * size;
    double margin = side / 32;
    double weight = 64 * style->weight;
    double room = side - 2 * margin - fabs(weight) - 2; // 2: rounding of each edge
    TRY(load_outline(f, place, outline, &box));

    double scale = 64 * style->height / f->tallest;
    FT_BBox scaled = {.xMin = (FT_Pos)((double)box.xMin * scale),
                      .xMax = (FT_Pos)((double)box.xMax * scale),
                      .yMin = (FT_Pos)((double)box.yMin * scale),
                      .yMax = (FT_Pos)((double)box.yMax * scale)};
    scale *= fitting(&scaled, room);
    scale_outline(*outline, scale);
    FT_Error error = FT_Outline_Embolden(*outline, (FT_Pos)weight);
    if (error)
        THROW(IGVK_ERROR_INVALID, "%s: an outline cannot be drawn (FreeType error 0x%02x)", f->path, (unsigned)error);
    FT_Outline_Get_CBox(*outline, &box);
    scale_outline(*outline, fitting(&box, side - 2 * margin - 2)); // sharp corners grow by more than the weight
    FT_Outline_Get_CBox(*outline, &box);

    // Across: the character's middle; upwards: the font's band from baseline to top, so that characters keep
    // their height relative to each other.
    double centre_x = (side - (double)(box.xMin + box.xMax)) / 2;
    double centre_y = (side - f->tallest * scale) / 2;
    FT_Outline_Translate(*outline, inside(centre_x + 64 * style->x, box.xMin, box.xMax, margin, side),
                         inside(centre_y + 64 * style->y, box.yMin, box.yMax, margin, side));
done:
    return status;
}

igvk_status glyph_font_draw(glyph_font *f, size_t place, const glyph_style *style, uint32_t size, uint8_t *pixels) {
    FT_Outline *outline = NULL;
    igvk_status status = shape_outline(f, place, style, size, &outline);
    if (status != IGVK_OK)
        return status;
    FT_Bitmap bitmap = {.rows = size,
                        .width = size,
                        .pitch = (int)size,
                        .buffer = pixels,
                        .num_grays = 256,
                        .pixel_mode = FT_PIXEL_MODE_GRAY};
    memset(pixels, 0, (size_t)size * size);
    FT_Error error = FT_Outline_Get_Bitmap(f->library, outline, &bitmap);
    return error ? fail_freetype(f, "an outline cannot be drawn", error) : IGVK_OK;
}
