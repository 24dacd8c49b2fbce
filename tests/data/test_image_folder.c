// SPDX-License-Identifier: MIT
// Folders of images: classes, crops, broken files told by name, refusals.
#include "data/image_folder.h"

#include "core/file.h"
#include "data/dataset.h"
#include "data/helpers.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char told[4096]; // "name (reason)\n" of every source left out
static uint64_t last_done, stop_at;

static void tell(void *user, const char *path, const char *reason) {
    (void)user;
    assert_non_null(reason);
    assert_null(strchr(reason, '\n'));
    size_t length = strlen(told);
    snprintf(told + length, sizeof told - length, "%s (%s)\n", strrchr(path, '/') + 1, reason);
}

static bool count(void *user, uint64_t done, uint64_t total) {
    (void)user;
    assert_int_equal(done, last_done + 1);
    assert_true(done <= total);
    last_done = done;
    return done == stop_at;
}

static image_folder_options options(void) {
    told[0] = 0;
    last_done = stop_at = 0;
    return (image_folder_options){.source = scratch("in"),
                                  .folder = scratch("out"),
                                  .size = 8,
                                  .channels = 1,
                                  .callbacks = {.progress = count, .source = tell}};
}

// Three classes of 4, 3 and 0 good images, with one broken in the first and second each.
static void make_classes(void) {
    assert_ok(folder_create(scratch("in/b cats")));
    assert_ok(folder_create(scratch("in/a dogs")));
    assert_ok(folder_create(scratch("in/c none/deeper")));
    assert_ok(folder_create(scratch("in/.hidden")));
    for (int i = 0; i < 4; i++)
        make_png(scratch("in/a dogs/%d.png", i), 16, 24, 3, (uint8_t)(10 * i));
    for (int i = 0; i < 3; i++)
        make_png(scratch("in/b cats/%d.PNG", i), 9, 8, 1, (uint8_t)(100 + 10 * i));
    write_text(scratch("in/a dogs/broken.jpg"), "no JPEG");
    make_png(scratch("in/b cats/cut.png"), 16, 16, 1, 5);
    cut_file(scratch("in/b cats/cut.png"), 40);
    write_text(scratch("in/a dogs/notes.txt"), "");
    write_text(scratch("in/a dogs/.hidden.png"), "");
    write_text(scratch("in/readme"), "");
}

static void test_classes(void **state) {
    (void)state;
    image_folder_result result;
    image_folder_options o = options();
    dataset *d = NULL;
    make_classes();
    o.flips = true;
    assert_ok(image_folder_make(&o, &result));
    assert_int_equal(result.images, 7);
    assert_int_equal(result.broken, 2);
    assert_int_equal(result.ignored, 2); // notes.txt, deeper
    assert_int_equal(result.classes, 3);
    assert_int_equal(result.held_out, 0);
    assert_int_equal(last_done, 9);
    assert_non_null(strstr(told, "c none (class without"));
    assert_non_null(strstr(told, "broken.jpg ("));
    assert_non_null(strstr(told, "cut.png ("));

    assert_ok(dataset_open(o.folder, &d));
    const dataset_info *info = dataset_describe(d);
    assert_string_equal(info->class_names[0], "a dogs");
    assert_string_equal(info->class_names[1], "b cats");
    assert_true(info->flips);
    for (uint64_t k = 0; k < 7; k++) {
        uint8_t bytes[64];
        uint32_t label;
        assert_ok(dataset_read_bytes(d, k, bytes, &label));
        assert_int_equal(label, k < 4 ? 0 : 1);
        assert_int_equal(bytes[7], k < 4 ? 10 * k : 100 + 10 * (k - 4));
        assert_int_equal(bytes[8 * 7], bytes[7] + 40);
    }
    dataset_close(&d);
}

static void test_unconditional_colour(void **state) {
    (void)state;
    image_folder_result result;
    image_folder_options o = options();
    dataset *d = NULL;
    assert_ok(folder_create(o.source));
    image im = {0};
    assert_ok(image_create(8, 8, 3, &im));
    for (int i = 0; i < 8 * 8; i++)
        memcpy(im.pixels + 3 * i, (uint8_t[]){(uint8_t)i, 100, 200}, 3);
    assert_ok(image_write_png(scratch("in/one.png"), &im, NULL, 0));
    image_free(&im);
    o.channels = 3;
    assert_ok(image_folder_make(&o, &result));
    assert_int_equal(result.classes, 0);
    assert_ok(dataset_open(o.folder, &d));
    uint8_t bytes[3 * 64];
    uint32_t label;
    assert_ok(dataset_read_bytes(d, 0, bytes, &label));
    for (int i = 0; i < 64; i++) { // C,H,W
        assert_int_equal(bytes[i], i);
        assert_int_equal(bytes[64 + i], 100);
        assert_int_equal(bytes[128 + i], 200);
    }
    dataset_close(&d);
}

static void shades(const char *folder, uint8_t out[20], uint64_t *held_out) {
    dataset *d = NULL;
    assert_ok(dataset_open(folder, &d));
    assert_int_equal(dataset_describe(d)->count, 20);
    *held_out = dataset_describe(d)->held_out;
    for (uint64_t k = 0; k < 20; k++) {
        uint8_t bytes[64];
        uint32_t label;
        assert_ok(dataset_read_bytes(d, k, bytes, &label));
        out[k] = bytes[7];
    }
    dataset_close(&d);
}

// Held-out images come last; the seed alone chooses which.
static void test_holds_out(void **state) {
    (void)state;
    image_folder_result result;
    image_folder_options o = options();
    uint8_t got[3][20];
    uint64_t held_out = 0;
    assert_ok(folder_create(o.source));
    for (int i = 0; i < 20; i++)
        make_png(scratch("in/%02d.png", i), 8, 8, 1, (uint8_t)i);
    for (int run = 0; run < 3; run++) {
        o.folder = scratch("out%d", run);
        o.held_out = 0.25;
        o.seed = run == 2;
        last_done = 0;
        assert_ok(image_folder_make(&o, &result));
        assert_int_equal(result.held_out, 5);
        shades(o.folder, got[run], &held_out);
        assert_int_equal(held_out, 5);
    }
    assert_memory_equal(got[0], got[1], 20);
    assert_memory_not_equal(got[0], got[2], 20);
    for (int i = 1; i < 20; i++)
        assert_true(i == 15 || got[0][i] > got[0][i - 1]); // two runs of names in order
}

static void refuse(image_folder_options o, igvk_status code, const char *part) {
    image_folder_result result;
    assert_fails(image_folder_make(&o, &result), code, part);
    assert_false(path_exists(scratch("out")));
}

static void test_refuses(void **state) {
    (void)state;
    image_folder_options o = options();
    refuse(o, IGVK_ERROR_INVALID, "no such folder");
    assert_ok(folder_create(o.source));
    refuse(o, IGVK_ERROR_INVALID, "has no PNG or JPEG");
    write_text(scratch("in/x.png"), "no PNG");
    refuse(o, IGVK_ERROR_INVALID, "none of the 1 training files");
    o.size = 0;
    refuse(o, IGVK_ERROR_INVALID, "image size 0");
    o.size = 8;
    o.channels = 2;
    refuse(o, IGVK_ERROR_INVALID, "2 channels");
    o.channels = 1;
    o.held_out = 1;
    refuse(o, IGVK_ERROR_INVALID, "held-out share of 1");
    o.held_out = 0;
    assert_ok(folder_create(scratch("in/class")));
    refuse(o, IGVK_ERROR_INVALID, "both images and folders");
    o.source = scratch("in/x.png");
    refuse(o, IGVK_ERROR_INVALID, "is a file");
    o.source = scratch("in");
    o.folder = scratch("in/class/below");
    assert_int_equal(remove(scratch("in/x.png")), 0);
    assert_ok(folder_create(scratch("in/class/\xe4")));
    assert_int_equal(rename(scratch("in/class/\xe4"), scratch("in/\xe4")), 0);
    make_png(scratch("in/class/1.png"), 8, 8, 1, 0);
    refuse(o, IGVK_ERROR_INVALID, "not UTF-8");
    assert_false(path_exists(o.folder));
}

static void test_stops(void **state) {
    (void)state;
    image_folder_options o = options();
    make_classes();
    stop_at = 3;
    refuse(o, IGVK_INTERRUPTED, "stopped after 3 of 9");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_create, scratch_remove)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_classes), TEST(test_unconditional_colour), TEST(test_holds_out), TEST(test_refuses), TEST(test_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
