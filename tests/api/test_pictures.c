// SPDX-License-Identifier: MIT
// From a model's outputs to pictures: pixels pass through, latents are shown in false colours or decoded, whole or in
// tiles; what does not fit is refused without a device. The decoder's numbers are parity's business.
#define _POSIX_C_SOURCE 200809L
#include "api/pictures.h"
#include "core/philox.h"
#include "formats/helpers.h"
#include "formats/safetensors.h"
#include "models/autoencoder.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const autoencoder_config tiny = {.image_channels = 3,
                                        .channels = 32,
                                        .levels = 2,
                                        .multiplier = {1, 1},
                                        .blocks = 1,
                                        .inner_channels = 4,
                                        .latent_channels = 4};
static const model_config latents = {.kind = "sit", .height = 16, .width = 24, .channels = 4};

static char *write_autoencoder(void) {
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    safetensors_writer *w = NULL;
    autoencoder_parameters(&tiny, AUTOENCODER_DECODER, l);
    assert_ok(parameter_layout_check(l));
    assert_ok(safetensors_writer_create(scratch("vae.safetensors"), &w));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        assert_ok(safetensors_declare(w, p->name, ELEMENT_F32, p->shape.rank, p->shape.dim));
    }
    assert_ok(safetensors_begin_data(w));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        const uint64_t count = shape_elements(p->shape);
        const bool norm = p->shape.rank == 1 && strstr(p->name, ".weight");
        const double scale = p->shape.rank == 1 ? 0.05 : 1 / sqrt((double)count / (double)p->shape.dim[0]);
        for (uint64_t k = 0; k < count; k++) {
            const float value = (float)(norm + scale * random_normal(3, STREAM_INITIALISATION, 0, (uint32_t)i, k));
            assert_ok(safetensors_write(w, &value, sizeof value));
        }
    }
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
    parameter_layout_destroy(&l);
    return strdup(scratch("vae.safetensors"));
}

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

// Where the weights of the tiles are all one tile's, the picture is near the whole decoding; nowhere is there a step
// that the whole decoding does not have: neighbours differ by at most what neighbours there do and a slope of the
// blend.
static void test_decoded(void **state) {
    (void)state;
    enum { HEIGHT = 32, WIDTH = 48, PIXELS = 3 * HEIGHT * WIDTH };
    char *vae = write_autoencoder();
    float in[4 * 16 * 24], *whole = malloc(PIXELS * sizeof *whole), *tiled = malloc(PIXELS * sizeof *tiled);
    device *d = NULL;
    if (device_open(&(device_options){0}, &d) != IGVK_OK) {
        print_message("skipped: %s\n", igvk_error_text());
        exit(77);
    }
    for (uint64_t i = 0; i < 4 * 16 * 24; i++)
        in[i] = 0.2f * (float)random_normal(5, STREAM_LATENT, 0, 0, i);
    for (int k = 0; k < 2; k++) {
        picture_maker *p = NULL;
        picture_options o = options_of(&latents, vae, k ? 20 : 0);
        uint64_t bytes = 0;
        assert_ok(picture_maker_create(&o, &p));
        assert_true(picture_maker_config(p)->width == WIDTH && picture_maker_config(p)->height == HEIGHT);
        assert_ok(picture_maker_load(p, d, &bytes));
        assert_true(bytes > 0 && bytes < 64 << 20);
        assert_ok(picture_maker_run(p, in, 1, k ? tiled : whole));
        picture_maker_destroy(&p);
    }
    double difference = 0, size = 0;
    for (size_t i = 0; i < PIXELS; i++) {
        assert_true(whole[i] >= -1 && whole[i] <= 1 && tiled[i] >= -1 && tiled[i] <= 1);
        difference += fabs((double)whole[i] - (double)tiled[i]);
        size += fabs((double)whole[i]);
    }
    assert_true(difference < 0.5 * size && difference > 0);
    device_close(&d);
    free(vae);
    free(whole);
    free(tiled);
}

int main(void) {
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_without), SCRATCH_TEST(test_refused),
                                       SCRATCH_TEST(test_decoded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
