// SPDX-License-Identifier: MIT
// Python's pickle as torch.save writes it (protocols 2 to 5), read as data. The stream is a program for a small
// stack machine; this one knows the instructions that build values, and of the names that a stream may ask for
// exactly those of official checkpoints (formats/pickle_global.c). Nothing is ever called, imported or executed:
// any other name or instruction is refused.
//
// The file is hostile until checked. Bounds: 64 MiB of stream, 128 MiB of values, texts of 1 MiB, keys of 256
// bytes, 32 levels, 65536 leaves once shared values are counted wherever they stand; no value holds itself, no
// key comes twice. So whoever walks the tree may recurse and needs no bounds of its own.
#ifndef IGVK_FORMATS_PICKLE_H
#define IGVK_FORMATS_PICKLE_H

#include "core/input_file.h"
#include "formats/safetensors.h"

#define PICKLE_MAX_DEPTH 32
#define PICKLE_MAX_LEAVES 65536
#define PICKLE_MAX_KEY 256

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_BIG_INTEGER, // beyond 64 bits: `text` holds its little-endian bytes
    PICKLE_NUMBER,
    PICKLE_TEXT,  // UTF-8
    PICKLE_BYTES, // `text` too
    PICKLE_LIST,
    PICKLE_TUPLE,
    PICKLE_DICT,      // keys: text, integer, bool, number, none
    PICKLE_NAMESPACE, // argparse.Namespace: keys are text
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_GLOBAL, // an allowed name, not yet called
} pickle_kind;

typedef struct pickle_storage {
    element_type type;
    const char *key;   // letters, digits and '_'
    uint64_t elements; // as the stream claims; who knows the file checks it
    uint64_t place;    // of its bytes in the file; left to who knows the file
} pickle_storage;

// A view of a storage, in its elements; proven to lie inside `storage->elements`.
typedef struct pickle_tensor {
    pickle_storage *storage;
    uint32_t rank;
    uint64_t shape[SAFETENSORS_MAX_RANK], stride[SAFETENSORS_MAX_RANK];
    uint64_t offset, elements; // elements: product of the shape
} pickle_tensor;

typedef struct pickle_value {
    pickle_kind kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        struct {
            const char *bytes; // zero-terminated after `length`
            size_t length;
        } text;
        struct {
            struct pickle_value **items; // of a dict or namespace: key, value, key, value, ...
            size_t count, capacity;      // items
        } list;
        pickle_storage *storage;
        pickle_tensor *tensor;
        int global;
    };
    uint8_t visit;           // of the check, as is
    uint32_t height, leaves; // below this value
} pickle_value;

typedef struct pickle pickle;
// The pickle that begins at byte `begin` and ends before `end`. All values belong to it.
igvk_status pickle_read(const input_file *f, uint64_t begin, uint64_t end, pickle **out);
void pickle_destroy(pickle **p); // takes null
const pickle_value *pickle_root(const pickle *p);
uint64_t pickle_end(const pickle *p);         // the file's offset behind it
size_t pickle_storage_count(const pickle *p); // every one the stream names, used or not
pickle_storage *pickle_storage_at(const pickle *p, size_t i);

// The value of a text key in a dict or namespace; null where absent, or where `v` is null or another kind.
const pickle_value *pickle_get(const pickle_value *v, const char *key);
bool pickle_is_text(const pickle_value *v, const char *text); // takes null

#endif
