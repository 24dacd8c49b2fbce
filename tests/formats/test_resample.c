// SPDX-License-Identifier: MIT
// The centre crop against ADM's center_crop_arr run with PIL 9.4, to the bit: checksums of its results.
#include "formats/helpers.h"
#include "formats/image.h"

#include <setjmp.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

// The picture that the checksums were made from: smooth at the left, rough at the right.
static image make_picture(uint32_t width, uint32_t height, uint32_t channels) {
    image im = {0};
    assert_ok(image_create(width, height, channels, &im));
    uint8_t *to = im.pixels;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            for (uint32_t c = 0; c < channels; c++)
                *to++ = (uint8_t)((x * x * 7 + y * 13 + c * 50 + x * y * 3) ^ (x * (y + c) / 3));
    return im;
}

static void test_against_pil(void **state) {
    (void)state;
    static const struct {
        uint32_t width, height, channels, size, crc;
    } cases[] = {
        {64, 64, 3, 64, 0x38e5f3ac},    {65, 43, 3, 16, 0x0c9c5ba2},   {31, 97, 1, 13, 0xc918277f},
        {256, 171, 3, 32, 0xc92d27a8},  {7, 5, 3, 11, 0x51fb2e2a},     {1, 40, 1, 3, 0x15fa78c0},
        {300, 33, 1, 16, 0x1a51e4b4},   {129, 130, 3, 64, 0xe3f9d41c}, {3, 2, 3, 64, 0x9478d228},
        {640, 427, 3, 100, 0x2d58e063}, {6, 4, 3, 3, 0x5f783955},      {4, 10, 1, 3, 0x97337853},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        image in = make_picture(cases[i].width, cases[i].height, cases[i].channels), out = {0};
        assert_ok(image_centre_crop(&in, cases[i].size, &out));
        assert_true(out.width == cases[i].size && out.height == cases[i].size && out.channels == cases[i].channels);
        size_t bytes = (size_t)out.width * out.height * out.channels;
        assert_int_equal(crc32(0, out.pixels, (uInt)bytes), cases[i].crc);
        image_free(&in);
        image_free(&out);
    }
}

static void test_flat_and_identity(void **state) {
    (void)state;
    image in = make_picture(48, 48, 3), out = {0};
    assert_ok(image_centre_crop(&in, 48, &out));
    assert_memory_equal(in.pixels, out.pixels, 48 * 48 * 3);
    image_free(&out);
    memset(in.pixels, 201, 48 * 48 * 3);
    for (uint32_t size = 1; size < 150; size += 7) {
        assert_ok(image_centre_crop(&in, size, &out));
        for (size_t k = 0; k < (size_t)size * size * 3; k++)
            assert_int_equal(out.pixels[k], 201);
        image_free(&out);
    }
    image_free(&in);
}

// Scaled whole, this one would have 2^32 pixels.
static void test_narrow_picture(void **state) {
    (void)state;
    image in = make_picture(1, 16384, 1), out = {0};
    assert_ok(image_centre_crop(&in, 512, &out));
    assert_int_equal(out.width, 512);
    image_free(&out);
    assert_fails(image_centre_crop(&in, 0, &out), IGVK_ERROR_INVALID, "size 0");
    assert_fails(image_centre_crop(&in, 100000, &out), IGVK_ERROR_INVALID, "size 100000");
    assert_null(out.pixels);
    image_free(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_pil),
        cmocka_unit_test(test_flat_and_identity),
        cmocka_unit_test(test_narrow_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
