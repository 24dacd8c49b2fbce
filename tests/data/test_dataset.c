// SPDX-License-Identifier: MIT
// Datasets: what is written is read; every broken layout is refused with one line that names it.
#include "data/dataset.h"

#include "core/file.h"
#include "data/helpers.h"
#include "formats/safetensors.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SHARD_OF_4 = 4 * (16 + 8) }; // bytes of four images and labels

// ---- reading back -----------------------------------------------------------------------------------------

static void test_round_trip(void **state) {
    (void)state;
    const char *folder = scratch("set");
    make_dataset(folder, 11, 3, SHARD_OF_4);
    assert_int_equal(count_entries(folder), 3 + 1);
    dataset *d = NULL;
    assert_ok(dataset_open(folder, &d));
    const dataset_info *info = dataset_describe(d);
    assert_int_equal(info->channels, 1);
    assert_int_equal(info->height, 4);
    assert_int_equal(info->width, 4);
    assert_int_equal(info->classes, 3);
    assert_string_equal(info->class_names[2], "dr\303\274\303\237en");
    assert_int_equal(info->count, 11);
    assert_int_equal(info->held_out, 3);
    assert_false(info->flips);
    assert_int_equal(strlen(info->digest), 16);
    for (uint64_t n = 0; n < 11; n++) {
        uint64_t k = n * 7 % 11; // across shards, back and forth
        uint8_t bytes[16];
        float values[16], mirrored[16];
        uint32_t label = 99;
        assert_ok(dataset_read_bytes(d, k, bytes, &label));
        assert_int_equal(label, k % 3);
        assert_ok(dataset_read(d, k, NULL, values, &label));
        assert_ok(dataset_read(d, k, &(dataset_draw){.mirror = true}, mirrored, &label));
        for (uint64_t i = 0; i < 16; i++) {
            assert_int_equal(bytes[i], (uint8_t)(k * 16 + i));
            assert_true(values[i] == (float)bytes[i] / 127.5f - 1.0f);
            assert_true(mirrored[i] == values[i / 4 * 4 + 3 - i % 4]);
        }
    }
    uint8_t bytes[16];
    uint32_t label;
    assert_fails(dataset_read_bytes(d, 11, bytes, &label), IGVK_ERROR_INVALID, "image 11 asked for");
    dataset_close(&d);
    assert_null(d);
}

// More shards than may be open at a time.
static void test_many_shards(void **state) {
    (void)state;
    make_dataset(scratch("set"), 100, 0, 1);
    dataset *d = NULL;
    assert_ok(dataset_open(scratch("set"), &d));
    for (uint64_t n = 0; n < 300; n++) {
        uint8_t bytes[16];
        uint32_t label;
        uint64_t k = n * 37 % 100;
        assert_ok(dataset_read_bytes(d, k, bytes, &label));
        assert_int_equal(bytes[0], (uint8_t)(k * 16));
        assert_int_equal(label, k % 3);
    }
    dataset_close(&d);
}

static void test_digest_tells_apart(void **state) {
    (void)state;
    const uint64_t counts[] = {11, 11, 12};
    char digests[3][17];
    for (int i = 0; i < 3; i++) {
        dataset *d = NULL;
        make_dataset(scratch("set%d", i), counts[i], 1, SHARD_OF_4);
        assert_ok(dataset_open(scratch("set%d", i), &d));
        strcpy(digests[i], dataset_describe(d)->digest);
        dataset_close(&d);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
}

static void test_unconditional(void **state) {
    (void)state;
    dataset_writer *w = NULL;
    dataset *d = NULL;
    uint8_t image[6] = {1, 2, 3, 4, 5, 6};
    uint32_t label = 9;
    assert_ok(dataset_writer_create(
        &(dataset_writer_options){.folder = scratch("set"), .channels = 3, .height = 1, .width = 2, .flips = true},
        &w));
    assert_ok(dataset_append(w, image, 0));
    assert_fails(dataset_append(w, image, 1), IGVK_ERROR_INVALID, "label 1");
    assert_ok(dataset_finish(w));
    dataset_writer_destroy(&w);
    assert_ok(dataset_open(scratch("set"), &d));
    assert_int_equal(dataset_describe(d)->classes, 0);
    assert_true(dataset_describe(d)->flips);
    assert_ok(dataset_read_bytes(d, 0, image, &label));
    assert_int_equal(label, 0);
    dataset_close(&d);
}

// ---- writing ----------------------------------------------------------------------------------------------

static dataset_writer_options small_options(const char *folder) {
    return (dataset_writer_options){.folder = folder, .channels = 1, .height = 2, .width = 2};
}

static void refuse_to_write(dataset_writer_options o, igvk_status code, const char *part) {
    dataset_writer *w = NULL;
    assert_fails(dataset_writer_create(&o, &w), code, part);
    assert_null(w);
}

static void test_refuses_before_writing(void **state) {
    (void)state;
    static const char *const twice[] = {"a", "a"}, *const latin[] = {"\344"}, *const empty[] = {""};
    write_text(scratch("file"), "x");
    assert_ok(folder_create(scratch("full")));
    write_text(scratch("full/kept"), "x");
    refuse_to_write(small_options(scratch("full")), IGVK_ERROR_INVALID, "not empty (holds kept)");
    refuse_to_write(small_options(scratch("file")), IGVK_ERROR_INVALID, "is a file");
    refuse_to_write(small_options(scratch("file/below")), IGVK_ERROR_INVALID, "in the way");
    refuse_to_write(small_options("/proc/igvk-test"), IGVK_ERROR_IO, "/proc/igvk-test");

    dataset_writer_options o = small_options(scratch("new"));
    o.expected = UINT64_C(1) << 60;
    refuse_to_write(o, IGVK_ERROR_IO, "the disk has");
    o.expected = UINT64_MAX;
    refuse_to_write(o, IGVK_ERROR_INVALID, "than any disk holds");
    o = small_options(scratch("new"));
    o.channels = 257;
    refuse_to_write(o, IGVK_ERROR_INVALID, "channels is 257, must be 1 to 256");
    o = small_options(scratch("new"));
    o.classes = 2;
    o.class_names = twice;
    refuse_to_write(o, IGVK_ERROR_INVALID, "two classes are named \"a\"");
    o.classes = 1;
    o.class_names = latin;
    refuse_to_write(o, IGVK_ERROR_INVALID, "not UTF-8");
    o.class_names = empty;
    refuse_to_write(o, IGVK_ERROR_INVALID, "empty name");
    assert_false(path_exists(scratch("new"))); // nothing half-written
    assert_int_equal(count_entries(scratch("full")), 1);
}

static void test_unfinished_is_removed(void **state) {
    (void)state;
    const uint8_t image[4] = {0};
    assert_ok(folder_create(scratch("mine")));
    const char *const folders[] = {scratch("new"), scratch("mine")};
    for (int i = 0; i < 2; i++) {
        dataset_writer *w = NULL;
        dataset_writer_options o = small_options(folders[i]);
        o.shard_bytes = 24;
        assert_ok(dataset_writer_create(&o, &w));
        for (int k = 0; k < 5; k++)
            assert_ok(dataset_append(w, image, 0));
        assert_int_equal(count_entries(folders[i]), 2);
        dataset_set_held_out(w, 5);
        assert_fails(dataset_finish(w), IGVK_ERROR_INVALID, "at least one must be left");
        dataset_writer_destroy(&w);
    }
    assert_false(path_exists(folders[0]));
    assert_int_equal(count_entries(folders[1]), 0);
}

// ---- hostile folders --------------------------------------------------------------------------------------

static void refuse_to_open(const char *folder, igvk_status code, const char *part) {
    dataset *d = NULL;
    assert_fails(dataset_open(folder, &d), code, part);
    assert_null(d);
}

static void test_refuses_folders(void **state) {
    (void)state;
    refuse_to_open(scratch("none"), IGVK_ERROR_INVALID, "no such folder");
    write_text(scratch("file"), "x");
    refuse_to_open(scratch("file"), IGVK_ERROR_INVALID, "is a file");
    assert_ok(folder_create(scratch("empty")));
    refuse_to_open(scratch("empty"), IGVK_ERROR_INVALID, "no dataset.json");
    assert_ok(folder_create(scratch("odd/dataset.json")));
    refuse_to_open(scratch("odd"), IGVK_ERROR_INVALID, "dataset.json");
}

static void test_refuses_descriptions(void **state) {
    (void)state;
    static const char *const changes[][3] = {
        {"igvk-dataset-1", "igvk-dataset-9", "\"format\" is \"igvk-dataset-9\""},
        {"\"pixels\"", "\"latents\"", "\"kind\" is \"latents\""},
        {"\"format\"", "\"what\"", "\"format\" is missing"},
        {"\"channels\": 1", "\"channels\": 2", "\"images\" must be U8 [n, 2, 4, 4]"},
        {"\"channels\": 1", "\"channels\": 0", "channels is 0"},
        {"\"channels\": 1", "\"channels\": -1", "\"channels\" is -1"},
        {"\"channels\": 1", "\"channels\": 1.5", "no whole number"},
        {"\"channels\": 1", "\"channels\": 99999999999999999999", "dataset.json"},
        {"\"height\": 4", "\"height\": 99999", "height is 99999"},
        {"\"one\"", "\"two\"", "two classes are named"},
        {"\"one\"", "7", "entry 0 is no text"},
        {"\"one\"", "\"a\\nb\"", "control character"},
        {"\"one\"", "\"\\u0000\"", "line "},
        {"\"classes\": [", "\"classes\": 5, \"x\": [", "\"classes\" is missing"},
        {"\"count\": 11", "\"count\": 12", "counts 12 images, shards 0 to 2 hold 11"},
        {"\"count\": 11", "\"count\": 10", "hold at least 11"},
        {"\"count\": 11", "\"count\": 0", "has no image"},
        {"\"held_out\": 3", "\"held_out\": 11", "at least one must be left"},
        {"\"flips\": false", "\"flips\": 0", "\"flips\""},
        {"\"flips\": false", "\"flips\": false, \"flips\": true", "duplicate"},
        {"{", "[{", "line "},
        {"{", "\xff{", "line 1"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *folder = scratch("set%zu", i);
        make_dataset(folder, 11, 3, SHARD_OF_4);
        replace_in_file(scratch("set%zu/dataset.json", i), changes[i][0], changes[i][1]);
        refuse_to_open(folder, IGVK_ERROR_INVALID, changes[i][2]);
    }
    make_dataset(scratch("empty"), 11, 3, SHARD_OF_4);
    write_text(scratch("empty/dataset.json"), "");
    refuse_to_open(scratch("empty"), IGVK_ERROR_INVALID, "dataset.json");
    write_text(scratch("empty/dataset.json"), "[]");
    refuse_to_open(scratch("empty"), IGVK_ERROR_INVALID, "one JSON object");
}

typedef struct shard_shape {
    const char *images, *labels; // names
    element_type image_type, label_type;
    uint64_t image_shape[4], label_count;
    int64_t label;
    const char *complaint;
} shard_shape;

static void write_shard(const char *path, const shard_shape *s) {
    safetensors_writer *w = NULL;
    uint64_t images = element_size(s->image_type), labels = element_size(s->label_type) * s->label_count;
    for (int i = 0; i < 4; i++)
        images *= s->image_shape[i];
    uint8_t zeros[512] = {0};
    int64_t values[8] = {0};
    values[s->label_count ? s->label_count - 1 : 0] = s->label;
    assert_ok(safetensors_writer_create(path, &w));
    assert_ok(safetensors_declare(w, s->images, s->image_type, 4, s->image_shape));
    assert_ok(safetensors_declare(w, s->labels, s->label_type, 1, &s->label_count));
    assert_ok(safetensors_begin_data(w));
    assert_ok(safetensors_write(w, zeros, images));
    assert_ok(safetensors_write(w, values, labels));
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
}

static void test_refuses_shards(void **state) {
    (void)state;
    const shard_shape shapes[] = {
        {"pictures", "labels", ELEMENT_U8, ELEMENT_I64, {4, 1, 4, 4}, 4, 0, "has no tensor \"images\""},
        {"images", "classes", ELEMENT_U8, ELEMENT_I64, {4, 1, 4, 4}, 4, 0, "has no tensor \"labels\""},
        {"images", "labels", ELEMENT_F32, ELEMENT_I64, {4, 1, 4, 4}, 4, 0, "must be U8 [n, 1, 4, 4]"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I64, {4, 4, 4, 1}, 4, 0, "must be U8 [n, 1, 4, 4]"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I64, {0, 1, 4, 4}, 0, 0, "must be U8 [n, 1, 4, 4]"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I32, {4, 1, 4, 4}, 4, 0, "must be I64 [4]"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I64, {4, 1, 4, 4}, 5, 0, "must be I64 [4]"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I64, {4, 1, 4, 4}, 4, 3, "label of image 3 is 3, must be 0 to 2"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I64, {4, 1, 4, 4}, 4, -1, "label of image 3 is -1"},
        {"images", "labels", ELEMENT_U8, ELEMENT_I64, {3, 1, 4, 4}, 3, 0, "counts 11 images, shards 0 to 2 hold 10"},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        make_dataset(scratch("set%zu", i), 11, 3, SHARD_OF_4);
        write_shard(scratch("set%zu/shard-00001.safetensors", i), &shapes[i]);
        refuse_to_open(scratch("set%zu", i), IGVK_ERROR_INVALID, shapes[i].complaint);
    }
}

static void test_refuses_damaged_shards(void **state) {
    (void)state;
    make_dataset(scratch("cut"), 11, 3, SHARD_OF_4);
    cut_file(scratch("cut/shard-00001.safetensors"), 1);
    refuse_to_open(scratch("cut"), IGVK_ERROR_INVALID, "shard-00001.safetensors");
    make_dataset(scratch("stub"), 11, 3, SHARD_OF_4);
    write_text(scratch("stub/shard-00001.safetensors"), "abc");
    refuse_to_open(scratch("stub"), IGVK_ERROR_INVALID, "shard-00001.safetensors");
    make_dataset(scratch("gap"), 11, 3, SHARD_OF_4);
    assert_int_equal(remove(scratch("gap/shard-00001.safetensors")), 0);
    refuse_to_open(scratch("gap"), IGVK_ERROR_INVALID, "a shard is missing");
    make_dataset(scratch("none"), 3, 1, SHARD_OF_4);
    assert_int_equal(remove(scratch("none/shard-00000.safetensors")), 0);
    refuse_to_open(scratch("none"), IGVK_ERROR_INVALID, "counts 3 images, it has no shard");
    make_dataset(scratch("extra"), 11, 3, SHARD_OF_4);
    make_dataset(scratch("other"), 4, 1, SHARD_OF_4);
    assert_int_equal(rename(scratch("other/shard-00000.safetensors"), scratch("extra/shard-00003.safetensors")), 0);
    refuse_to_open(scratch("extra"), IGVK_ERROR_INVALID, "hold at least 15");
}

// A shard replaced under a reader is noticed where it is opened again.
static void test_notices_replaced_shard(void **state) {
    (void)state;
    make_dataset(scratch("set"), 100, 0, 1);
    dataset *d = NULL;
    uint8_t bytes[64];
    uint32_t label;
    assert_ok(dataset_open(scratch("set"), &d));
    const shard_shape two = {"images", "labels", ELEMENT_U8, ELEMENT_I64, {2, 1, 4, 4}, 2, 0, NULL};
    write_shard(scratch("set/shard-00000.safetensors"), &two);
    assert_fails(dataset_read_bytes(d, 0, bytes, &label), IGVK_ERROR_INVALID, "changed while in use");
    assert_ok(dataset_read_bytes(d, 1, bytes, &label));
    dataset_close(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_create, scratch_remove)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_many_shards),
        TEST(test_digest_tells_apart),
        TEST(test_unconditional),
        TEST(test_refuses_before_writing),
        TEST(test_unfinished_is_removed),
        TEST(test_refuses_folders),
        TEST(test_refuses_descriptions),
        TEST(test_refuses_shards),
        TEST(test_refuses_damaged_shards),
        TEST(test_notices_replaced_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
