// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "core/digest.h"

#include "core/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WHOLE (64u << 20) // bytes
#define BEGINNING (1u << 20)
#define PIECE (64u << 10)
#define PIECES 1024u

static uint64_t fold(uint64_t h, const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        h = (h ^ bytes[i]) * 1099511628211u;
    return h;
}

// Folds [offset, offset + count) of the file in.
static igvk_status fold_range(FILE *f, const char *path, uint64_t offset, uint64_t count, unsigned char *piece,
                              uint64_t *h) {
    if (fseeko(f, (off_t)offset, SEEK_SET) != 0)
        return fail_file("read", path, errno);
    while (count) {
        size_t n = fread(piece, 1, count < PIECE ? (size_t)count : PIECE, f);
        if (n == 0)
            return ferror(f) ? fail_file("read", path, errno)
                             : fail(IGVK_ERROR_IO, "%s: became shorter while it was read", path);
        *h = fold(*h, piece, n);
        count -= n;
    }
    return IGVK_OK;
}

igvk_status file_digest(const char *path, uint64_t *out) {
    igvk_status status = IGVK_OK;
    uint64_t h = 14695981039346656037u, size = 0;
    unsigned char *piece = malloc(PIECE);
    FILE *f = fopen(path, "rbe");
    if (!piece) {
        status = fail_memory(path, PIECE);
        goto done;
    }
    if (!f || fseeko(f, 0, SEEK_END) != 0) {
        status = fail_file("read", path, errno);
        goto done;
    }
    size = (uint64_t)ftello(f);
    h = fold(h, (const unsigned char *)&size, sizeof size);
    TRY(fold_range(f, path, 0, size <= WHOLE ? size : BEGINNING, piece, &h));
    for (uint64_t i = 1; size > WHOLE && i <= PIECES; i++)
        TRY(fold_range(f, path, (size - PIECE) / PIECES * i + (i == PIECES ? (size - PIECE) % PIECES : 0), PIECE, piece,
                       &h));
    *out = h;
done:
    if (f)
        fclose(f);
    free(piece);
    return status;
}
