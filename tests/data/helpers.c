// SPDX-License-Identifier: MIT
#define _XOPEN_SOURCE 700
#include "data/helpers.h"

#include "core/file.h"
#include "core/memory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];
static arena *paths;

int scratch_create(void **state) {
    (void)state;
    strcpy(folder, "/tmp/igvk_test_data_XXXXXX");
    paths = arena_create();
    return paths && mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

int scratch_remove(void **state) {
    (void)state;
    arena_destroy(&paths);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch(const char *format, ...) {
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return arena_format(paths, "%s/%s", folder, name);
}

void write_text(const char *path, const char *text) {
    assert_ok(file_write_atomic(path, text, strlen(text)));
}

char *read_text(const char *path) {
    char *text = NULL;
    size_t size = 0;
    assert_ok(file_read(path, 1 << 26, &text, &size));
    return text;
}

void cut_file(const char *path, long bytes) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    fclose(file);
    assert_true(size > bytes);
    assert_int_equal(truncate(path, size - bytes), 0);
}

size_t count_entries(const char *path) {
    char **names = NULL;
    size_t count = 0;
    assert_ok(folder_list(path, &names, &count));
    folder_list_free(&names, count);
    return count;
}

void replace_in_file(const char *path, const char *from, const char *to) {
    char *text = read_text(path);
    size_t before = 0; // by hand: gcc 12 takes what strstr returns here for a dangling pointer
    while (text[before] && strncmp(text + before, from, strlen(from)) != 0)
        before++;
    assert_true(text[before]);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "%.*s%s%s", (int)before, text, to, text + before + strlen(from));
    fclose(file);
    free(text);
}

void make_dataset(const char *path, uint64_t count, uint64_t held_out, uint64_t shard_bytes) {
    static const char *const names[] = {"one", "two", "dr\303\274\303\237en"};
    dataset_writer_options o = {.folder = path,
                                .channels = 1,
                                .height = 4,
                                .width = 4,
                                .class_names = names,
                                .classes = 3,
                                .held_out = held_out,
                                .shard_bytes = shard_bytes,
                                .made_by = "a test",
                                .expected = count};
    dataset_writer *w = NULL;
    assert_ok(dataset_writer_create(&o, &w));
    for (uint64_t k = 0; k < count; k++) {
        uint8_t image[16];
        for (uint64_t i = 0; i < 16; i++)
            image[i] = (uint8_t)(k * 16 + i);
        assert_ok(dataset_append(w, image, (uint32_t)(k % 3)));
    }
    assert_ok(dataset_finish(w));
    dataset_writer_destroy(&w);
}

void make_png(const char *path, uint32_t width, uint32_t height, uint32_t channels, uint8_t shade) {
    image im = {0};
    assert_ok(image_create(width, height, channels, &im));
    for (size_t i = 0; i < (size_t)width * height * channels; i++)
        im.pixels[i] = (uint8_t)(i / channels % width < width / 2 ? shade + 40 : shade);
    assert_ok(image_write_png(path, &im, NULL, 0));
    image_free(&im);
}

void assert_failed(igvk_status status, igvk_status code, const char *part, const char *file, int line) {
    const char *text = igvk_error_text();
    if (status == code && strstr(text, part) && !strchr(text, '\n'))
        return;
    print_error("expected %s with \"%s\", got %s: %s\n", igvk_status_name(code), part, igvk_status_name(status),
                status == IGVK_OK ? "" : text);
    _fail(file, line);
}

void assert_succeeded(igvk_status status, const char *file, int line) {
    if (status == IGVK_OK)
        return;
    print_error("%s: %s\n", igvk_status_name(status), igvk_error_text());
    _fail(file, line);
}
