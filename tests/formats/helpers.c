// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "formats/helpers.h"
#include "core/file.h"
#include "core/philox.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];

int scratch_create(void **state) {
    (void)state;
    strcpy(folder, "/tmp/igvk_test_formats_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

const char *scratch(const char *name) {
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static char **list(size_t *count) {
    char **names = NULL;
    assert_ok(folder_list(folder, &names, count));
    return names;
}

int scratch_remove(void **state) {
    (void)state;
    size_t count;
    char **names = list(&count);
    for (size_t i = 0; i < count; i++)
        unlink(scratch(names[i]));
    folder_list_free(&names, count);
    return rmdir(folder);
}

size_t scratch_count(void) {
    size_t count;
    char **names = list(&count);
    folder_list_free(&names, count);
    return count;
}

void write_bytes(const char *path, const void *bytes, size_t size) {
    unlink(path); // ext4 waits for the disk where a file is cut to nothing and written again
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

char *read_bytes(const char *path, size_t *size) {
    char *bytes = NULL;
    assert_ok(file_read(path, 1 << 24, &bytes, size));
    return bytes;
}

void mutate(const void *bytes, size_t size, uint32_t flips, void (*attempt)(const char *path)) {
    const char *path = scratch("mutated");
    for (size_t i = 0, cuts = size < 1000 ? size : 1000; i < cuts; i++) {
        write_bytes(path, bytes, i * size / cuts);
        attempt(path);
    }
    unsigned char *copy = malloc(size);
    assert_non_null(copy);
    for (uint32_t i = 0; i < flips; i++) {
        memcpy(copy, bytes, size);
        for (uint32_t k = 0; k <= i % 4; k++) {
            uint32_t word = random_word(17, 1, i, k, 0);
            // Most of the damage goes to the beginning, where the structure is.
            size_t reach = i % 3 && size > 400 ? 400 : size;
            copy[word / 8 % reach] ^= (unsigned char)(1u << word % 8);
        }
        write_bytes(path, copy, size);
        attempt(path);
    }
    free(copy);
    unlink(path);
    struct rusage used;
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    assert_in_range(used.ru_maxrss, 0, 400 * 1024); // KiB; small files must not ask for large memory
}

void assert_failed(igvk_status status, igvk_status code, const char *part, const char *file, int line) {
    if (status == code && strstr(igvk_error_text(), part) && !strchr(igvk_error_text(), '\n'))
        return;
    print_error("status %s, text: %s\n  wanted %s with \"%s\"\n", igvk_status_name(status), igvk_error_text(),
                igvk_status_name(code), part);
    _fail(file, line);
}

void assert_succeeded(igvk_status status, const char *file, int line) {
    if (status == IGVK_OK)
        return;
    print_error("status %s, text: %s\n", igvk_status_name(status), igvk_error_text());
    _fail(file, line);
}
