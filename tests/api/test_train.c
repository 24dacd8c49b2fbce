// SPDX-License-Identifier: MIT
// Runs as a program starts and resumes them: what a resumed run may change, keeps and tells; sample sheets on the way.
#include "core/file.h"
#include "data/dataset.h"
#include "igvk/igvk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct {
    char folder[64], data[96];
    char told[8192]; // messages, a line each
} test;

static void make_dataset_of(const char *folder, uint32_t classes) {
    static const char *const names[] = {"a", "b", "c"};
    dataset_writer *w = NULL;
    dataset_writer_options o = {
        .folder = folder, .channels = 1, .height = 8, .width = 8, .class_names = names, .classes = classes};
    assert_int_equal(dataset_writer_create(&o, &w), IGVK_OK);
    for (uint32_t i = 0; i < 24; i++) {
        uint8_t image[64];
        for (uint32_t k = 0; k < 64; k++)
            image[k] = (uint8_t)(k * (1 + i % 3) + i);
        assert_int_equal(dataset_append(w, image, i % classes), IGVK_OK);
    }
    assert_int_equal(dataset_finish(w), IGVK_OK);
    dataset_writer_destroy(&w);
}

static int set_up(void **state) {
    (void)state;
    snprintf(test.folder, sizeof test.folder, "/tmp/igvk-train-XXXXXX");
    if (!mkdtemp(test.folder))
        return -1;
    snprintf(test.data, sizeof test.data, "%s/data", test.folder);
    make_dataset_of(test.data, 3);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", test.folder);
    return system(command);
}

// ---- runs ------------------------------------------------------------------------------------------

static void keep_message(void *user, const char *text) {
    (void)user;
    size_t used = strlen(test.told);
    snprintf(test.told + used, sizeof test.told - used, "%s\n", text);
}

static igvk_status train(const igvk_train_options *o) {
    igvk_events events = {.message = keep_message};
    test.told[0] = 0;
    return igvk_train(o, &events);
}

static void set(igvk_train_options *o, const char *name, const char *value) {
    assert_int_equal(igvk_option_set(igvk_train_option_list(), o, name, value), IGVK_OK);
}

static void new_run(igvk_train_options *o, const char *name) {
    static const char *const settings[][2] = {
        {"width", "24"},      {"depth", "2"},       {"heads", "2"},          {"patch", "2"}, {"batch", "8"},
        {"micro-batch", "4"}, {"sheet-every", "0"}, {"validate-every", "0"}, {"steps", "2"}, {"log-every", "1"},
    };
    char run[128];
    igvk_train_options_default(o);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        set(o, settings[i][0], settings[i][1]);
    snprintf(run, sizeof run, "%s/%s", test.folder, name);
    set(o, "data", test.data);
    set(o, "out", run);
}

// As a bare --resume of `run`.
static void resumed_run(igvk_train_options *o, const char *run) {
    char path[IGVK_TEXT];
    snprintf(path, sizeof path, "%s", run);
    assert_int_equal(igvk_train_options_load(path, o), IGVK_OK);
    set(o, "resume", path);
}

static bool has_checkpoint(const igvk_train_options *o, unsigned step) {
    char path[IGVK_TEXT + 64];
    snprintf(path, sizeof path, "%s/checkpoint-%08u.safetensors", o->out, step);
    return path_exists(path);
}

// ---- resuming --------------------------------------------------------------------------------------

static void a_resumed_run_keeps_what_it_changed(void **state) {
    (void)state;
    igvk_train_options o;
    new_run(&o, "changed");
    assert_int_equal(train(&o), IGVK_OK);
    resumed_run(&o, o.out);
    set(&o, "learning-rate", "0.00005");
    set(&o, "clip", "0.5");
    set(&o, "steps", "3");
    assert_int_equal(train(&o), IGVK_OK);
    assert_non_null(strstr(test.told, "--learning-rate 5e-05, was 0.0001: the run's numbers change from here"));
    assert_non_null(strstr(test.told, "--clip 0.5, was 1: the run's numbers change from here"));
    assert_true(has_checkpoint(&o, 3));
    resumed_run(&o, o.out);
    assert_true(o.learning_rate == 5e-5 && o.clip == 0.5 && o.steps == 3);
    set(&o, "steps", "4");
    assert_int_equal(train(&o), IGVK_OK);
    assert_null(strstr(test.told, "change from here"));
    assert_true(has_checkpoint(&o, 4));
}

static void a_refused_resume_changes_no_configuration(void **state) {
    (void)state;
    igvk_train_options o, kept;
    char other[128];
    new_run(&o, "refused");
    assert_int_equal(train(&o), IGVK_OK);
    snprintf(other, sizeof other, "%s/other", test.folder);
    static const char *const names[] = {"a", "b", "c"};
    dataset_writer *w = NULL;
    uint8_t image[64] = {0};
    dataset_writer_options d = {
        .folder = other, .channels = 1, .height = 8, .width = 8, .class_names = names, .classes = 3};
    assert_int_equal(dataset_writer_create(&d, &w), IGVK_OK);
    assert_int_equal(dataset_append(w, image, 0), IGVK_OK);
    assert_int_equal(dataset_finish(w), IGVK_OK);
    dataset_writer_destroy(&w);
    resumed_run(&o, o.out);
    set(&o, "data", other);
    set(&o, "steps", "3");
    assert_int_equal(train(&o), IGVK_ERROR_INVALID);
    assert_int_equal(igvk_train_options_load(o.out, &kept), IGVK_OK);
    assert_string_equal(kept.data, test.data);
    assert_int_equal(kept.steps, 2);
    resumed_run(&o, o.out);
    set(&o, "seed", "5");
    assert_int_equal(train(&o), IGVK_ERROR_INVALID);
}

// ---- LightningDiT ----------------------------------------------------------------------------------

// Its options: what is left open is its recipe's and stands in the configuration; it goes on with Muon and is sampled.
static void a_lightningdit_takes_its_recipe(void **state) {
    (void)state;
    igvk_train_options o;
    igvk_sample_options s;
    igvk_events none = {0};
    char sheet[128];
    new_run(&o, "lightning");
    set(&o, "model", "LightningDiT");
    set(&o, "no-shift", "true");
    set(&o, "rms-norm", "off");
    assert_int_equal(train(&o), IGVK_OK);
    resumed_run(&o, o.out);
    assert_true(o.optimizer == 2 && o.learning_rate == 2e-4 && o.beta2 == 0.95 && o.muon_decay == 0.01);
    set(&o, "steps", "3");
    assert_int_equal(train(&o), IGVK_OK);
    assert_true(has_checkpoint(&o, 3));
    resumed_run(&o, o.out);
    set(&o, "optimizer", "adamw");
    assert_int_equal(train(&o), IGVK_ERROR_INVALID);

    igvk_sample_options_default(&s);
    snprintf(sheet, sizeof sheet, "%s/lightning.png", test.folder);
    static const char *const settings[][2] = {{"num-steps", "3"}, {"count", "2"}, {"ig-scale", "1.4"}};
    assert_int_equal(igvk_option_set(igvk_sample_option_list(), &s, "model", o.out), IGVK_OK);
    assert_int_equal(igvk_option_set(igvk_sample_option_list(), &s, "sheet", sheet), IGVK_OK);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        assert_int_equal(igvk_option_set(igvk_sample_option_list(), &s, settings[i][0], settings[i][1]), IGVK_OK);
    assert_int_equal(igvk_sample(&s, &none), IGVK_OK);
    assert_true(path_exists(sheet));
}

static void other_kinds_and_paths_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *model, *option, *value, *error;
    } rows[] = {{"SiT", "rotary", "on", "--rotary: a model of kind sit has none"},
                {"", "no-shift", "true", "--no-shift: a model of kind sit has none"},
                {"LightningDiT", "path-type", "cosine", "a LightningDiT goes the linear path"},
                {"LightningDiT", "width", "0", "give --model PRESET, or all of --width"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        igvk_train_options o;
        new_run(&o, "refused-options");
        set(&o, "model", rows[i].model);
        set(&o, rows[i].option, rows[i].value);
        assert_int_equal(train(&o), IGVK_ERROR_INVALID);
        assert_non_null(strstr(igvk_error_text(), rows[i].error));
        assert_false(path_exists(o.out));
    }
}

// ---- sample sheets ---------------------------------------------------------------------------------

static void sheets_of_a_run_are_drawn_and_a_failing_one_is_told(void **state) {
    (void)state;
    igvk_train_options o;
    char path[IGVK_TEXT + 64];
    new_run(&o, "sheets");
    set(&o, "sheet-every", "1");
    set(&o, "sheet-steps", "2");
    assert_int_equal(train(&o), IGVK_OK);
    for (int step = 1; step <= 2; step++) {
        snprintf(path, sizeof path, "%s/samples/step-%08d.png", o.out, step);
        assert_true(path_exists(path));
    }
    snprintf(path, sizeof path, "%s/samples/step-00000003.png", o.out);
    assert_int_equal(folder_create(path), IGVK_OK); // in the next sheet's place
    resumed_run(&o, o.out);
    set(&o, "steps", "3");
    assert_int_equal(train(&o), IGVK_OK);
    assert_non_null(strstr(test.told, "note: no sample sheet of step 3: "));
    assert_true(has_checkpoint(&o, 3));
}

// ---- other kinds of model --------------------------------------------------------------------------

// A DiT small enough for tests, by a preset's name.
static void small_run(igvk_train_options *o, const char *name, const char *preset) {
    new_run(o, name);
    set(o, "model", preset);
    set(o, "depth", "6"); // an MDTv2 decodes by four
    set(o, "validate-every", "2");
    set(o, "steps", "4");
}

// The tensors' bytes of a checkpoint, behind its header, which names the run.
static void read_tensors(const char *run, unsigned step, char **text, size_t *size) {
    char path[IGVK_TEXT + 64];
    uint64_t header = 0;
    snprintf(path, sizeof path, "%s/checkpoint-%08u.safetensors", run, step);
    assert_int_equal(file_read(path, 1 << 24, text, size), IGVK_OK);
    memcpy(&header, *text, sizeof header);
    *size -= sizeof header + header;
    memmove(*text, *text + sizeof header + header, *size);
}

// Stopped at step 2 and resumed, a run ends with the bits of one that went through; its checkpoint makes pictures.
static void check_kind(const char *preset, const char *solver) {
    igvk_train_options whole, halves;
    igvk_sample_options s;
    char *a = NULL, *b = NULL, path[IGVK_TEXT + 64];
    char names[2][64];
    size_t a_size = 0, b_size = 0;
    snprintf(names[0], sizeof names[0], "%.5s-%s-whole", preset, solver);
    snprintf(names[1], sizeof names[1], "%.5s-%s-halves", preset, solver);
    small_run(&whole, names[0], preset);
    assert_int_equal(train(&whole), IGVK_OK);
    small_run(&halves, names[1], preset);
    set(&halves, "steps", "2");
    set(&halves, "sheet-every", "2");
    set(&halves, "sheet-steps", "2");
    assert_int_equal(train(&halves), IGVK_OK);
    snprintf(path, sizeof path, "%s/samples/step-00000002.png", halves.out);
    assert_true(path_exists(path));
    resumed_run(&halves, halves.out);
    set(&halves, "steps", "4");
    assert_int_equal(train(&halves), IGVK_OK);
    read_tensors(whole.out, 4, &a, &a_size);
    read_tensors(halves.out, 4, &b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
    igvk_sample_options_default(&s);
    snprintf(s.model, sizeof s.model, "%s", whole.out);
    snprintf(s.npz, sizeof s.npz, "%s/%s.npz", test.folder, solver);
    assert_int_equal(igvk_option_set(igvk_sample_option_list(), &s, "solver", solver), IGVK_OK);
    s.steps = 4;
    s.ig_scale = s.cfg_scale = 1.5;
    assert_int_equal(igvk_sample(&s, NULL), IGVK_OK);
    assert_true(path_exists(s.npz));
    assert_int_equal(igvk_option_set(igvk_sample_option_list(), &s, "solver", "heun"), IGVK_OK);
    assert_int_equal(igvk_sample(&s, NULL), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "ddpm or ddim"));
}

static void a_dit_trains_resumes_and_samples(void **state) {
    (void)state;
    check_kind("DiT-S/2", "ddpm");
    check_kind("DiT-S/2", "ddim");
}

static void an_mdt_trains_resumes_and_samples(void **state) {
    (void)state;
    check_kind("MDTv2-S/2", "ddpm");
}

static void paths_are_refused_with_discrete_times(void **state) {
    static const char *const bad[][2] = {{"path-type", "cosine"}, {"times", "lognormal"}, {"guided-target", "1.5"}};
    igvk_train_options o;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        small_run(&o, "never", "DiT-S/2");
        set(&o, bad[i][0], bad[i][1]);
        assert_int_equal(train(&o), IGVK_ERROR_INVALID);
        assert_non_null(strstr(igvk_error_text(), bad[i][0]));
        assert_false(path_exists(o.out));
    }
}

// One argument: the tests whose names match it.
// ---- starting from weights -------------------------------------------------------------------------------

static void head_run(igvk_train_options *o, const char *name, const char *from, const char *head_after) {
    new_run(o, name);
    for (size_t i = 0; i < 4; i++)
        set(o, (const char *[]){"width", "depth", "heads", "patch"}[i], "0");
    set(o, "init", from);
    set(o, "head-after", head_after);
    set(o, "train-head-only", "true");
}

// Every kind gets a head at another block; the result is sampled with Internal Guidance, and resumed.
static void a_head_is_added_to_every_kind(void **state) {
    (void)state;
    static const char *const kinds[][2] = {{"", "4"}, {"LightningDiT", "4"}, {"DiT", "4"}, {"MDTv2", "6"}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        igvk_train_options o, h;
        igvk_sample_options s;
        char name[32], out[128];
        snprintf(name, sizeof name, "whole-%zu", k);
        new_run(&o, name);
        set(&o, "model", kinds[k][0]);
        set(&o, "depth", kinds[k][1]); // an MDTv2's decoder has four blocks
        set(&o, "head-after", "1");
        set(&o, "steps", "1");
        assert_int_equal(train(&o), IGVK_OK);
        snprintf(name, sizeof name, "head-%zu", k);
        head_run(&h, name, o.out, "2");
        assert_int_equal(train(&h), IGVK_OK);
        assert_non_null(strstr(test.told, "the auxiliary head is new: after block 2, 1 in the file"));
        assert_non_null(strstr(test.told, "training the auxiliary head alone, after block 2: "));
        resumed_run(&h, h.out);
        set(&h, "steps", "3");
        assert_int_equal(train(&h), IGVK_OK);
        assert_true(has_checkpoint(&h, 3));
        igvk_sample_options_default(&s);
        snprintf(out, sizeof out, "%s/head-%zu.png", test.folder, k);
        memcpy(s.model, h.out, sizeof s.model);
        strcpy(s.sheet, out);
        s.steps = 3;
        s.ig_scale = 1.5;
        assert_int_equal(igvk_sample(&s, NULL), IGVK_OK);
    }
}

static void what_a_head_alone_cannot_do_is_refused(void **state) {
    (void)state;
    igvk_train_options o;
    char other[96], run[IGVK_TEXT];
    new_run(&o, "for-heads");
    assert_int_equal(train(&o), IGVK_OK);
    strcpy(run, o.out);
    head_run(&o, "refused-head", "", "1");
    assert_int_equal(train(&o), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--train-head-only needs --init"));
    head_run(&o, "refused-head", run, "1");
    set(&o, "guided-target", "1.5");
    assert_int_equal(train(&o), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--guided-target"));
    snprintf(other, sizeof other, "%s/other-classes", test.folder);
    make_dataset_of(other, 2);
    head_run(&o, "refused-head", run, "1");
    set(&o, "data", other);
    assert_int_equal(train(&o), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "8x8 in 3 classes, the dataset of 8x8 in 2"));
    assert_false(path_exists(o.out));
}

// ---- the device's time -----------------------------------------------------------------------------

// The tensors of a run's checkpoint, without what its header says. malloc'd.
static char *tensors_of(const igvk_train_options *o, size_t *size) {
    char path[IGVK_TEXT + 64];
    char *bytes = NULL;
    uint64_t header = 0;
    snprintf(path, sizeof path, "%s/checkpoint-%08u.safetensors", o->out, 2u);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(&header, 8, 1, f), 1);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f) - 8 - (size_t)header;
    assert_int_equal(fseek(f, 8 + (long)header, SEEK_SET), 0);
    assert_non_null(bytes = malloc(*size));
    assert_int_equal(fread(bytes, *size, 1, f), 1);
    fclose(f);
    return bytes;
}

static void any_length_of_submissions_gives_the_same_bits(void **state) {
    (void)state;
    static const char *const lengths[] = {"0", "0.00001", "1"};
    char *first = NULL;
    size_t first_size = 0;
    for (int k = 0; k < 3; k++) {
        igvk_train_options o;
        char name[16];
        size_t size;
        snprintf(name, sizeof name, "length-%d", k);
        new_run(&o, name);
        set(&o, "max-submit-ms", lengths[k]);
        o.gentle = k == 2;
        assert_int_equal(train(&o), IGVK_OK);
        char *tensors = tensors_of(&o, &size);
        if (first) {
            assert_int_equal(size, first_size);
            assert_memory_equal(tensors, first, size);
            free(tensors);
        } else {
            first = tensors;
            first_size = size;
        }
    }
    free(first);
}

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_keeps_what_it_changed),
        cmocka_unit_test(a_refused_resume_changes_no_configuration),
        cmocka_unit_test(a_dit_trains_resumes_and_samples),
        cmocka_unit_test(an_mdt_trains_resumes_and_samples),
        cmocka_unit_test(paths_are_refused_with_discrete_times),
        cmocka_unit_test(a_lightningdit_takes_its_recipe),
        cmocka_unit_test(other_kinds_and_paths_are_refused),
        cmocka_unit_test(sheets_of_a_run_are_drawn_and_a_failing_one_is_told),
        cmocka_unit_test(a_head_is_added_to_every_kind),
        cmocka_unit_test(what_a_head_alone_cannot_do_is_refused),
        cmocka_unit_test(any_length_of_submissions_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
