// SPDX-License-Identifier: MIT
// Contact sheets: every pixel in its place, texts inside their room, hopeless sizes refused.
#include "data/sheet.h"

#include "data/bitmap_text.h"
#include "data/helpers.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const row_labels[] = {"none", "CFG", "IG+CFG"};
static const char *const column_labels[] = {"A", "a class of a long name", "\303\204"};

static sheet_options small_options(void) {
    return (sheet_options){.rows = 3,
                           .columns = 3,
                           .channels = 1,
                           .height = 4,
                           .width = 4,
                           .scale = 5,
                           .title = "Title, 3 x 3",
                           .row_labels = row_labels,
                           .column_labels = column_labels};
}

// Counts the pixels of one shade: nothing else on a sheet uses 77.
static size_t count_shade(const image *im, uint8_t shade) {
    size_t count = 0;
    for (size_t i = 0; i < (size_t)im->width * im->height * im->channels; i++)
        count += im->pixels[i] == shade;
    return count;
}

static void test_places_images(void **state) {
    (void)state;
    sheet_options o = small_options();
    sheet *s = NULL;
    uint8_t bytes[16];
    float values[16];
    assert_ok(sheet_create(&o, &s));
    for (int i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)(100 + i);
        values[i] = (float)(100 + i) / 127.5f - 1.0f;
    }
    memset(bytes, 77, 2); // two pixels at the top left
    values[15] = 66.0f / 127.5f - 1.0f;
    sheet_put_bytes(s, 1, 2, bytes);
    sheet_put_f32(s, 2, 0, values);
    sheet_put_bytes(s, 3, 0, bytes); // outside: no effect
    sheet_put_bytes(s, 0, 3, bytes);
    const image *im = sheet_image(s);
    assert_int_equal(im->channels, 1);
    assert_int_equal(count_shade(im, 77), 2 * 25);
    assert_int_equal(count_shade(im, 66), 25);
    for (int i = 2; i < 15; i++)
        assert_int_equal(count_shade(im, (uint8_t)(100 + i)), 2 * 25);
    // The 66 is the last pixel of the first column's last image: 5 x 5, above the lower margin.
    const uint8_t *low = im->pixels + (size_t)(im->height - 9) * im->width;
    const uint8_t *first = memchr(low, 66, im->width);
    assert_non_null(first);
    assert_int_equal(first[4], 66);
    assert_int_equal(first[-1], 114); // its left neighbour
    sheet_destroy(&s);
    assert_null(s);
}

static void test_colours(void **state) {
    (void)state;
    const uint8_t bytes[4] = {10, 20, 40, 60}; // one pixel, four channels: the fourth is not shown
    sheet *s = NULL;
    assert_ok(sheet_create(&(sheet_options){.rows = 1, .columns = 1, .channels = 4, .height = 1, .width = 1}, &s));
    sheet_put_bytes(s, 0, 0, bytes);
    const image *im = sheet_image(s);
    assert_int_equal(im->channels, 3);
    assert_int_equal(count_shade(im, 10), 48 * 48);
    assert_int_equal(count_shade(im, 40), 48 * 48);
    assert_int_equal(count_shade(im, 60), 0);
    const uint8_t *pixel = im->pixels + ((size_t)im->width * (im->height / 2) + im->width / 2) * 3;
    assert_memory_equal(pixel, bytes, 3);
    sheet_destroy(&s);
}

static void test_bytes_of_values(void **state) {
    (void)state;
    for (int b = 0; b < 256; b++)
        assert_int_equal(pixel_byte((float)b / 127.5f - 1.0f), b);
    assert_int_equal(pixel_byte(-7), 0);
    assert_int_equal(pixel_byte(1e30f), 255);
    assert_int_equal(pixel_byte(-INFINITY), 0);
    assert_int_equal(pixel_byte(INFINITY), 255);
    assert_int_equal(pixel_byte(NAN), 0);
}

static void test_refuses(void **state) {
    (void)state;
    sheet *s = NULL;
    sheet_options o = small_options();
    o.columns = 0;
    assert_fails(sheet_create(&o, &s), IGVK_ERROR_INVALID, "at least 1");
    o = small_options();
    o.row_labels = o.column_labels = NULL;
    o.rows = 4000;
    assert_fails(sheet_create(&o, &s), IGVK_ERROR_INVALID, "show fewer");
    o.rows = UINT32_MAX;
    o.scale = UINT32_MAX;
    assert_fails(sheet_create(&o, &s), IGVK_ERROR_INVALID, "show fewer");
    assert_null(s);
}

// ---- letters ----------------------------------------------------------------------------------------------

static image draw(const char *text, uint32_t scale, uint64_t room) {
    image im = {0};
    assert_ok(image_create(200, 40, 1, &im));
    bitmap_text_draw(&im, 3, 4, scale, 255, room, text);
    return im;
}

// Column after the last drawn one, 0 where nothing is drawn.
static uint32_t right_edge(const image *im) {
    uint32_t edge = 0;
    for (uint32_t y = 0; y < im->height; y++)
        for (uint32_t x = 0; x < im->width; x++)
            if (im->pixels[y * im->width + x] && edge < x + 1)
                edge = x + 1;
    return edge;
}

static void test_letters_differ(void **state) {
    (void)state;
    static uint8_t pictures[95][200 * 40];
    for (int c = 33; c < 127; c++) {
        const char text[2] = {(char)c, 0};
        image im = draw(text, 1, 200);
        memcpy(pictures[c - 32], im.pixels, sizeof pictures[0]);
        assert_true(right_edge(&im) > 3 && right_edge(&im) <= 3 + 5);
        image_free(&im);
        for (int other = 32; other < c; other++)
            assert_true(memcmp(pictures[other - 32], pictures[c - 32], sizeof pictures[0]) != 0);
    }
}

static void test_text_keeps_to_its_room(void **state) {
    (void)state;
    assert_int_equal(bitmap_text_width("", 1), 0);
    assert_int_equal(bitmap_text_width("MM", 2), 2 * 11);
    assert_int_equal(bitmap_text_width("\303\204M", 2), 2 * 11); // two code points
    for (uint64_t room = 0; room < 80; room++) {
        image im = draw("MMMMMMMM", 2, room);
        assert_true(right_edge(&im) <= 3 + room);
        image_free(&im);
    }
    image im = draw("MM", 2, 22);
    assert_int_equal(right_edge(&im), 3 + 22);
    image_free(&im);
}

// Also where the picture ends first.
static void test_text_outside(void **state) {
    (void)state;
    image im = {0};
    assert_ok(image_create(10, 10, 3, &im));
    bitmap_text_draw(&im, -20, -3, 7, 255, 1000, "\xff\x80Text outside\x01");
    bitmap_text_draw(&im, 8, 8, 7, 255, 1000, "Text");
    bitmap_text_draw(&im, 100, 100, 1, 255, 1000, "Text");
    image_free(&im);
}

#define TEST(f) cmocka_unit_test(f)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_places_images), TEST(test_colours),        TEST(test_bytes_of_values),
        TEST(test_refuses),       TEST(test_letters_differ), TEST(test_text_keeps_to_its_room),
        TEST(test_text_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
