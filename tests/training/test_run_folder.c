// SPDX-License-Identifier: MIT
// The run's folder: which checkpoints it needs room for, what pruning removes and what it leaves. Needs no device.
#include "core/file.h"
#include "training/run_folder.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/igvk-run-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void put(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, "x", 1), IGVK_OK);
}

static bool present(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path_exists(path);
}

static void checkpoints_that_lie_there_need_no_room(void **state) {
    (void)state;
    uint64_t missing = 0;
    assert_int_equal(run_missing_checkpoints(folder, 3, &missing), IGVK_OK);
    assert_int_equal(missing, 4); // the newest comes before the oldest goes
    put("checkpoint-00000001.safetensors");
    put("checkpoint-00000002.safetensors");
    put("config.json");
    assert_int_equal(run_missing_checkpoints(folder, 3, &missing), IGVK_OK);
    assert_int_equal(missing, 2);
    assert_int_equal(run_missing_checkpoints(folder, 2, &missing), IGVK_OK);
    assert_int_equal(missing, 1);
    assert_int_equal(run_missing_checkpoints(folder, 1, &missing), IGVK_OK);
    assert_int_equal(missing, 1);
}

static void pruning_removes_what_a_kill_left(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool stays;
    } files[] = {
        {"checkpoint-00000001.safetensors", false},
        {"checkpoint-00000002.safetensors", true},
        {"checkpoint-00000003.safetensors.tmp-4711-0", false},
        {"config.json.tmp-1-12", false},
        {"log.jsonl.tmp-99-3", false},
        {"samples/step-00000500.png.tmp-4711-2", false},
        {"samples/step-00000500.png", true},
        {"config.json", true},
        // Not of the program's writing.
        {"checkpoint-00000003.safetensors.tmp-4711", true},
        {"checkpoint-00000003.safetensors.tmp-4711-x", true},
        {"checkpoint-00000003.safetensors.tmp--0", true},
        {"checkpoint-3.safetensors.tmp-4711-0", true},
        {"notes.txt.tmp-4711-0", true},
        {"samples/mine.png.tmp-4711-0", true},
    };
    char samples[128];
    snprintf(samples, sizeof samples, "%s/samples", folder);
    assert_int_equal(folder_create(samples), IGVK_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put(files[i].name);
    assert_int_equal(run_prune(folder, 1), IGVK_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (present(files[i].name) != files[i].stays)
            fail_msg("%s %s", files[i].name, files[i].stays ? "went" : "stayed");
}

// A host program may have a locale whose decimal point is a comma.
static void the_log_is_json_in_every_locale(void **state) {
    (void)state;
    run_log *log = NULL;
    char path[128], *text = NULL;
    size_t size = 0;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip();
    assert_int_equal(run_log_open(folder, 0, &log), IGVK_OK);
    assert_int_equal(run_log_line(log, "{\"step\": %d, \"loss\": %.2f}", 1, 0.25), IGVK_OK);
    run_log_close(&log);
    setlocale(LC_NUMERIC, "C");
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    assert_int_equal(file_read(path, 1 << 20, &text, &size), IGVK_OK);
    assert_string_equal(text, "{\"step\": 1, \"loss\": 0.25}\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(checkpoints_that_lie_there_need_no_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pruning_removes_what_a_kill_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_log_is_json_in_every_locale, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
