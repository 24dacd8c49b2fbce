// SPDX-License-Identifier: MIT
// Pictures read and written: every kind of PNG and JPEG to 8-bit grey or RGB, damage, limits, PNG text.
#define _POSIX_C_SOURCE 200809L
#include "formats/image.h"
#include "formats/helpers.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <jpeglib.h>
#include <png.h>
#include <cmocka.h>

enum { WIDTH = 37, HEIGHT = 23 };

static uint8_t sample(uint32_t x, uint32_t y, uint32_t c) {
    return (uint8_t)(x * 5 + y * 7 + c * 60);
}

static image make_picture(uint32_t channels) {
    image im = {0};
    assert_ok(image_create(WIDTH, HEIGHT, channels, &im));
    for (uint32_t i = 0; i < WIDTH * HEIGHT * channels; i++)
        im.pixels[i] = sample(i / channels % WIDTH, i / channels / WIDTH, i % channels);
    return im;
}

// By libpng: `bits` a sample; where there are 16, the low byte is noise. A palette's entry k is (k, 255 - k, 7).
static void write_png(const char *path, int colour, int bits, bool interlaced) {
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_set_IHDR(png, info, WIDTH, HEIGHT, bits, colour, interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        png_color palette[256];
        for (int k = 0; k < 256; k++)
            palette[k] = (png_color){(png_byte)k, (png_byte)(255 - k), 7};
        png_set_PLTE(png, info, palette, 1 << bits);
    }
    png_write_info(png, info);
    uint32_t channels = png_get_channels(png, info);
    png_bytep rows[HEIGHT];
    for (uint32_t y = 0; y < HEIGHT; y++) {
        rows[y] = calloc(WIDTH, 8);
        for (uint32_t i = 0; i < WIDTH * channels; i++) {
            uint8_t value = sample(i / channels, y, i % channels);
            if (bits == 16)
                rows[y][2 * i] = value, rows[y][2 * i + 1] = (uint8_t)(i * 99);
            else
                rows[y][i * (uint32_t)bits / 8] |= (uint8_t)(value >> (8 - bits) << (8 - bits - i * bits % 8));
        }
    }
    png_write_image(png, rows);
    png_write_end(png, NULL);
    for (uint32_t y = 0; y < HEIGHT; y++)
        free(rows[y]);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

static uint8_t over_white(uint8_t value, uint8_t alpha) {
    return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

// What a PNG written as above reads as.
static uint8_t expected(int colour, int bits, uint32_t x, uint32_t y, uint32_t c) {
    uint8_t value = sample(x, y, c);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        uint8_t entry = (uint8_t)(sample(x, y, 0) >> (8 - bits));
        return c == 0 ? entry : c == 1 ? (uint8_t)(255 - entry) : 7;
    }
    if (bits < 8)
        return (uint8_t)((value >> (8 - bits)) * 255 / ((1 << bits) - 1));
    if (colour == PNG_COLOR_TYPE_RGBA)
        return over_white(value, sample(x, y, 3));
    return colour == PNG_COLOR_TYPE_GRAY_ALPHA ? over_white(value, sample(x, y, 1)) : value;
}

static void test_png_kinds(void **state) {
    (void)state;
    static const struct {
        int colour, bits;
    } kinds[] = {
        {PNG_COLOR_TYPE_GRAY, 1},    {PNG_COLOR_TYPE_GRAY, 2},       {PNG_COLOR_TYPE_GRAY, 4},
        {PNG_COLOR_TYPE_GRAY, 8},    {PNG_COLOR_TYPE_GRAY, 16},      {PNG_COLOR_TYPE_RGB, 8},
        {PNG_COLOR_TYPE_RGB, 16},    {PNG_COLOR_TYPE_PALETTE, 1},    {PNG_COLOR_TYPE_PALETTE, 4},
        {PNG_COLOR_TYPE_PALETTE, 8}, {PNG_COLOR_TYPE_GRAY_ALPHA, 8}, {PNG_COLOR_TYPE_GRAY_ALPHA, 16},
        {PNG_COLOR_TYPE_RGBA, 8},    {PNG_COLOR_TYPE_RGBA, 16},
    };
    for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++) {
        int colour = kinds[i / 2].colour, bits = kinds[i / 2].bits;
        image im = {0};
        write_png(scratch("a"), colour, bits, i % 2);
        assert_ok(image_read(scratch("a"), &im));
        assert_true(im.width == WIDTH && im.height == HEIGHT);
        assert_int_equal(im.channels, colour & PNG_COLOR_MASK_COLOR ? 3 : 1);
        for (uint32_t k = 0; k < WIDTH * HEIGHT * im.channels; k++) {
            uint32_t pixel = k / im.channels;
            assert_int_equal(im.pixels[k], expected(colour, bits, pixel % WIDTH, pixel / WIDTH, k % im.channels));
        }
        image_free(&im);
    }
}

static void write_jpeg(const char *path, const image *im, J_COLOR_SPACE colours, bool progressive) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *f = fopen(path, "wb");
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, f);
    jpeg.image_width = im->width;
    jpeg.image_height = im->height;
    jpeg.input_components = colours == JCS_CMYK ? 4 : (int)im->channels;
    jpeg.in_color_space = colours;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    JSAMPLE inks[WIDTH * 4];
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = im->pixels + (size_t)jpeg.next_scanline * im->width * im->channels;
        for (uint32_t x = 0; colours == JCS_CMYK && x < im->width; x++) {
            memcpy(inks + 4 * x, row + 3 * x, 3);
            inks[4 * x + 3] = 255; // no black
        }
        if (colours == JCS_CMYK)
            row = inks;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(f);
}

// A slope, which the coding keeps well.
static image make_slope(uint32_t channels) {
    image im = {0};
    assert_ok(image_create(WIDTH, HEIGHT, channels, &im));
    for (uint32_t i = 0; i < WIDTH * HEIGHT * channels; i++)
        im.pixels[i] = (uint8_t)(i / channels % WIDTH * 3 + i / channels / WIDTH * 2 + i % channels * 30);
    return im;
}

static void test_jpeg_kinds(void **state) {
    (void)state;
    static const struct {
        J_COLOR_SPACE colours;
        bool progressive;
        uint32_t channels;
    } kinds[] = {{JCS_RGB, false, 3}, {JCS_RGB, true, 3}, {JCS_GRAYSCALE, false, 1}, {JCS_CMYK, false, 3}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        image im = make_slope(kinds[i].channels), back = {0};
        write_jpeg(scratch("a"), &im, kinds[i].colours, kinds[i].progressive);
        assert_ok(image_read(scratch("a"), &back));
        assert_true(back.width == WIDTH && back.height == HEIGHT && back.channels == im.channels);
        for (uint32_t k = 0; k < WIDTH * HEIGHT * im.channels; k++)
            assert_in_range(back.pixels[k] + 6 - im.pixels[k], 0, 12);
        image_free(&im);
        image_free(&back);
    }
}

static void attempt(const char *path) {
    image im = {0};
    if (image_read(path, &im) != IGVK_OK) {
        assert_true(strlen(igvk_error_text()) > 0 && !strchr(igvk_error_text(), '\n'));
        assert_null(im.pixels);
    } else {
        uint32_t sum = 0;
        for (size_t i = 0; i < (size_t)im.width * im.height * im.channels; i++)
            sum += im.pixels[i];
        assert_true(sum < UINT32_MAX);
    }
    image_free(&im);
    char *value = NULL;
    if (png_read_text(path, "key", &value) != IGVK_OK)
        assert_null(value);
    free(value);
}

static void test_mutations(void **state) {
    (void)state;
    image im = make_picture(3);
    const image_text texts[] = {{"other", "x"}, {"key", "J\xc3\xb6rg"}};
    assert_ok(image_write_png(scratch("0"), &im, texts, 2));
    write_png(scratch("1"), PNG_COLOR_TYPE_PALETTE, 4, true);
    write_jpeg(scratch("2"), &im, JCS_RGB, false);
    write_jpeg(scratch("3"), &im, JCS_RGB, true);
    for (int i = 0; i < 4; i++) {
        size_t size;
        char *bytes = read_bytes(scratch((const char *[]){"0", "1", "2", "3"}[i]), &size);
        mutate(bytes, size, 700, attempt);
        free(bytes);
    }
    image_free(&im);
}

// A chunk IHDR of those sides and nothing behind it.
static void write_png_header(const char *path, uint32_t width, uint32_t height) {
    unsigned char bytes[33] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    for (int i = 0; i < 4; i++) {
        bytes[16 + i] = (unsigned char)(width >> (24 - 8 * i));
        bytes[20 + i] = (unsigned char)(height >> (24 - 8 * i));
    }
    memcpy(bytes + 24, "\x08\x02\0\0\0", 5);
    uint32_t crc = (uint32_t)crc32(0, bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    write_bytes(path, bytes, sizeof bytes);
}

static void test_refusals(void **state) {
    (void)state;
    image im = {0};
    write_png_header(scratch("a"), 20000, 10);
    assert_fails(image_read(scratch("a"), &im), IGVK_ERROR_INVALID, "damaged PNG"); // libpng's own limit
    write_png_header(scratch("a"), 16384, 16384);
    assert_fails(image_read(scratch("a"), &im), IGVK_ERROR_INVALID, "damaged PNG"); // ends before its pixels
    write_bytes(scratch("a"), "GIF89a...", 9);
    assert_fails(image_read(scratch("a"), &im), IGVK_ERROR_INVALID, "neither PNG nor JPEG");
    write_bytes(scratch("a"), "", 0);
    assert_fails(image_read(scratch("a"), &im), IGVK_ERROR_INVALID, "neither PNG nor JPEG");
    assert_fails(image_read(scratch("none"), &im), IGVK_ERROR_IO, "No such file");
    assert_fails(image_create(0, 5, 3, &im), IGVK_ERROR_INVALID, "at least 1");
    assert_fails(image_create(5, 5, 4, &im), IGVK_ERROR_INVALID, "channels");
    assert_fails(image_create(UINT32_MAX, UINT32_MAX, 3, &im), IGVK_ERROR_MEMORY, "out of memory");
    assert_null(im.pixels);
}

// Sides that the file cannot have are refused before there are pixels: a KB must not cost a GB.
static void test_lying_sides(void **state) {
    (void)state;
    image im = make_slope(3), back = {0};
    size_t size;
    write_jpeg(scratch("a"), &im, JCS_RGB, false);
    char *bytes = read_bytes(scratch("a"), &size);
    unsigned char *frame = NULL;
    for (size_t i = 0; !frame && i + 9 < size; i++)
        if (memcmp(bytes + i, "\xff\xc0", 2) == 0)
            frame = (unsigned char *)bytes + i;
    assert_non_null(frame);
    memcpy(frame + 5, "\x3f\xff\x3f\xff", 4); // 16383 x 16383
    write_bytes(scratch("a"), bytes, size);
    assert_fails(image_read(scratch("a"), &back), IGVK_ERROR_INVALID, "64 MPixel");
    memcpy(frame + 5, "\x0f\xff\x3f\xff", 4);
    write_bytes(scratch("a"), bytes, size);
    assert_fails(image_read(scratch("a"), &back), IGVK_ERROR_INVALID, "too short for its 16383 x 4095");
    free(bytes);
    write_png(scratch("b"), PNG_COLOR_TYPE_GRAY, 8, false);
    bytes = read_bytes(scratch("b"), &size);
    write_png_header(scratch("c"), 16384, 4096);
    size_t header;
    char *lie = read_bytes(scratch("c"), &header);
    memcpy(bytes, lie, header);
    write_bytes(scratch("b"), bytes, size);
    assert_fails(image_read(scratch("b"), &back), IGVK_ERROR_INVALID, "too short for its 16384 x 4096");
    free(lie);
    free(bytes);
    image_free(&im);
}

static void test_cut_short(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        image im = make_picture(3), back = {0};
        size_t size;
        write_jpeg(scratch("a"), &im, JCS_RGB, progressive);
        char *bytes = read_bytes(scratch("a"), &size);
        write_bytes(scratch("a"), bytes, size - 200);
        assert_fails(image_read(scratch("a"), &back), IGVK_ERROR_INVALID, "damaged JPEG");
        free(bytes);
        assert_ok(image_write_png(scratch("b"), &im, NULL, 0));
        bytes = read_bytes(scratch("b"), &size);
        write_bytes(scratch("b"), bytes, size - 10);
        assert_fails(image_read(scratch("b"), &back), IGVK_ERROR_INVALID, "damaged PNG");
        free(bytes);
        image_free(&im);
    }
}

static void test_channels(void **state) {
    (void)state;
    image rgb = make_picture(3), grey = {0}, wide = {0};
    memcpy(rgb.pixels, "\xff\0\0\0\xff\0\0\0\xff\x09\x09\x09", 12);
    assert_ok(image_convert_channels(&rgb, 1, &grey));
    assert_memory_equal(grey.pixels, ((uint8_t[]){76, 150, 29, 9}), 4); // PIL's values
    assert_ok(image_convert_channels(&grey, 3, &wide));
    assert_memory_equal(wide.pixels, ((uint8_t[]){76, 76, 76, 150, 150, 150}), 6);
    image_free(&wide);
    assert_ok(image_convert_channels(&rgb, 3, &wide));
    assert_memory_equal(wide.pixels, rgb.pixels, WIDTH * HEIGHT * 3);
    image_free(&rgb);
    image_free(&grey);
    image_free(&wide);
}

static void test_png_written(void **state) {
    (void)state;
    static char long_text[5000];
    memset(long_text, 'x', sizeof long_text - 1);
    const image_text texts[] = {
        {"Software", "igvk"}, {"empty", ""}, {"note", "J\xc3\xb6rg \xe2\x86\x92 1"}, {"long", long_text}};
    for (uint32_t channels = 1; channels <= 3; channels += 2) {
        image im = make_picture(channels), back = {0};
        assert_ok(image_write_png(scratch("a.png"), &im, texts, 4));
        assert_ok(image_read(scratch("a.png"), &back));
        assert_int_equal(back.channels, channels);
        assert_memory_equal(im.pixels, back.pixels, WIDTH * HEIGHT * channels);
        for (size_t i = 0; i < 4; i++) {
            char *value = NULL;
            assert_ok(png_read_text(scratch("a.png"), texts[i].key, &value));
            assert_string_equal(value, texts[i].value);
            free(value);
        }
        char *value = NULL;
        assert_ok(png_read_text(scratch("a.png"), "Soft", &value)); // no prefixes
        assert_null(value);
        image_free(&im);
        image_free(&back);
    }
    assert_int_equal(scratch_count(), 1);
}

static void test_png_refused(void **state) {
    (void)state;
    image im = make_picture(1);
    char *value = NULL;
    assert_fails(image_write_png(scratch("no/a.png"), &im, NULL, 0), IGVK_ERROR_IO, "No such file");
    assert_fails(image_write_png(scratch("a.png"), &im, (image_text[]){{"", "x"}}, 1), IGVK_ERROR_INTERNAL, "1 to 79");
    image vast = {.width = 1 << 16, .height = 1 << 16, .channels = 3, .pixels = im.pixels};
    assert_fails(image_write_png(scratch("a.png"), &vast, NULL, 0), IGVK_ERROR_INVALID, "too large to write");
    assert_int_equal(scratch_count(), 0);
    write_bytes(scratch("b"), "text", 4);
    assert_fails(png_read_text(scratch("b"), "k", &value), IGVK_ERROR_INVALID, "is no PNG");
    assert_null(value);
    image_free(&im);
}

// An iTXt chunk whose language or translated key has no end.
static void test_endless_text(void **state) {
    (void)state;
    image im = make_picture(1);
    size_t size;
    assert_ok(image_write_png(scratch("a"), &im, (image_text[]){{"key", "\xc3\xa9"}}, 1));
    char *bytes = read_bytes(scratch("a"), &size), *value = NULL;
    char *flags = bytes + 33 + 8 + 4; // behind the signature, IHDR, this chunk's length, type and key
    assert_memory_equal(flags, "\0\0\0\0\xc3\xa9", 6);
    for (int ended = 1; ended >= 0; ended--) {
        memcpy(flags + 2, ended ? "\0x" : "xx", 2);
        write_bytes(scratch("a"), bytes, size);
        assert_ok(png_read_text(scratch("a"), "key", &value));
        assert_null(value);
    }
    free(bytes);
    image_free(&im);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_png_kinds),   SCRATCH_TEST(test_jpeg_kinds),   SCRATCH_TEST(test_mutations),
        SCRATCH_TEST(test_refusals),    SCRATCH_TEST(test_lying_sides),  SCRATCH_TEST(test_channels),
        SCRATCH_TEST(test_cut_short),   SCRATCH_TEST(test_endless_text), SCRATCH_TEST(test_png_written),
        SCRATCH_TEST(test_png_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
