// SPDX-License-Identifier: MIT
// Glyph datasets. The fonts are gone through three times: to find those that can be used, to draw the
// training pictures, to draw the held-out ones; one font is open at a time.
#include "data/glyphs.h"

#include "core/philox.h"
#include "data/character_list.h"
#include "data/dataset.h"
#include "data/dataset_json.h"
#include "data/font_list.h"
#include "data/glyph_font.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PICTURE_SIZE_DEFAULT = 16,
    PICTURE_SIZE_MIN = 8,
    PICTURE_SIZE_MAX = 256,
    VARIANTS_DEFAULT = 8,
    VARIANTS_MAX = 10000,
};

// Ranges of the random style, in shares of the side. Tall enough to read at 16 pixels; of 260 held-out pictures
// the nearest training one is of the same character for 255; with heights from 0.62 and
// shifts of 0.08 it is so for 96 % of them.
static const double HEIGHT_LOW = 0.66, HEIGHT_HIGH = 0.80;
static const double SHIFT = 0.05;
static const double WEIGHT_LOW = -0.012, WEIGHT_HIGH = 0.030;

typedef struct maker {
    const glyph_options *options;
    glyph_result *result;
    uint32_t size, variants;
    arena *texts;
    character_list characters;
    font_list fonts; // those that can be used, once chosen
    uint64_t count, held_out;
    dataset_writer *writer;
    uint8_t *pixels;
} maker;

// ---- fonts ------------------------------------------------------------------------------------------------

static igvk_status open_font(const maker *m, const char *path, glyph_font **out) {
    glyph_font_options o = {
        .characters = m->characters.codes, .character_count = m->characters.count, .slanted = m->options->slanted};
    return glyph_font_open(path, &o, out);
}

// Leaves in the list the fonts that can be used.
static igvk_status choose_fonts(maker *m) {
    igvk_status status = IGVK_OK;
    const maker_callbacks *callbacks = &m->options->callbacks;
    TRY(font_list_find(m->options->fonts, m->options->font_count, callbacks, &m->fonts));
    size_t found = m->fonts.count, kept = 0;
    for (size_t i = 0; i < found; i++) {
        glyph_font *font = NULL;
        char *path = m->fonts.paths[i];
        status = open_font(m, path, &font);
        if (status != IGVK_OK && !maker_may_skip(status))
            goto done;
        maker_source(callbacks, path, font ? NULL : maker_reason(path));
        m->fonts.paths[i] = m->fonts.paths[kept];
        m->fonts.paths[kept] = path;
        kept += font != NULL;
        glyph_font_close(&font);
    }
    status = IGVK_OK;
    for (size_t i = kept; i < found; i++)
        free(m->fonts.paths[i]);
    m->fonts.count = kept;
    m->result->fonts_used = (uint32_t)kept;
    m->result->fonts_skipped = (uint32_t)(found - kept);
    if (!kept)
        THROW(IGVK_ERROR_INVALID, "none of the %zu fonts found can be used; the last: %s", found, igvk_error_text());
done:
    return status;
}

// ---- pictures ---------------------------------------------------------------------------------------------

// Philox step: FNV-1a of the font file's name, so that pictures do not depend on which other fonts there are.
static uint32_t font_number(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    uint64_t hash = digest_bytes(DIGEST_START, name, strlen(name));
    return (uint32_t)(hash ^ hash >> 32);
}

static double between(double low, double high, double u) {
    return low + (high - low) * u;
}

static igvk_status draw(maker *m, glyph_font *font, uint32_t font_number, size_t place, uint32_t variant) {
    double u[4];
    for (uint32_t i = 0; i < 4; i++)
        u[i] = random_uniform(m->options->seed, STREAM_GLYPH, font_number, m->characters.codes[place], 4 * variant + i);
    glyph_style style = {.height = m->size * between(HEIGHT_LOW, HEIGHT_HIGH, u[0]),
                         .x = m->size * between(-SHIFT, SHIFT, u[1]),
                         .y = m->size * between(-SHIFT, SHIFT, u[2]),
                         .weight = m->size * between(WEIGHT_LOW, WEIGHT_HIGH, u[3])};
    igvk_status status = glyph_font_draw(font, place, &style, m->size, m->pixels);
    return status == IGVK_OK ? dataset_append(m->writer, m->pixels, (uint32_t)place) : status;
}

// Appends the font's pictures that are held out, or those that are not. `index` counts all pictures.
static igvk_status draw_font(maker *m, const char *path, bool held_out, uint64_t *index) {
    igvk_status status = IGVK_OK;
    glyph_font *font = NULL;
    uint32_t number = font_number(path);
    TRY(open_font(m, path, &font));
    for (size_t place = 0; place < m->characters.count; place++) {
        for (uint32_t variant = 0; variant < m->variants; variant++) {
            if (hold_out_chosen(m->options->seed, (*index)++, m->count, m->held_out) != held_out)
                continue;
            TRY(draw(m, font, number, place, variant));
            TRY(maker_progress(&m->options->callbacks, ++m->result->images, m->count));
        }
    }
done:
    glyph_font_close(&font);
    return status;
}

static igvk_status draw_all(maker *m) {
    igvk_status status = IGVK_OK;
    for (int held_out = 0; held_out < 2; held_out++) {
        uint64_t index = 0;
        for (size_t i = 0; i < m->fonts.count; i++)
            TRY(draw_font(m, m->fonts.paths[i], held_out, &index));
    }
done:
    return status;
}

static igvk_status parse_characters(maker *m) {
    const char *text = m->options->characters;
    m->texts = arena_create();
    if (!m->texts)
        return fail_memory("characters", CHARACTERS_MAX);
    igvk_status status = character_list_parse(text ? text : "A-Z", m->texts, &m->characters);
    m->result->classes = (uint32_t)m->characters.count;
    return status;
}

static igvk_status check_options(maker *m) {
    const glyph_options *o = m->options;
    m->size = o->size ? o->size : PICTURE_SIZE_DEFAULT;
    m->variants = o->variants ? o->variants : VARIANTS_DEFAULT;
    if (m->size < PICTURE_SIZE_MIN || m->size > PICTURE_SIZE_MAX)
        return fail(IGVK_ERROR_INVALID, "glyph size %" PRIu32 ": must be %d to %d pixels", m->size, PICTURE_SIZE_MIN,
                    PICTURE_SIZE_MAX);
    if (m->variants > VARIANTS_MAX)
        return fail(IGVK_ERROR_INVALID, "%" PRIu32 " variants: at most %d", m->variants, VARIANTS_MAX);
    return hold_out_check("glyphs", o->held_out);
}

static igvk_status open_writer(maker *m) {
    m->count = (uint64_t)m->fonts.count * m->characters.count * m->variants;
    m->held_out = m->result->held_out = hold_out_count(m->count, m->options->held_out);
    dataset_writer_options w = {.folder = m->options->folder,
                                .channels = 1,
                                .height = m->size,
                                .width = m->size,
                                .class_names = m->characters.names,
                                .classes = (uint32_t)m->characters.count,
                                .held_out = m->held_out,
                                .made_by = m->options->made_by,
                                .expected = m->count};
    m->pixels = malloc((size_t)m->size * m->size);
    if (!m->pixels)
        return fail_memory("one picture", (uint64_t)m->size * m->size);
    return dataset_writer_create(&w, &m->writer);
}

igvk_status glyphs_make(const glyph_options *o, glyph_result *result) {
    igvk_status status = IGVK_OK;
    maker m = {.options = o, .result = result};
    *result = (glyph_result){0};
    TRY(check_options(&m));
    TRY(parse_characters(&m));
    TRY(choose_fonts(&m));
    TRY(open_writer(&m));
    TRY(draw_all(&m));
    TRY(dataset_finish(m.writer));
done:
    dataset_writer_destroy(&m.writer);
    font_list_free(&m.fonts);
    arena_destroy(&m.texts);
    free(m.pixels);
    return status;
}
