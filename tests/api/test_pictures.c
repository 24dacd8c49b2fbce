// SPDX-License-Identifier: MIT
// From a model's outputs to pictures: pixels pass through, latents are shown in false colours or decoded, whole or in
// tiles; what does not fit is refused without a device. The decoder's numbers are parity's business.
#define _POSIX_C_SOURCE 200809L
#include "api/pictures.h"
#include "api/tiles.h"
#include "api/helpers_files.h"
#include "core/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const model_config latents = {.kind = "sit", .height = 16, .width = 24, .channels = 4};

static picture_options options_of(const model_config *model, const char *vae, uint32_t tile) {
    return (picture_options){.vae = vae, .statistics = "", .tile = tile, .model = model, .model_path = "model"};
}

static void test_without(void **state) {
    (void)state;
    model_config pixels = latents;
    pixels.channels = 3;
    picture_maker *p = NULL;
    picture_options o = options_of(&pixels, "", 0);
    float in[4 * 16 * 24], out[3 * 16 * 24];
    for (size_t i = 0; i < 4 * 16 * 24; i++)
        in[i] = (float)i / 512 - 1;
    assert_ok(picture_maker_create(&o, &p));
    assert_false(picture_maker_previews(p));
    assert_ok(picture_maker_run(p, in, 1, out));
    assert_memory_equal(in, out, sizeof out);
    picture_maker_destroy(&p);
    o = options_of(&latents, "", 0);
    assert_ok(picture_maker_create(&o, &p));
    assert_true(picture_maker_previews(p) && picture_maker_config(p)->channels == 3);
    assert_ok(picture_maker_run(p, in, 1, out));
    assert_true(out[5] == in[5] / 3);
    picture_maker_destroy(&p);
}

static void test_refused(void **state) {
    (void)state;
    picture_maker *p = NULL;
    char *vae = write_autoencoder();
    model_config other = latents;
    other.channels = 32;
    picture_options o = options_of(&other, vae, 0);
    assert_fails(picture_maker_create(&o, &p), IGVK_ERROR_INVALID, "its latents have 4 channels, the model's 32");
    other.channels = 3;
    assert_fails(picture_maker_create(&o, &p), IGVK_ERROR_INVALID, "makes pictures of 3 channels, not latents");
    o = options_of(&latents, vae, 17);
    assert_fails(picture_maker_create(&o, &p), IGVK_ERROR_INVALID, "--tile 17: must be a multiple of 2, from 16 on");
    o = options_of(&latents, "", 32);
    assert_fails(picture_maker_create(&o, &p), IGVK_ERROR_INVALID, "--tile needs --vae");
    o = options_of(&latents, scratch("nothing"), 0);
    assert_fails(picture_maker_create(&o, &p), IGVK_ERROR_IO, "nothing");
    free(vae);
}

static void decode(device *d, const model_config *model, const char *vae, uint32_t tile, const float *in, float *out) {
    picture_maker *p = NULL;
    const picture_options o = options_of(model, vae, tile);
    uint64_t bytes = 0;
    assert_ok(picture_maker_create(&o, &p));
    assert_true(picture_maker_config(p)->width == 2 * model->width &&
                picture_maker_config(p)->height == 2 * model->height);
    assert_ok(picture_maker_load(p, d, &bytes));
    assert_true(bytes > 0 && bytes < 64 << 20);
    assert_ok(picture_maker_run(p, in, 1, out));
    picture_maker_destroy(&p);
}

enum { HEIGHT = 32, WIDTH = 48, PIXELS = 3 * HEIGHT * WIDTH, TILE = 10 };

// Adds the decoding of one tile alone, by the tiles' weights.
static void add_tile(device *d, const char *vae, const float *in, const tile_axis *rows, uint32_t row,
                     const tile_axis *columns, uint32_t column, double *blend) {
    static float cut[4 * TILE * TILE], picture[3 * 4 * TILE * TILE];
    model_config one = latents;
    one.height = one.width = TILE;
    for (uint32_t k = 0; k < 4 * TILE * TILE; k++)
        cut[k] =
            in[(k / (TILE * TILE) * 16 + rows->first[row] + k / TILE % TILE) * 24 + columns->first[column] + k % TILE];
    decode(d, &one, vae, 0, cut, picture);
    for (uint32_t k = 0; k < 3 * 4 * TILE * TILE; k++) {
        const uint32_t y = 2 * rows->first[row] + k / (2 * TILE) % (2 * TILE),
                       x = 2 * columns->first[column] + k % (2 * TILE);
        blend[(k / (4 * TILE * TILE) * HEIGHT + y) * WIDTH + x] +=
            fabsf(picture[k]) > 0.98f
                ? NAN // clamped: cannot be blended after
                : tile_weight(rows, row, 2, y) * tile_weight(columns, column, 2, x) * (double)picture[k];
    }
}

// A picture in tiles is the tiles' own decodings under weights whose slope test_tiles.c bounds: no seam is a step.
static void test_decoded(void **state) {
    (void)state;
    char *vae = write_autoencoder();
    float in[4 * 16 * 24], *whole = malloc(PIXELS * sizeof *whole), *tiled = malloc(PIXELS * sizeof *tiled);
    double *blend = calloc(PIXELS, sizeof *blend), difference = 0;
    size_t compared = 0;
    tile_axis rows, columns;
    device *d = NULL;
    if (device_open(&(device_options){0}, &d) != IGVK_OK) {
        print_message("skipped: %s\n", igvk_error_text());
        exit(77);
    }
    for (uint64_t i = 0; i < 4 * 16 * 24; i++)
        in[i] = 0.2f * (float)random_normal(5, STREAM_LATENT, 0, 0, i);
    decode(d, &latents, vae, 0, in, whole);
    decode(d, &latents, vae, 2 * TILE, in, tiled);
    assert_ok(tile_axis_make(16, TILE, &rows));
    assert_ok(tile_axis_make(24, TILE, &columns));
    for (uint32_t tile = 0; tile < rows.count * columns.count; tile++)
        add_tile(d, vae, in, &rows, tile / columns.count, &columns, tile % columns.count, blend);
    for (size_t i = 0; i < PIXELS; i++) {
        assert_true(whole[i] >= -1 && whole[i] <= 1);
        compared += !isnan(blend[i]);
        assert_true(isnan(blend[i]) || fabs(blend[i] - (double)tiled[i]) < 2.5 / 127.5); // bytes, on both ways
        difference += fabs((double)whole[i] - (double)tiled[i]);
    }
    assert_true(rows.count * columns.count == 6 && difference > 0 && compared > PIXELS / 2);
    device_close(&d);
    free(vae);
    free(whole);
    free(tiled);
    free(blend);
}

int main(void) {
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_without), SCRATCH_TEST(test_refused),
                                       SCRATCH_TEST(test_decoded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
