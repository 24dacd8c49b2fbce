// SPDX-License-Identifier: MIT
// The stack machine's state, shared by its instructions (pickle.c) and the names it knows (pickle_global.c).
#ifndef IGVK_FORMATS_PICKLE_INTERNAL_H
#define IGVK_FORMATS_PICKLE_INTERNAL_H

#include "core/memory.h"
#include "formats/pickle.h"

#define READ_AHEAD 16384

typedef struct pickle_machine {
    const input_file *file;
    uint64_t begin, next, end;       // of the stream in the file; next: the byte to read
    unsigned char ahead[READ_AHEAD]; // bytes of the file from ahead_at
    uint64_t ahead_at, ahead_count;
    arena *values;
    uint64_t used; // bytes of `values`
    pickle_value **stack;
    size_t height, stack_capacity;
    size_t *marks; // heights
    size_t mark_count, mark_capacity;
    pickle_value **memo; // null where undefined
    size_t memo_capacity, memo_count;
    pickle_storage **storages;
    size_t storage_count, storage_capacity;
    bool stopped;
} pickle_machine;

// Names the file, the place in the stream and `what`.
igvk_status pickle_fail(const pickle_machine *m, const char *format, ...) PRINTF_LIKE(2, 3);
// Zeroed memory of the pickle's lifetime within its budget.
igvk_status pickle_alloc(pickle_machine *m, size_t bytes, void **out);
igvk_status pickle_new(pickle_machine *m, pickle_kind kind, pickle_value **out);
igvk_status pickle_append(pickle_machine *m, pickle_value *list, pickle_value *item);

// The value for MODULE NAME, refused where it is not on the list.
igvk_status pickle_find_global(pickle_machine *m, const char *module, const char *name, pickle_value **out);
// What `callable` (of REDUCE and NEWOBJ) gives for a tuple of arguments.
igvk_status pickle_call(pickle_machine *m, const pickle_value *callable, const pickle_value *arguments,
                        pickle_value **out);
// BUILD: a namespace takes its fields, an OrderedDict's attributes are dropped.
igvk_status pickle_build(pickle_machine *m, pickle_value *object, const pickle_value *state);
// ('storage', type, key, location, elements[, None])
igvk_status pickle_persistent(pickle_machine *m, const pickle_value *id, pickle_value **out);

// Cycles, depth, leaves and doubled keys, over all that can be reached from `root`.
igvk_status pickle_check(const pickle_machine *m, pickle_value *root);

#endif
