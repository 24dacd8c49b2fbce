// SPDX-License-Identifier: MIT
// --plan tells, byte by byte, what the same command then takes of the device's memory, and touches no file.
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
    char folder[64], data[96], run[96];
    uint64_t used;              // the most that progress told of
    uint64_t all, sum, weights; // of the plan: in all, the kinds' sum, weights
    char told[4096];
} test;

static void keep_progress(void *user, const igvk_progress *p) {
    (void)user;
    test.used = p->device_bytes > test.used ? p->device_bytes : test.used;
}

static void keep_row(void *user, const igvk_plan_row *row) {
    (void)user;
    if (strcmp(row->kind, "in all") == 0)
        test.all = row->bytes;
    else if (strcmp(row->kind, "free") != 0)
        test.sum += row->bytes;
    if (strcmp(row->kind, "weights") == 0)
        test.weights = row->bytes;
}

static void keep_message(void *user, const char *text) {
    (void)user;
    size_t used = strlen(test.told);
    snprintf(test.told + used, sizeof test.told - used, "%s\n", text);
}

static const igvk_events events = {.message = keep_message, .progress = keep_progress, .plan = keep_row};

static void forget(void) {
    test.used = test.all = test.sum = test.weights = 0;
    test.told[0] = 0;
}

static void assert_ok(igvk_status status) {
    if (status != IGVK_OK)
        fail_msg("%s", igvk_error_text());
}

static void make_dataset(const char *folder) {
    static const char *const names[] = {"a", "b"};
    dataset_writer *w = NULL;
    dataset_writer_options o = {
        .folder = folder, .channels = 1, .height = 8, .width = 8, .class_names = names, .classes = 2};
    assert_ok(dataset_writer_create(&o, &w));
    for (uint32_t i = 0; i < 16; i++) {
        uint8_t image[64];
        for (uint32_t k = 0; k < 64; k++)
            image[k] = (uint8_t)(k * (1 + i % 2) + i);
        assert_ok(dataset_append(w, image, i % 2));
    }
    assert_ok(dataset_finish(w));
    dataset_writer_destroy(&w);
}

// ---- commands --------------------------------------------------------------------------------------

static void set_train(igvk_train_options *o, const char *name, const char *value) {
    assert_ok(igvk_option_set(igvk_train_option_list(), o, name, value));
}

static void train_options(igvk_train_options *o, const char *run) {
    static const char *const settings[][2] = {
        {"width", "24"}, {"depth", "4"},       {"heads", "2"},          {"patch", "2"},     {"batch", "8"},
        {"steps", "2"},  {"sheet-every", "0"}, {"validate-every", "0"}, {"log-every", "1"},
    };
    igvk_train_options_default(o);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        set_train(o, settings[i][0], settings[i][1]);
    set_train(o, "data", test.data);
    set_train(o, "out", run);
}

static void set_sample(igvk_sample_options *o, const char *name, const char *value) {
    assert_ok(igvk_option_set(igvk_sample_option_list(), o, name, value));
}

static void sample_options(igvk_sample_options *o) {
    static const char *const settings[][2] = {{"count", "5"},  {"batch", "3"},       {"num-steps", "2"},
                                              {"mode", "ode"}, {"cfg-scale", "1.5"}, {"ig-scale", "1.4"}};
    igvk_sample_options_default(o);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        set_sample(o, settings[i][0], settings[i][1]);
    set_sample(o, "model", test.run);
}

static int set_up(void **state) {
    (void)state;
    igvk_train_options o;
    snprintf(test.folder, sizeof test.folder, "/tmp/igvk-plan-XXXXXX");
    if (!mkdtemp(test.folder))
        return -1;
    snprintf(test.data, sizeof test.data, "%s/data", test.folder);
    snprintf(test.run, sizeof test.run, "%s/run", test.folder);
    make_dataset(test.data);
    train_options(&o, test.run);
    assert_ok(igvk_train(&o, &events));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", test.folder);
    return system(command);
}

// ---- what is planned is what is taken --------------------------------------------------------------

#define ROUNDING                                                                                                       \
    (16u << 10) // drivers may round each of some tens of buffers up; Mesa's llvmpipe takes them as they are

static void assert_taken(uint64_t planned, uint64_t used) {
    assert_in_range(used, planned, planned + ROUNDING);
}

static void planned_as_trained(igvk_train_options *o) {
    forget();
    o->plan = true;
    assert_ok(igvk_train(o, &events));
    assert_int_equal(test.used, 0);
    assert_false(path_exists(o->out));
    o->plan = false;
    assert_ok(igvk_train(o, &events));
    assert_int_equal(test.all, test.sum);
    assert_taken(test.all, test.used);
}

static void training_takes_what_was_planned(void **state) {
    (void)state;
    igvk_train_options o;
    char run[128];
    snprintf(run, sizeof run, "%s/plain", test.folder);
    train_options(&o, run);
    planned_as_trained(&o);
    const uint64_t plain = test.all;
    snprintf(run, sizeof run, "%s/micro", test.folder);
    train_options(&o, run);
    o.micro_batch = 2;
    o.recompute = true;
    planned_as_trained(&o);
    assert_true(test.all < plain);
}

// Sheets between steps: their states and activations come on top.
static void sheets_are_planned(void **state) {
    (void)state;
    igvk_train_options o;
    char run[128];
    snprintf(run, sizeof run, "%s/sheets", test.folder);
    train_options(&o, run);
    o.sheet_every = 1;
    o.sheet_steps = 2;
    o.plan = true;
    forget();
    assert_ok(igvk_train(&o, &events));
    const uint64_t planned = test.all;
    assert_int_equal(test.all, test.sum);
    o.plan = false;
    assert_ok(igvk_train(&o, &events));
    assert_true(test.used <= planned + ROUNDING);
}

static void planned_as_sampled(igvk_sample_options *o) {
    char out[128];
    snprintf(out, sizeof out, "%s/out.npz", test.folder);
    forget();
    o->plan = true;
    assert_ok(igvk_sample(o, &events));
    assert_int_equal(test.used, 0);
    o->plan = false;
    set_sample(o, "npz", out);
    assert_ok(igvk_sample(o, &events));
    assert_int_equal(test.all, test.sum);
    assert_taken(test.all, test.used);
}

static void sampling_takes_what_was_planned(void **state) {
    (void)state;
    igvk_sample_options o;
    sample_options(&o);
    planned_as_sampled(&o);
    assert_non_null(strstr(test.told, "3 images at once"));
    const uint64_t weights = test.weights;
    sample_options(&o);
    set_sample(&o, "ig-scale", "1");
    set_sample(&o, "autoguidance", test.run);
    set_sample(&o, "autoguidance-scale", "1.4");
    planned_as_sampled(&o);
    assert_int_equal(test.weights, 2 * weights);
    sample_options(&o);
    set_sample(&o, "precision", "f16"); // f32 where the device has no 16-bit storage
    planned_as_sampled(&o);
    assert_true(test.weights <= weights);
    sample_options(&o);
    set_sample(&o, "solver", "dopri5");
    planned_as_sampled(&o);
}

static void a_sheet_takes_what_was_planned(void **state) {
    (void)state;
    igvk_sample_options o;
    char out[128];
    snprintf(out, sizeof out, "%s/sheet.png", test.folder);
    sample_options(&o);
    set_sample(&o, "sheet-rows", "none,ig+cfg,cfg");
    set_sample(&o, "compare", test.run);
    forget();
    o.plan = true;
    assert_ok(igvk_sample(&o, &events));
    const uint64_t planned = test.all;
    o.plan = false;
    set_sample(&o, "sheet", out);
    assert_ok(igvk_sample(&o, &events));
    assert_taken(planned, test.used);
}

// The command that takes 16 images is refused under less memory, with what the command then takes.
static void the_largest_batch_is_named(void **state) {
    (void)state;
    igvk_sample_options o;
    char limit[32], out[128], *named;
    sample_options(&o);
    o.plan = true;
    o.count = o.batch = 16;
    forget();
    assert_ok(igvk_sample(&o, &events));
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)(test.weights + (test.all - test.weights) / 2));
    setenv("IGVK_MEMORY", limit, 1);
    o.plan = false;
    snprintf(out, sizeof out, "%s/refused", test.folder);
    set_sample(&o, "out", out);
    assert_int_equal(igvk_sample(&o, &events), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(named = strstr(igvk_error_text(), "--batch 16 does not fit the device's memory: "));
    assert_false(path_exists(out));
    const unsigned long most = strtoul(strstr(named, "memory: ") + 8, NULL, 10);
    assert_in_range(most, 2, 15);
    o.batch = most + 1;
    assert_int_equal(igvk_sample(&o, &events), IGVK_ERROR_DEVICE_MEMORY);
    o.batch = most;
    assert_ok(igvk_sample(&o, &events));
    unsetenv("IGVK_MEMORY");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_takes_what_was_planned), cmocka_unit_test(sheets_are_planned),
        cmocka_unit_test(sampling_takes_what_was_planned), cmocka_unit_test(the_largest_batch_is_named),
        cmocka_unit_test(a_sheet_takes_what_was_planned),
    };
    return cmocka_run_group_tests_name("api/memory_plan", tests, set_up, tear_down);
}
