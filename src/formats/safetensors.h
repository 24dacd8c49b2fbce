// SPDX-License-Identifier: MIT
// safetensors, read and written: u64 little-endian header size, JSON header, tensor bytes. The file is
// hostile until checked: header at most 32 MiB, at most 65536 tensors, must begin with '{', strict JSON, no
// duplicate names, known dtypes, offsets without gap or overlap and equal to the shape's size, no byte left
// over. What is opened needs memory for its header alone, never more than some 200 MiB.
#ifndef IGVK_FORMATS_SAFETENSORS_H
#define IGVK_FORMATS_SAFETENSORS_H

#include "core/status.h"

#define SAFETENSORS_MAX_RANK 8
#define SAFETENSORS_MAX_TENSORS 65536
#define SAFETENSORS_MAX_HEADER (32u << 20)

typedef enum element_type {
    ELEMENT_F64,
    ELEMENT_F32,
    ELEMENT_F16,
    ELEMENT_BF16,
    ELEMENT_I64,
    ELEMENT_I32,
    ELEMENT_I16,
    ELEMENT_I8,
    ELEMENT_U64,
    ELEMENT_U32,
    ELEMENT_U16,
    ELEMENT_U8,
    ELEMENT_BOOL,
} element_type;
size_t element_size(element_type type);
const char *element_name(element_type type); // "F32"

typedef struct safetensors_entry {
    const char *name;
    element_type type;
    uint32_t rank;
    uint64_t shape[SAFETENSORS_MAX_RANK];
    uint64_t elements; // product of the shape (1 for rank 0)
    uint64_t offset;   // from the file's start
    uint64_t bytes;
} safetensors_entry;

// The open file; entries stay valid until it is closed. Bytes are read when asked for, so a file that shrinks
// meanwhile is an error by value. Reads of one open file are not for two threads at once.
typedef struct safetensors_file safetensors_file;
igvk_status safetensors_open(const char *path, safetensors_file **out);
void safetensors_close(safetensors_file **f);
const char *safetensors_path(const safetensors_file *f);
size_t safetensors_count(const safetensors_file *f);
const safetensors_entry *safetensors_at(const safetensors_file *f, size_t i);           // in the order of the data
const safetensors_entry *safetensors_find(const safetensors_file *f, const char *name); // null where absent
// A string of "__metadata__", null where absent. Owned by the file.
const char *safetensors_metadata(const safetensors_file *f, const char *key);
void safetensors_each_metadata(const safetensors_file *f, void (*each)(void *user, const char *key, const char *value),
                               void *user);
// Raw bytes [begin, begin + size) of an entry.
igvk_status safetensors_read(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t size, void *out);
// Elements [begin, begin + count) converted to f32 (from F64, F32, F16, BF16) or i64 (from integers, bool);
// another type is refused by name, and so is a U64 that i64 cannot hold.
igvk_status safetensors_read_f32(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t count,
                                 float *out);
igvk_status safetensors_read_i64(safetensors_file *f, const safetensors_entry *e, uint64_t begin, uint64_t count,
                                 int64_t *out);
// `count` stored elements of F64, F16 or BF16 as f32.
void elements_to_f32(element_type type, const unsigned char *bytes, size_t count, float *values);

// Written in two phases, so that tensors can stream: declare all, then give the bytes in declared order.
// The file appears under its name at finish, whole (core/file.h); destroy without finish leaves nothing.
// Names and metadata are UTF-8; a name declared twice is refused, metadata set twice is replaced.
typedef struct safetensors_writer safetensors_writer;
igvk_status safetensors_writer_create(const char *path, safetensors_writer **out);
igvk_status safetensors_declare(safetensors_writer *w, const char *name, element_type type, uint32_t rank,
                                const uint64_t *shape);
igvk_status safetensors_set_metadata(safetensors_writer *w, const char *key, const char *value);
igvk_status safetensors_begin_data(safetensors_writer *w); // ends declarations, writes the header
igvk_status safetensors_write(safetensors_writer *w, const void *bytes, uint64_t size);
// The whole file's size, known once all is declared: for checks of free space.
uint64_t safetensors_file_size(const safetensors_writer *w);
igvk_status safetensors_finish(safetensors_writer *w);
void safetensors_writer_destroy(safetensors_writer **w);

uint16_t f16_from_f32(float value); // round to nearest even
float f32_from_f16(uint16_t bits);
float f32_from_bf16(uint16_t bits);
uint16_t bf16_from_f32(float value); // round to nearest even

#endif
