// SPDX-License-Identifier: MIT
// Every option of every table: its row is whole, its default is within its own range, what is set is what is got,
// wrong values are refused with a line that names the flag, and fields do not overlap.
#include "igvk/igvk_experimental.h"
#include "api/options.h"
#include "models/model.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct tabled {
    const char *command;
    const igvk_option_list *(*list)(void);
} tabled;
static const tabled tables[] = {
    {"sample", igvk_sample_option_list},        {"train", igvk_train_option_list},
    {"data glyphs", igvk_glyph_option_list},    {"data images", igvk_image_option_list},
    {"data latents", igvk_latents_option_list}, {"data show", igvk_show_option_list},
    {"export", igvk_export_option_list},        {"parity", igvk_parity_option_list},
    {"bench", igvk_bench_option_list},          {"import", igvk_import_option_list},
};
#define TABLE_COUNT (sizeof tables / sizeof *tables)

static void *new_options(const igvk_option_list *list) {
    void *options = calloc(1, list->struct_size);
    assert_non_null(options);
    options_default(list, options);
    return options;
}

static size_t field_size(igvk_option_kind kind) {
    switch (kind) {
    case IGVK_OPTION_FLAG:
        return sizeof(bool);
    case IGVK_OPTION_CHOICE:
        return sizeof(uint32_t);
    case IGVK_OPTION_TEXT:
    case IGVK_OPTION_PATH:
        return IGVK_TEXT;
    default:
        return sizeof(double);
    }
}

// Another value than the default, within the range.
static const char *other_value(const igvk_option *o, char out[64]) {
    switch (o->kind) {
    case IGVK_OPTION_FLAG:
        return "true";
    case IGVK_OPTION_INTEGER:
        snprintf(out, 64, "%.0f", strtod(o->standard, NULL) == o->high ? o->low : o->high);
        return out;
    case IGVK_OPTION_NUMBER:
        snprintf(out, 64, "%.17g", o->low + (o->high - o->low) / 3);
        if (strchr(out, ',')) // the locale's, in one of the tests
            *strchr(out, ',') = '.';
        return out;
    case IGVK_OPTION_DURATION:
        return "7m";
    case IGVK_OPTION_CHOICE:
        return strcmp(o->words[0], o->standard) == 0 ? o->words[1] : o->words[0];
    default:
        return "a b,\"'\\é";
    }
}

static void refuse(const igvk_option_list *list, void *options, const igvk_option *o, const char *text) {
    char before[IGVK_TEXT], after[IGVK_TEXT], flag[64];
    assert_true(igvk_option_get(o, options, before, sizeof before));
    if (igvk_option_set(list, options, o->name, text) != IGVK_ERROR_INVALID)
        fail_msg("--%s takes \"%s\"", o->name, text);
    snprintf(flag, sizeof flag, "--%s", o->name);
    assert_memory_equal(igvk_error_text(), flag, strlen(flag));
    assert_null(strchr(igvk_error_text(), '\n'));
    assert_true(igvk_option_get(o, options, after, sizeof after));
    assert_string_equal(before, after);
}

static void test_rows(void **state) {
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const igvk_option_list *list = tables[t].list();
        for (size_t i = 0; i < list->count; i++) {
            const igvk_option *o = &list->options[i];
            assert_true(o->name[0] && strlen(o->name) < 40 && o->group && o->help && o->help[0] && o->standard);
            assert_true((o->value == NULL) == (o->kind == IGVK_OPTION_FLAG));
            assert_true((o->words != NULL) == (o->kind == IGVK_OPTION_CHOICE));
            for (size_t k = 0; k < i; k++) {
                const igvk_option *other = &list->options[k];
                assert_string_not_equal(o->name, other->name);
                assert_true(o->offset + field_size(o->kind) <= other->offset ||
                            other->offset + field_size(other->kind) <= o->offset);
            }
            // Help prints a heading where it changes: those of one group stand together.
            if (i > 1 && strcmp(o->group, list->options[i - 1].group) != 0)
                for (size_t k = 0; k + 1 < i; k++)
                    assert_string_not_equal(o->group, list->options[k].group);
        }
    }
}

static size_t field_alignment(igvk_option_kind kind) {
    return field_size(kind) == IGVK_TEXT ? 1 : field_size(kind);
}

// The end of the field that lies next at or after `offset`, where nothing but padding is between; else 0.
static size_t next_end(const igvk_option_list *list, size_t offset) {
    const igvk_option *next = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (list->options[i].offset >= offset && (!next || list->options[i].offset < next->offset))
            next = &list->options[i];
    size_t alignment = next ? field_alignment(next->kind) : 1;
    bool padded = next && next->offset == (offset + alignment - 1) / alignment * alignment;
    return padded ? next->offset + field_size(next->kind) : 0;
}

// A field that no row sets would leave a hole between two that have one.
static void test_every_field_has_a_row(void **state) {
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const igvk_option_list *list = tables[t].list();
        size_t end = 0;
        for (size_t i = 0; i < list->count; i++) {
            end = next_end(list, end);
            if (end == 0)
                fail_msg("%s: a field of the struct has no row", tables[t].command);
        }
        assert_true(list->struct_size - end < sizeof(double));
    }
}

static void test_defaults(void **state) {
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const igvk_option_list *list = tables[t].list();
        void *options = new_options(list);
        for (size_t i = 0; i < list->count; i++)
            if (igvk_option_set(list, options, list->options[i].name, list->options[i].standard) != IGVK_OK)
                fail_msg("default: %s", igvk_error_text());
        assert_int_equal(options_check(list, options), IGVK_OK);
        char *line = options_command_line(tables[t].command, list, options);
        char expected[64];
        snprintf(expected, sizeof expected, "igvk %s", tables[t].command);
        assert_string_equal(line, expected); // nothing is off its default
        free(line);
        free(options);
    }
}

static void test_round_trips(void **state) {
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const igvk_option_list *list = tables[t].list();
        void *options = new_options(list), *again = new_options(list);
        for (size_t i = 0; i < list->count; i++) {
            const igvk_option *o = &list->options[i];
            char value[64], text[IGVK_TEXT], same[IGVK_TEXT];
            if (igvk_option_set(list, options, o->name, other_value(o, value)) != IGVK_OK)
                fail_msg("%s", igvk_error_text());
            assert_true(igvk_option_get(o, options, text, sizeof text));
            assert_string_not_equal(text, o->standard);
            assert_int_equal(igvk_option_set(list, again, o->name, text), IGVK_OK);
            assert_true(igvk_option_get(o, again, same, sizeof same));
            assert_string_equal(text, same);
            assert_memory_equal((char *)options + o->offset, (char *)again + o->offset,
                                o->kind == IGVK_OPTION_TEXT || o->kind == IGVK_OPTION_PATH ? strlen(text) + 1
                                                                                           : field_size(o->kind));
            assert_false(igvk_option_get(o, options, text, strlen(text))); // no room for the zero
        }
        assert_int_equal(options_check(list, options), IGVK_OK);
        free(options);
        free(again);
    }
}

static void test_wrong_values(void **state) {
    (void)state;
    static const char *const never_numbers[] = {"", "x", " 1", "1 ", "nan", "inf", "0x10", "1,5", "--", "1\n"};
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const igvk_option_list *list = tables[t].list();
        void *options = new_options(list);
        for (size_t i = 0; i < list->count; i++) {
            const igvk_option *o = &list->options[i];
            bool text = o->kind == IGVK_OPTION_TEXT || o->kind == IGVK_OPTION_PATH;
            char beyond[64], longest[IGVK_TEXT + 1] = "";
            for (size_t k = 0; !text && k < sizeof never_numbers / sizeof *never_numbers; k++)
                refuse(list, options, o, never_numbers[k]);
            snprintf(beyond, sizeof beyond, o->kind == IGVK_OPTION_INTEGER ? "%.0f" : "%.17g", 2 * o->high + 1);
            if (!text)
                refuse(list, options, o, o->kind == IGVK_OPTION_DURATION ? "367d" : beyond);
            if (!text)
                refuse(list, options, o, "-1");
            memset(longest, 'a', IGVK_TEXT);
            refuse(list, options, o, longest);
            longest[IGVK_TEXT - 1] = 0;
            if (text)
                assert_int_equal(igvk_option_set(list, options, o->name, longest), IGVK_OK);
        }
        free(options);
    }
}

static void test_unknown_names(void **state) {
    (void)state;
    const igvk_option_list *list = igvk_sample_option_list();
    assert_int_equal(igvk_option_set(list, NULL, "cfg-scal", "1"), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--cfg-scal: no such option; did you mean --cfg-scale?");
    assert_int_equal(igvk_option_set(list, NULL, "qqqqqqqq", "1"), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--qqqqqqqq: no such option; the help lists those there are");
}

static void test_texts_of_values(void **state) {
    (void)state;
    static const struct {
        const char *name, *set, *get;
    } rows[] = {
        {"learning-rate", "1e-4", "0.0001"},
        {"learning-rate", "0.1", "0.1"},
        {"learning-rate", "2.5e-05", "2.5e-05"},
        {"learning-rate", "0.30000000000000004", "0.30000000000000004"},
        {"time", "8h", "8h"},
        {"time", "90", "90s"},
        {"time", "120s", "2m"},
        {"time", "48h", "2d"},
        {"time", "0", "0"},
        {"time", "1.5h", "90m"},
        {"time", "1.25s", "1.25s"},
        {"seed", "9007199254740991", "9007199254740991"},
        {"qk-norm", "true", "true"},
        {"times", "lognormal", "lognormal"},
        {"out", "", ""},
    };
    const igvk_option_list *list = igvk_train_option_list();
    igvk_train_options o;
    igvk_train_options_default(&o);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t i = 0; i < list->count; i++)
            if (strcmp(list->options[i].name, rows[r].name) == 0) {
                char text[IGVK_TEXT];
                assert_int_equal(igvk_option_set(list, &o, rows[r].name, rows[r].set), IGVK_OK);
                assert_true(igvk_option_get(&list->options[i], &o, text, sizeof text));
                assert_string_equal(text, rows[r].get);
            }
}

// What a caller of the library may have filled in by hand.
static void test_check_of_structs(void **state) {
    (void)state;
    igvk_sample_options o;
    igvk_sample_options_default(&o);
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_OK);
    o.mode = 7;
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_ERROR_INVALID);
    assert_string_equal(igvk_error_text(), "--mode \"7\": must be auto, sde or ode");
    o.mode = 1;
    o.cfg_scale = NAN;
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_ERROR_INVALID);
    o.cfg_scale = -INFINITY;
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_ERROR_INVALID);
    o.cfg_scale = 1;
    o.steps = UINT64_MAX;
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_ERROR_INVALID);
    o.steps = 1;
    memset(o.out, 'x', sizeof o.out); // without end
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_ERROR_INVALID);
    o.out[0] = 0;
    assert_int_equal(options_check(igvk_sample_option_list(), &o), IGVK_OK);
}

static void test_command_lines(void **state) {
    (void)state;
    igvk_glyph_options o;
    igvk_glyph_options_default(&o);
    strcpy(o.out, "it's here");
    o.variants = 4;
    o.held_out = 0.1;
    char *line = options_command_line("data glyphs", igvk_glyph_option_list(), &o);
    assert_string_equal(line, "igvk data glyphs --out 'it'\\''s here' --held-out 0.1 --variants 4");
    free(line);
}

// Every recipe is of a preset that exists, all its settings fit, and it says where it is from.
static void test_recipes(void **state) {
    (void)state;
    const igvk_option_list *const lists[] = {igvk_sample_option_list(), igvk_train_option_list()};
    for (size_t k = 0; k < 2; k++) {
        size_t count = 0;
        const igvk_recipe *all = igvk_recipes(lists[k], &count);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            void *o = new_options(lists[k]);
            assert_int_equal(igvk_recipe_apply(lists[k], o, all[i].name), IGVK_OK);
            assert_int_equal(options_check(lists[k], o), IGVK_OK);
            model_config c = {0};
            assert_int_equal(model_config_preset(all[i].model, &c), IGVK_OK);
            assert_true(all[i].figure[0] && all[i].source[0]);
            free(o);
        }
    }
    igvk_sample_options o;
    igvk_sample_options_default(&o);
    assert_int_equal(igvk_recipe_apply(lists[0], &o, "sit-xl2-ig-cfg"), IGVK_OK);
    assert_string_equal(o.recipe, "sit-xl2-ig-cfg");
    assert_true(o.mode == 1 && o.steps == 250 && o.ig_scale == 1.4 && o.cfg_scale == 1.35 && o.cfg_high == 0.7);
    assert_int_equal(igvk_recipe_apply(lists[0], &o, "sit"), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "lightningdit-xl1-ig-cfg"));
    igvk_train_options t;
    igvk_train_options_default(&t);
    assert_int_equal(igvk_recipe_apply(lists[1], &t, "sit-b2"), IGVK_OK);
    assert_true(strcmp(t.model, "SiT-B/2") == 0 && t.head_after == 4 && t.batch == 256);
    assert_int_equal(igvk_recipe_apply(lists[1], &t, "lightningdit-xl1"), IGVK_OK);
    assert_true(t.optimizer == 2 && t.muon_rounding && t.learning_rate == 2e-4 && t.ema == 0.9995);
    size_t none = 1;
    assert_null(igvk_recipes(igvk_bench_option_list(), &none));
    assert_int_equal(none, 0);
}

// A host program may have set a locale that writes 0.5 as "0,5".
static void test_other_locale(void **state) {
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE"))
        print_message("no German locale here: only the C locale was seen\n");
    test_texts_of_values(state);
    test_round_trips(state);
    setlocale(LC_ALL, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_field_has_a_row),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_texts_of_values),
        cmocka_unit_test(test_check_of_structs),
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_other_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
