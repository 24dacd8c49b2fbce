// SPDX-License-Identifier: MIT
// Glyphs: pictures of the fonts that can be used, each font left out with its reason, font files damaged in
// many ways. Skipped where no font of the default set is installed.
#include "data/glyphs.h"

#include "core/file.h"
#include "core/memory.h"
#include "core/philox.h"
#include "data/character_list.h"
#include "data/dataset.h"
#include "data/font_list.h"
#include "data/glyph_font.h"
#include "data/helpers.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char told[8192]; // "name: reason\n" or "name: used\n" of every font
static uint64_t last_done, stop_at;
static font_list fonts; // of the default set, as installed

static void tell(void *user, const char *path, const char *reason) {
    (void)user;
    const char *slash = strrchr(path, '/');
    size_t length = strlen(told);
    snprintf(told + length, sizeof told - length, "%s: %s\n", slash ? slash + 1 : path, reason ? reason : "used");
}

static bool count(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)total;
    last_done = done;
    return done == stop_at;
}

static glyph_options options(const char *name) {
    told[0] = 0;
    last_done = stop_at = 0;
    return (glyph_options){.folder = scratch("%s", name),
                           .variants = 2,
                           .fonts = (const char *const *)fonts.paths,
                           .font_count = 1,
                           .callbacks = {.progress = count, .source = tell}};
}

// ---- pictures ---------------------------------------------------------------------------------------------

typedef struct picture {
    uint32_t label;
    uint8_t pixels[16 * 16];
} picture;

static picture *read_all(const char *folder, uint64_t expected, uint64_t held_out) {
    dataset *d = NULL;
    assert_ok(dataset_open(folder, &d));
    assert_int_equal(dataset_describe(d)->count, expected);
    assert_int_equal(dataset_describe(d)->held_out, held_out);
    assert_int_equal(dataset_describe(d)->channels, 1);
    picture *all = calloc(expected, sizeof *all);
    assert_non_null(all);
    for (uint64_t k = 0; k < expected; k++)
        assert_ok(dataset_read_bytes(d, k, all[k].pixels, &all[k].label));
    dataset_close(&d);
    return all;
}

static void test_default_set(void **state) {
    (void)state;
    glyph_result result;
    glyph_options o = options("set");
    o.font_count = 0;
    o.variants = 0;
    o.held_out = 0.05;
    assert_ok(glyphs_make(&o, &result));
    assert_int_equal(result.fonts_used, fonts.count);
    assert_int_equal(result.fonts_skipped, 0);
    assert_int_equal(result.classes, 26);
    assert_int_equal(result.images, fonts.count * 26 * 8);
    assert_int_equal(last_done, result.images);
    picture *all = read_all(o.folder, result.images, hold_out_count(result.images, 0.05));
    for (uint64_t k = 0; k < result.images; k++) {
        uint32_t light = 0, border = 0;
        for (uint32_t i = 0; i < 256; i++) {
            light += all[k].pixels[i] > 127;
            bool edge = i < 16 || i >= 240 || i % 16 == 0 || i % 16 == 15;
            if (edge && border < all[k].pixels[i])
                border = all[k].pixels[i];
        }
        assert_in_range(light, 6, 130);  // of 256: a thin I to a bold W
        assert_in_range(border, 0, 140); // half a pixel of margin: nothing is cut off
    }
    free(all);
}

static uint64_t difference(const picture *a, const picture *b) {
    uint64_t sum = 0;
    for (int i = 0; i < 256; i++)
        sum += (uint64_t)abs(a->pixels[i] - b->pixels[i]);
    return sum;
}

static void test_variants_differ_and_repeat(void **state) {
    (void)state;
    glyph_result result;
    picture *sets[3];
    for (int run = 0; run < 3; run++) {
        glyph_options o = options(run == 0 ? "first" : run == 1 ? "again" : "seed");
        o.seed = run == 2;
        o.characters = "ABC";
        assert_ok(glyphs_make(&o, &result));
        assert_int_equal(result.images, 6);
        sets[run] = read_all(o.folder, 6, 0);
    }
    assert_memory_equal(sets[0], sets[1], 6 * sizeof(picture));
    for (int k = 0; k < 6; k++) {
        assert_int_equal(sets[0][k].label, k / 2);
        assert_true(difference(&sets[0][k], &sets[2][k]) > 500);
        for (int other = 0; other < k; other++)
            assert_true(difference(&sets[0][k], &sets[0][other]) > 500);
    }
    for (int run = 0; run < 3; run++)
        free(sets[run]);
}

// A picture does not depend on which other fonts and characters there are.
static void test_pictures_are_independent(void **state) {
    (void)state;
    if (fonts.count < 2)
        skip();
    glyph_result result;
    glyph_options few = options("few");
    few.fonts = (const char *const *)fonts.paths + 1;
    few.characters = "B";
    assert_ok(glyphs_make(&few, &result));
    glyph_options many = options("many");
    many.font_count = 2;
    many.characters = "BHI"; // no higher or lower than B
    assert_ok(glyphs_make(&many, &result));
    picture *one = read_all(few.folder, 2, 0), *all = read_all(many.folder, 12, 0);
    assert_true(difference(&one[0], &all[6]) < 300); // up to the height of the set's tallest
    free(one);
    free(all);
}

static void test_sizes(void **state) {
    (void)state;
    const uint32_t sizes[] = {8, 13, 64, 256};
    for (size_t i = 0; i < 4; i++) {
        glyph_result result;
        dataset *d = NULL;
        glyph_options o = options("size");
        o.folder = scratch("size%zu", i);
        o.size = sizes[i];
        o.characters = "WiQ@-";
        assert_ok(glyphs_make(&o, &result));
        assert_ok(dataset_open(o.folder, &d));
        assert_int_equal(dataset_describe(d)->width, sizes[i]);
        dataset_close(&d);
    }
}

// ---- what is refused --------------------------------------------------------------------------------------

static void refuse(glyph_options o, igvk_status code, const char *part) {
    glyph_result result;
    assert_fails(glyphs_make(&o, &result), code, part);
    assert_false(path_exists(o.folder));
}

static void test_refuses(void **state) {
    (void)state;
    glyph_options o = options("set");
    o.size = 7;
    refuse(o, IGVK_ERROR_INVALID, "glyph size 7");
    o = options("set");
    o.variants = 10001;
    refuse(o, IGVK_ERROR_INVALID, "10001 variants");
    o = options("set");
    o.held_out = -0.1;
    refuse(o, IGVK_ERROR_INVALID, "held-out share");
    o = options("set");
    o.characters = "";
    refuse(o, IGVK_ERROR_INVALID, "none given");
    o = options("set");
    const char *none = scratch("none.ttf");
    o.fonts = &none;
    refuse(o, IGVK_ERROR_INVALID, "no such font file");
    assert_ok(folder_create(scratch("empty")));
    none = scratch("empty");
    refuse(o, IGVK_ERROR_INVALID, "no font file");
    o = options("set");
    o.characters = "A\xf0\x92\x80\x80"; // a cuneiform sign
    refuse(o, IGVK_ERROR_INVALID, "has no character U+12000");
    o = options("set");
    stop_at = 5;
    refuse(o, IGVK_INTERRUPTED, "stopped after 5");
}

static void test_characters(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"A-Z0-9A", "\"A\" is given twice"},
        {"-A-C-", "\"-\" is given twice"},
        {"Z-A", "down to"},
        {"A B", "cannot be seen"},
        {"\xff", "not UTF-8"},
        {"A\xc3", "not UTF-8"},
        {"\xc0\x80", "not UTF-8"},
        {"\xed\xa0\x80", "not UTF-8"},
        {"\xf4\x90\x80\x80", "not UTF-8"},
        {"A-\xff", "not UTF-8"},
        {"!-\xf4\x8f\xbf\xbf", "cannot be seen"},
        {"\xe4\xb8\x80-\xe9\xbf\xbf", "more than 4096"},
    };
    arena *a = arena_create();
    character_list list;
    assert_ok(character_list_parse("A-Cz\303\244\xe2\x82\xac\xf0\x9f\x98\x80-", a, &list));
    const uint32_t codes[] = {'A', 'B', 'C', 'z', 0xe4, 0x20ac, 0x1f600, '-'};
    assert_int_equal(list.count, 8);
    assert_memory_equal(list.codes, codes, sizeof codes);
    assert_string_equal(list.names[6], "\xf0\x9f\x98\x80");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(character_list_parse(bad[i][0], a, &list), IGVK_ERROR_INVALID, bad[i][1]);
    arena_destroy(&a);
}

// ---- fonts ------------------------------------------------------------------------------------------------

static void copy_font(const char *from, const char *to, size_t keep, uint32_t damage) {
    char *bytes = NULL;
    size_t size = 0;
    assert_ok(file_read(from, 1 << 26, &bytes, &size));
    size = keep && keep < size ? keep : size;
    for (uint32_t i = 0; i < damage; i++) {
        uint32_t place = random_word(damage, STREAM_NOISE, 0, 0, 2 * i);
        bytes[place % size] = (char)random_word(damage, STREAM_NOISE, 0, 0, 2 * i + 1);
    }
    assert_ok(file_write_atomic(to, bytes, size));
    free(bytes);
}

// A folder of a good font and bad ones: the good one is used, each other is told with its reason.
static void test_bad_fonts_are_told(void **state) {
    (void)state;
    glyph_result result;
    glyph_options o = options("set");
    assert_ok(folder_create(scratch("fonts/below")));
    copy_font(fonts.paths[0], scratch("fonts/below/good.ttf"), 0, 0);
    copy_font(fonts.paths[0], scratch("fonts/cut.ttf"), 4000, 0);
    write_text(scratch("fonts/empty.otf"), "");
    write_text(scratch("fonts/text.TTF"), "no font");
    write_text(scratch("fonts/readme.txt"), "not looked at");
    const char *const sources[] = {scratch("fonts"), scratch("fonts/cut.ttf")};
    o.fonts = sources;
    o.font_count = 2;
    assert_ok(glyphs_make(&o, &result));
    assert_int_equal(result.fonts_used, 1);
    assert_int_equal(result.fonts_skipped, 3);
    assert_non_null(strstr(told, "good.ttf: used\n"));
    assert_non_null(strstr(told, "cut.ttf: "));
    assert_non_null(strstr(told, "empty.otf: no font that FreeType can read"));
    assert_non_null(strstr(told, "text.TTF: no font that FreeType can read"));
    assert_null(strstr(told, "readme"));
}

static void test_slanted_fonts(void **state) {
    (void)state;
    static const char *const slanted[] = {"/usr/share/fonts/truetype/freefont/FreeSansOblique.ttf",
                                          "/usr/share/fonts/truetype/liberation/LiberationSerif-Italic.ttf"};
    for (size_t i = 0; i < 2; i++) {
        if (!path_exists(slanted[i]))
            continue;
        glyph_result result;
        glyph_options o = options("set");
        o.folder = scratch("set%zu", i);
        o.fonts = &slanted[i];
        refuse(o, IGVK_ERROR_INVALID, "slanted");
        o.slanted = true;
        assert_ok(glyphs_make(&o, &result));
        assert_int_equal(result.fonts_used, 1);
    }
}

// Damaged at random: any outcome but a crash, a hang or a write outside the picture (sanitizers see those).
static void test_damaged_fonts(void **state) {
    (void)state;
    const uint32_t characters[] = {'A', 'Q', 'W', 'g'};
    const glyph_font_options o = {.characters = characters, .character_count = 4, .slanted = true};
    uint8_t pixels[16 * 16];
    int drawn = 0;
    for (uint32_t i = 0; i < 120; i++) {
        glyph_font *f = NULL;
        const char *path = scratch("damaged.ttf");
        copy_font(fonts.paths[i % fonts.count], path, i % 5 == 4 ? 1000 * i : 0, 1 + i * i);
        if (glyph_font_open(path, &o, &f) != IGVK_OK) {
            assert_null(f);
            assert_non_null(strstr(igvk_error_text(), "damaged.ttf"));
            continue;
        }
        glyph_style style = {.height = 12, .x = 1, .y = -1, .weight = 0.5};
        for (size_t c = 0; c < 4; c++)
            drawn += glyph_font_draw(f, c, &style, 16, pixels) == IGVK_OK;
        glyph_font_close(&f);
    }
    assert_true(drawn > 0); // the damage was not always fatal: outlines were reached
}

// No style, however far out, cuts a glyph off or leaves the picture.
static void test_styles_stay_inside(void **state) {
    (void)state;
    const uint32_t characters[] = {'I', 'W', 'Q', '-', '@'};
    const glyph_font_options o = {.characters = characters, .character_count = 5};
    glyph_font *f = NULL;
    assert_ok(glyph_font_open(fonts.paths[0], &o, &f));
    for (size_t c = 0; c < 5; c++) {
        for (int i = 0; i < 16; i++) {
            uint8_t pixels[32 * 32];
            glyph_style style = {.height = i & 1 ? 300 : 20,
                                 .x = i & 2 ? 1000 : -1000,
                                 .y = i & 4 ? 1000 : -1000,
                                 .weight = i & 8 ? 3 : -0.5};
            assert_ok(glyph_font_draw(f, c, &style, 32, pixels));
            uint32_t light = 0;
            for (uint32_t p = 0; p < 32 * 32; p++) {
                bool edge = p < 32 || p >= 31 * 32 || p % 32 == 0 || p % 32 == 31;
                assert_true(!edge || pixels[p] == 0); // a margin of a whole pixel at this size
                light += pixels[p] > 127;
            }
            assert_true(light > 3);
        }
    }
    glyph_font_close(&f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_create, scratch_remove)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_default_set),
        TEST(test_variants_differ_and_repeat),
        TEST(test_pictures_are_independent),
        TEST(test_sizes),
        TEST(test_refuses),
        TEST(test_characters),
        TEST(test_bad_fonts_are_told),
        TEST(test_slanted_fonts),
        TEST(test_damaged_fonts),
        TEST(test_styles_stay_inside),
    };
    if (font_list_find(NULL, 0, NULL, &fonts) != IGVK_OK) {
        print_message("skipped: %s\n", igvk_error_text());
        return 77;
    }
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    font_list_free(&fonts);
    return failures;
}
