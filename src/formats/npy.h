// SPDX-License-Identifier: MIT
// Single arrays in numpy's .npy files: little-endian f2, f4 or f8 in C order, versions 1 to 3.
#ifndef IGVK_FORMATS_NPY_H
#define IGVK_FORMATS_NPY_H

#include "core/text.h"
#include "formats/safetensors.h"

#define NPY_READ_RANK 4
typedef struct npy_array {
    element_type type;
    uint32_t rank;
    uint64_t shape[NPY_READ_RANK];
} npy_array;

// What the header says. A file whose size is not that of its array is refused.
igvk_status npy_describe(const char *path, npy_array *out);
// All elements as f32; refuses an array that is not `wanted` (its type may be another).
igvk_status npy_read_f32(const char *path, const npy_array *wanted, float *out);
// Whole or not at all.
igvk_status npy_write_f32(const char *path, uint32_t rank, const uint64_t *shape, const float *values);

// Magic, version 1.0, length, then a Python dictionary padded so that the data begins at a multiple of 64 (NEP 1).
// `type` is numpy's word, "<f4".
void npy_put_header(text_buffer *b, const char *type, uint32_t rank, const uint64_t *shape);

#endif
