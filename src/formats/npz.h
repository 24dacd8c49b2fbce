// SPDX-License-Identifier: MIT
// numpy archives as the ADM evaluation reads them: a zip file of .npy arrays, stored uncompressed. Always with
// zip64 records, as numpy itself writes: 50000 images of 256 x 256 are beyond 4 GiB, and one layout is one path.
#ifndef IGVK_FORMATS_NPZ_H
#define IGVK_FORMATS_NPZ_H

#include "core/status.h"

typedef enum npy_type { NPY_U8, NPY_F32, NPY_I64 } npy_type;

// Arrays stream in C order, little-endian: begin one (its whole shape known), write its bytes, begin the next; finish
// makes the file appear under its name, destroy without finish leaves nothing.
typedef struct npz_writer npz_writer;
igvk_status npz_create(const char *path, npz_writer **out);
igvk_status npz_begin(npz_writer *w, const char *name, npy_type type, uint32_t rank, const uint64_t *shape);
igvk_status npz_write(npz_writer *w, const void *bytes, uint64_t size);
igvk_status npz_finish(npz_writer *w);
void npz_destroy(npz_writer **w);

#endif
