// SPDX-License-Identifier: MIT
// Latents in the official layouts: what is read, drawn and mirrored; what is refused.
#define _POSIX_C_SOURCE 200809L
#include "data/helpers.h"

#include "core/file.h"
#include "core/philox.h"
#include "data/dataset.h"
#include "data/latents_writer.h"
#include "formats/npy.h"
#include "formats/torch_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

// ---- moments ---------------------------------------------------------------------------------------------------

// Latent k of 2 channels of 2 x 3: means 100 k + i, deviations 1 + k.
static void write_moments(const char *name, int k) {
    const uint64_t shape[] = {4, 2, 3};
    float values[24];
    for (int i = 0; i < 12; i++) {
        values[i] = (float)(100 * k + i);
        values[12 + i] = (float)(1 + k);
    }
    assert_ok(npy_write_f32(scratch("%s", name), 3, shape, values));
}

static void make_moments(const char *json) {
    assert_ok(folder_create(scratch("vae-sd/00000")));
    write_moments("vae-sd/00000/b.npy", 1);
    write_moments("vae-sd/00000/a.npy", 0);
    write_text(scratch("vae-sd/dataset.json"), json);
}

#define TWO "{\"labels\": [[\"00000/b.npy\", 4], [\"00000/a.npy\", 0]]}"

static void test_moments(void **state) {
    (void)state;
    dataset *d = NULL;
    float v[12], drawn[12], again[12];
    uint32_t label = 9;
    make_moments(TWO);
    assert_ok(dataset_open(scratch("."), &d));
    const dataset_info *info = dataset_describe(d);
    assert_true(info->latents && info->count == 2 && info->classes == 5 && !info->flips && info->held_out == 0);
    assert_true(info->channels == 2 && info->height == 2 && info->width == 3);
    assert_string_equal(info->class_names[4], "4");
    assert_ok(dataset_read(d, 0, NULL, v, &label)); // in the order of names
    assert_int_equal(label, 0);
    assert_true(v[5] == (float)(5 * 0.18215));
    assert_ok(dataset_read(d, 1, NULL, v, &label));
    assert_int_equal(label, 4);
    const dataset_draw draw = {.seed = 3, .step = 7, .item = 1};
    assert_ok(dataset_read(d, 1, &draw, drawn, &label));
    assert_ok(dataset_read(d, 1, &draw, again, &label));
    assert_memory_equal(drawn, again, sizeof drawn);
    for (int i = 0; i < 12; i++) {
        const double normal = random_normal(3, STREAM_POSTERIOR, 7, 1, (uint64_t)i);
        assert_true(fabs(drawn[i] - (100 + i + 2 * normal) * 0.18215) < 1e-4);
    }
    uint8_t bytes[12];
    assert_fails(dataset_read_bytes(d, 0, bytes, &label), IGVK_ERROR_INVALID, "holds latents");
    dataset_close(&d);
    assert_ok(dataset_open(scratch("vae-sd"), &d)); // its inner folder alone
    dataset_close(&d);
    make_moments(
        "{\"labels\": [[\"00000/b.npy\", 1], [\"00000/a.npy\", 0]], \"classes\": [\"x\", \"y\"], \"held_out\": 1}");
    assert_ok(dataset_open(scratch("."), &d));
    assert_true(dataset_describe(d)->held_out == 1 && dataset_describe(d)->classes == 2);
    assert_string_equal(dataset_describe(d)->class_names[1], "y");
    dataset_close(&d);
}

static void refuse_json(const char *json, const char *part) {
    dataset *d = NULL;
    make_moments(json);
    assert_fails(dataset_open(scratch("."), &d), IGVK_ERROR_INVALID, part);
    assert_null(d);
}

static void test_bad_moments(void **state) {
    (void)state;
    refuse_json("{\"labels\": 3}", "is no list");
    refuse_json("{\"labels\": []}", "is no list");
    refuse_json("{\"labels\": [[\"00000/a.npy\"]]}", "must be [\"NAME.npy\", CLASS]");
    refuse_json("{\"labels\": [[\"00000/a.npy\", -1]]}", "must be [\"NAME.npy\", CLASS]");
    refuse_json("{\"labels\": [[\"../a.npy\", 0]]}", "no .npy file of this folder");
    refuse_json("{\"labels\": [[\"/etc/a.npy\", 0]]}", "no .npy file of this folder");
    refuse_json("{\"labels\": [[\"00000/a.txt\", 0]]}", "no .npy file of this folder");
    refuse_json("{\"labels\": [[\"00000/a.npy\", 0], [\"00000/a.npy\", 1]]}", "twice");
    refuse_json("{\"labels\": [[\"00000/a.npy\", 1]], \"classes\": [\"x\"]}", "list of classes is of 1");
    refuse_json("{\"labels\": [[\"00000/a.npy\", 0]], \"held_out\": 1}", "held out");
    refuse_json("{\"labels\": [[\"00000/a.npy\", 0]", "line 1");
    dataset *d = NULL;
    float v[12];
    uint32_t label;
    make_moments(TWO);
    const uint64_t other[] = {4, 3, 2};
    const float zeros[24] = {0};
    assert_ok(npy_write_f32(scratch("vae-sd/00000/b.npy"), 3, other, zeros));
    assert_ok(dataset_open(scratch("."), &d));
    assert_fails(dataset_read(d, 1, NULL, v, &label), IGVK_ERROR_INVALID, "another shape");
    assert_int_equal(truncate(scratch("vae-sd/00000/a.npy"), 150), 0);
    assert_fails(dataset_read(d, 0, NULL, v, &label), IGVK_ERROR_INVALID, "cut off");
    dataset_close(&d);
}

// ---- shards ----------------------------------------------------------------------------------------------------

static void write_shard(const char *name, uint64_t first, uint64_t count, bool flips, int64_t label) {
    safetensors_writer *w = NULL;
    const uint64_t shape[] = {count, 2, 2, 2};
    assert_ok(safetensors_writer_create(scratch("%s", name), &w));
    assert_ok(safetensors_declare(w, "latents", ELEMENT_F32, 4, shape));
    if (flips)
        assert_ok(safetensors_declare(w, "latents_flip", ELEMENT_F32, 4, shape));
    assert_ok(safetensors_declare(w, "labels", ELEMENT_I64, 1, shape));
    assert_ok(safetensors_begin_data(w));
    for (int part = 0; part < 1 + flips; part++)
        for (uint64_t i = 0; i < 8 * count; i++) {
            const float value = (float)(10 * first + i) * (part ? -1 : 1);
            assert_ok(safetensors_write(w, &value, sizeof value));
        }
    for (uint64_t i = 0; i < count; i++)
        assert_ok(safetensors_write(w, &label, sizeof label));
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
}

static void write_statistics(float deviation) {
    torch_writer *w = NULL;
    const uint64_t shape[] = {1, 2, 1, 1};
    const float mean[] = {1, 2}, std[] = {2, deviation};
    assert_ok(torch_writer_create(scratch("l/latents_stats.pt"), &w));
    assert_ok(torch_declare(w, "mean", ELEMENT_F32, 4, shape));
    assert_ok(torch_declare(w, "std", ELEMENT_F32, 4, shape));
    assert_ok(torch_begin_data(w));
    assert_ok(torch_write(w, mean, sizeof mean));
    assert_ok(torch_write(w, std, sizeof std));
    assert_ok(torch_finish(w));
    torch_writer_destroy(&w);
}

static void test_shards(void **state) {
    (void)state;
    dataset *d = NULL;
    float v[8];
    uint32_t label = 9;
    assert_ok(folder_create(scratch("l")));
    write_shard("l/b.safetensors", 3, 2, true, 1);
    write_shard("l/a.safetensors", 0, 3, true, 0);
    assert_fails(dataset_open(scratch("l"), &d), IGVK_ERROR_INVALID, "latents_stats.pt");
    write_statistics(4);
    assert_ok(dataset_open(scratch("l"), &d));
    const dataset_info *info = dataset_describe(d);
    assert_true(info->latents && info->count == 5 && info->classes == 2 && info->flips && info->channels == 2);
    assert_ok(dataset_read(d, 4, NULL, v, &label));
    assert_int_equal(label, 1);
    assert_true(v[0] == (30 + 8 - 1) / 2.0f && v[7] == (30 + 15 - 2) / 4.0f);
    assert_ok(dataset_read(d, 4, &(dataset_draw){.mirror = true}, v, &label));
    assert_true(v[0] == (-38 - 1) / 2.0f);
    assert_fails(dataset_read(d, 5, NULL, v, &label), IGVK_ERROR_INVALID, "fewer");
    dataset_close(&d);
}

static void test_bad_shards(void **state) {
    (void)state;
    dataset *d = NULL;
    assert_ok(folder_create(scratch("l")));
    write_statistics(0);
    write_shard("l/a.safetensors", 0, 3, true, 0);
    assert_fails(dataset_open(scratch("l"), &d), IGVK_ERROR_INVALID, "deviation of channel 1 is 0");
    write_statistics(1);
    write_shard("l/b.safetensors", 0, 3, false, 0);
    assert_fails(dataset_open(scratch("l"), &d), IGVK_ERROR_INVALID, "in all shards or in none");
    write_shard("l/b.safetensors", 0, 3, true, -5);
    assert_fails(dataset_open(scratch("l"), &d), IGVK_ERROR_INVALID, "the label of latent 0 is -5");
    write_text(scratch("l/b.safetensors"), "no tensors");
    assert_fails(dataset_open(scratch("l"), &d), IGVK_ERROR_INVALID, "b.safetensors");
    assert_null(d);
}

// ---- writing ---------------------------------------------------------------------------------------------------

static const char *const names[] = {"x", "y", "z"};

static latent_writer_options writer_options(bool moments, const char *settings) {
    return (latent_writer_options){.folder = scratch("w"),
                                   .settings = settings,
                                   .moments = moments,
                                   .flips = true,
                                   .channels = 2,
                                   .height = 2,
                                   .width = 2,
                                   .class_names = names,
                                   .classes = 3,
                                   .count = 5,
                                   .held_out = 1,
                                   .shard_bytes = 2 * 2 * 8 * sizeof(float)};
}

// Image i: values i + k / 16 (and deviations 0), mirrored ones negative.
static void add_image(latent_writer *w, int i) {
    float values[16] = {0}, mirrored[16] = {0};
    for (int k = 0; k < 8; k++) {
        values[k] = (float)i + (float)k / 16;
        mirrored[k] = -values[k];
    }
    assert_ok(latent_writer_add(w, values, mirrored, (uint32_t)i % 3));
}

// Stopped after three of five images, gone on with, read back: as if it had run through.
static void write_and_read(bool moments) {
    latent_writer *w = NULL;
    dataset *d = NULL;
    latent_writer_options o = writer_options(moments, "settings\n"), other = writer_options(moments, "others\n");
    assert_ok(latent_writer_create(&o, &w));
    for (int i = 0; i < 3; i++)
        add_image(w, i);
    latent_writer_destroy(&w);
    assert_fails(dataset_open(scratch("w"), &d), IGVK_ERROR_INVALID, "w");
    assert_fails(latent_writer_create(&other, &w), IGVK_ERROR_INVALID, "of other settings");
    assert_ok(latent_writer_create(&o, &w));
    const int done = (int)latent_writer_done(w);
    assert_int_equal(done, moments ? 3 : 2); // whole shards of two
    for (int i = 0; i < done; i++)
        latent_writer_label(w, (uint64_t)i, (uint32_t)i % 3);
    for (int i = done; i < 5; i++)
        add_image(w, i);
    assert_ok(latent_writer_finish(w));
    latent_writer_destroy(&w);
    assert_fails(latent_writer_create(&o, &w), IGVK_ERROR_INVALID, "not empty");
    assert_ok(dataset_open(scratch("w"), &d));
    const dataset_info *info = dataset_describe(d);
    assert_true(info->count == (moments ? 10 : 5) && info->held_out == (moments ? 2 : 1) && info->classes == 3);
    assert_string_equal(info->class_names[2], "z");
    for (int i = 0; i < 5; i++) {
        float v[8], flipped[8];
        uint32_t label = 9, again = 9;
        assert_ok(dataset_read(d, (uint64_t)(moments ? 2 * i : i), NULL, v, &label));
        assert_ok(dataset_read(d, (uint64_t)(moments ? 2 * i + 1 : i), moments ? NULL : &(dataset_draw){.mirror = true},
                               flipped, &again));
        assert_true(label == (uint32_t)i % 3 && again == label);
        if (moments)
            assert_true(fabs(v[3] - (i + 3 / 16.0) * 0.18215) < 1e-6 && flipped[3] == -v[3]);
        else // channel 0 has mean 2 + 1.5 / 16
            assert_true(fabs(v[0] - (i - 2 - 1.5 / 16) / sqrt(2 + 1.25 / 256)) < 1e-5);
    }
    dataset_close(&d);
}

static void test_written_moments(void **state) {
    (void)state;
    write_and_read(true);
}

static void test_written_shards(void **state) {
    (void)state;
    write_and_read(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moments, scratch_create, scratch_remove),
        cmocka_unit_test_setup_teardown(test_bad_moments, scratch_create, scratch_remove),
        cmocka_unit_test_setup_teardown(test_shards, scratch_create, scratch_remove),
        cmocka_unit_test_setup_teardown(test_bad_shards, scratch_create, scratch_remove),
        cmocka_unit_test_setup_teardown(test_written_moments, scratch_create, scratch_remove),
        cmocka_unit_test_setup_teardown(test_written_shards, scratch_create, scratch_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
