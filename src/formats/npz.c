// SPDX-License-Identifier: MIT
// A zip container (formats/zip.h) of .npy members, whose header is by numpy's NEP 1, version 1.0.
#include "formats/npz.h"
#include "core/memory.h"
#include "core/text.h"
#include "formats/npy.h"
#include "formats/zip.h"

#include <stdlib.h>
#include <string.h>

#define NPY_MAX_RANK 32

struct npz_writer {
    zip_writer *zip;
};

igvk_status npz_create(const char *path, npz_writer **out) {
    igvk_status status = IGVK_OK;
    npz_writer *w = calloc(1, sizeof *w);
    if (!w)
        TRY(fail_memory(path, sizeof *w));
    TRY(zip_writer_create(path, &w->zip));
    *out = w;
    w = NULL;
done:
    npz_destroy(&w);
    return status;
}

void npz_destroy(npz_writer **w) {
    if (!w || !*w)
        return;
    zip_writer_destroy(&(*w)->zip);
    free(*w);
    *w = NULL;
}

static const struct {
    const char *name;
    size_t size;
} npy_types[] = {[NPY_U8] = {"|u1", 1}, [NPY_F32] = {"<f4", 4}, [NPY_I64] = {"<i8", 8}};

igvk_status npz_begin(npz_writer *w, const char *name, npy_type type, uint32_t rank, const uint64_t *shape) {
    igvk_status status = IGVK_OK;
    text_buffer npy = {0}, member = {0};
    uint64_t bytes = npy_types[type].size;
    if (rank > NPY_MAX_RANK)
        THROW(IGVK_ERROR_INTERNAL, "array \"%.200s\" has more than 32 dimensions", name);
    for (uint32_t i = 0; i < rank; i++)
        if (!multiply_u64(bytes, shape[i], &bytes) || bytes > INT64_MAX)
            THROW(IGVK_ERROR_INVALID, "array \"%.200s\" is too large", name);
    npy_put_header(&npy, npy_types[type].name, rank, shape);
    text_append(&member, "%s.npy", name);
    if (npy.failed || member.failed)
        TRY(fail_memory(name, 0));
    TRY(zip_begin(w->zip, member.text, npy.length + bytes));
    TRY(zip_write(w->zip, npy.text, npy.length));
done:
    text_free(&npy);
    text_free(&member);
    return status;
}

igvk_status npz_write(npz_writer *w, const void *bytes, uint64_t size) {
    return zip_write(w->zip, bytes, size);
}

igvk_status npz_finish(npz_writer *w) {
    return zip_finish(w->zip);
}
