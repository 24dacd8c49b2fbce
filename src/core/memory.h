// SPDX-License-Identifier: MIT
// Host memory: an arena for what lives and dies together, and growing arrays.
#ifndef IGVK_CORE_MEMORY_H
#define IGVK_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bump allocator: everything is freed at once. Memory comes zeroed and aligned to 16 bytes.
typedef struct arena arena;

arena *arena_create(void);                         // null where memory is out
void arena_destroy(arena **a);                     // takes null
void *arena_alloc(arena *a, size_t bytes);         // null where memory is out; never shrinks or moves
char *arena_copy_text(arena *a, const char *text); // null where memory is out
char *arena_format(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Makes room for `need` items in a growing array of items of `size` bytes: doubles `*capacity`, new items
// zeroed. False where memory is out or the size overflows (the array stays as it was).
bool array_reserve(void **items, size_t *capacity, size_t need, size_t size);
#define ARRAY_RESERVE(items, capacity, need) array_reserve((void **)&(items), &(capacity), (need), sizeof *(items))

// Products and sums that tell of overflow: false, and *out untouched, where it does not fit 64 bits.
bool multiply_u64(uint64_t a, uint64_t b, uint64_t *out);
bool add_u64(uint64_t a, uint64_t b, uint64_t *out);

static inline uint64_t align_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}

// Gives what was freed back to the system, where the C library can: a driver's compiler leaves holes of gigabytes.
void memory_trim(void);

#endif
