// SPDX-License-Identifier: MIT
#include "data/sheet.h"

#include "data/bitmap_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELL_SIDE = 48, // what small images are enlarged to at least
    CELL_GAP = 4,
    MARGIN = 8,
    TEXT_GAP = 6,          // between labels and cells
    TITLE_SIGNS_MAX = 120, // a title may widen the sheet to this many signs
    LABEL_SIGNS_MAX = 40,
    SIDE_MAX = 16384,
    PIXELS_MAX = 64 << 20,
    PAPER = 250,
    INK = 30,
};

struct sheet {
    sheet_options options; // the texts are not kept
    image picture;
    uint32_t shown_channels; // 1 or 3
    uint32_t scale, text_scale, title_scale;
    uint64_t left, top; // of the first cell
    uint64_t width, height;
};

uint8_t pixel_byte(float value) {
    float level = 127.5f * value + 128.0f;
    if (!(level > 0)) // also what is not a number
        return 0;
    return level < 255 ? (uint8_t)level : 255;
}

// ---- layout -----------------------------------------------------------------------------------------------

static uint64_t step_x(const sheet *s) {
    return (uint64_t)s->options.width * s->scale + CELL_GAP;
}
static uint64_t step_y(const sheet *s) {
    return (uint64_t)s->options.height * s->scale + CELL_GAP;
}

static uint64_t widest(const char *const *labels, uint32_t count, uint32_t scale) {
    uint64_t most = 0;
    for (uint32_t i = 0; labels && i < count; i++) {
        uint64_t width = bitmap_text_width(labels[i], scale);
        most = width > most ? width : most;
    }
    return most;
}

static uint64_t at_most(uint64_t value, uint64_t limit) {
    return value < limit ? value : limit;
}

// Labels are drawn at double size where all of a row's fit above their cells.
static void lay_out(sheet *s) {
    const sheet_options *o = &s->options;
    uint64_t cell_width = (uint64_t)o->width * s->scale;
    s->text_scale = widest(o->column_labels, o->columns, 2) <= cell_width ? 2 : 1;
    uint64_t label_room = (uint64_t)LABEL_SIGNS_MAX * BITMAP_TEXT_ADVANCE * s->text_scale;
    uint64_t row_label = at_most(widest(o->row_labels, o->rows, s->text_scale), label_room);
    s->left = MARGIN + (row_label ? row_label + TEXT_GAP : 0);
    s->width = s->left + o->columns * step_x(s) - CELL_GAP + MARGIN;

    const char *title = o->title ? o->title : "";
    s->title_scale = bitmap_text_width(title, 2) + 2 * MARGIN <= s->width ? 2 : 1;
    uint64_t title_width = at_most(bitmap_text_width(title, 1), (uint64_t)TITLE_SIGNS_MAX * BITMAP_TEXT_ADVANCE);
    if (s->width < title_width + 2 * MARGIN)
        s->width = title_width + 2 * MARGIN;

    s->top = MARGIN;
    if (*title)
        s->top += (uint64_t)BITMAP_TEXT_HEIGHT * s->title_scale + TEXT_GAP;
    if (o->column_labels)
        s->top += (uint64_t)BITMAP_TEXT_HEIGHT * s->text_scale + TEXT_GAP / 2;
    s->height = s->top + o->rows * step_y(s) - CELL_GAP + MARGIN;
}

// ---- texts ------------------------------------------------------------------------------------------------

static void draw_title(sheet *s) {
    if (s->options.title)
        bitmap_text_draw(&s->picture, MARGIN, MARGIN, s->title_scale, INK, s->width - 2 * MARGIN, s->options.title);
}

// Centred above the column.
static void draw_column_label(sheet *s, uint32_t column) {
    uint64_t room = (uint64_t)s->options.width * s->scale;
    const char *text = s->options.column_labels[column];
    uint64_t width = at_most(bitmap_text_width(text, s->text_scale), room);
    uint64_t x = s->left + column * step_x(s) + (room - width) / 2;
    uint64_t y = s->top - (uint64_t)BITMAP_TEXT_HEIGHT * s->text_scale - TEXT_GAP / 2;
    bitmap_text_draw(&s->picture, (int64_t)x, (int64_t)y, s->text_scale, INK, room, text);
}

// Right-aligned beside the row, at its middle height.
static void draw_row_label(sheet *s, uint32_t row) {
    uint64_t room = s->left - MARGIN - TEXT_GAP;
    const char *text = s->options.row_labels[row];
    uint64_t width = at_most(bitmap_text_width(text, s->text_scale), room);
    int64_t cell = (int64_t)s->options.height * s->scale;
    int64_t y = (int64_t)(s->top + row * step_y(s)) + (cell - BITMAP_TEXT_HEIGHT * (int64_t)s->text_scale) / 2;
    bitmap_text_draw(&s->picture, (int64_t)(MARGIN + room - width), y, s->text_scale, INK, room, text);
}

static void draw_texts(sheet *s) {
    draw_title(s);
    for (uint32_t c = 0; s->options.column_labels && c < s->options.columns; c++)
        draw_column_label(s, c);
    for (uint32_t r = 0; s->options.row_labels && r < s->options.rows && s->left > MARGIN; r++)
        draw_row_label(s, r);
}

// ---- sheets -----------------------------------------------------------------------------------------------

static igvk_status check_options(const sheet_options *o) {
    if (!o->rows || !o->columns || !o->channels || !o->height || !o->width)
        return fail(IGVK_ERROR_INVALID, "a sheet needs rows, columns and images, all of at least 1");
    if (o->rows > SIDE_MAX || o->columns > SIDE_MAX || o->height > SIDE_MAX || o->width > SIDE_MAX ||
        o->scale > SIDE_MAX)
        return fail(IGVK_ERROR_INVALID, "a sheet of %" PRIu32 " x %" PRIu32 " images is too large; show fewer", o->rows,
                    o->columns);
    return IGVK_OK;
}

igvk_status sheet_create(const sheet_options *o, sheet **out) {
    igvk_status status = IGVK_OK;
    *out = NULL;
    sheet *s = calloc(1, sizeof *s);
    if (!s)
        return fail_memory("sheet", sizeof *s);
    TRY(check_options(o));
    uint32_t longer = o->width > o->height ? o->width : o->height;
    s->options = *o;
    s->scale = o->scale ? o->scale : (CELL_SIDE + longer - 1) / longer;
    s->shown_channels = o->channels >= 3 ? 3 : 1;
    lay_out(s);
    if (s->width > SIDE_MAX || s->height > SIDE_MAX || s->width * s->height > PIXELS_MAX)
        THROW(IGVK_ERROR_INVALID,
              "a sheet of %" PRIu32 " x %" PRIu32 " images would be %" PRIu64 " x %" PRIu64
              " pixels; show fewer images or enlarge them less",
              o->rows, o->columns, s->width, s->height);
    TRY(image_create((uint32_t)s->width, (uint32_t)s->height, s->shown_channels, &s->picture));
    memset(s->picture.pixels, PAPER, s->width * s->height * s->shown_channels);
    draw_texts(s);
    s->options.title = NULL;
    s->options.row_labels = s->options.column_labels = NULL;
    *out = s;
    s = NULL;
done:
    sheet_destroy(&s);
    return status;
}

// One pixel of an image as a square of the sheet.
static void put_pixel(sheet *s, uint64_t left, uint64_t top, const uint8_t shade[3]) {
    for (uint64_t y = top; y < top + s->scale; y++) {
        uint8_t *to = s->picture.pixels + (y * s->width + left) * s->shown_channels;
        for (uint32_t x = 0; x < s->scale; x++, to += s->shown_channels)
            memcpy(to, shade, s->shown_channels);
    }
}

// Either `values` or `bytes` is given.
static void put_image(sheet *s, uint32_t row, uint32_t column, const float *values, const uint8_t *bytes) {
    const sheet_options *o = &s->options;
    if (row >= o->rows || column >= o->columns)
        return;
    uint64_t left = s->left + column * step_x(s);
    uint64_t top = s->top + row * step_y(s);
    size_t plane = (size_t)o->width * o->height;
    for (size_t i = 0; i < plane; i++) {
        uint8_t shade[3];
        for (uint32_t c = 0; c < s->shown_channels; c++)
            shade[c] = values ? pixel_byte(values[c * plane + i]) : bytes[c * plane + i];
        put_pixel(s, left + i % o->width * s->scale, top + i / o->width * s->scale, shade);
    }
}

void sheet_put_f32(sheet *s, uint32_t row, uint32_t column, const float *image) {
    put_image(s, row, column, image, NULL);
}

void sheet_put_bytes(sheet *s, uint32_t row, uint32_t column, const uint8_t *image) {
    put_image(s, row, column, NULL, image);
}

const image *sheet_image(const sheet *s) {
    return &s->picture;
}

void sheet_destroy(sheet **s) {
    if (!s || !*s)
        return;
    image_free(&(*s)->picture);
    free(*s);
    *s = NULL;
}
