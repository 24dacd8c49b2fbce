// SPDX-License-Identifier: MIT
// The arena (a list of zeroed blocks), growing arrays, and arithmetic that tells of overflow.
#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGNMENT 16
#define ARENA_BLOCK_BYTES (64 * 1024)

typedef struct arena_block {
    struct arena_block *next;
    size_t used, size; // of `bytes`
    _Alignas(ARENA_ALIGNMENT) unsigned char bytes[];
} arena_block;

struct arena {
    arena_block *blocks; // the newest first; only it is filled
};

arena *arena_create(void) {
    return calloc(1, sizeof(arena));
}

void arena_destroy(arena **a) {
    if (!a || !*a)
        return;
    for (arena_block *block = (*a)->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(*a);
    *a = NULL;
}

static arena_block *add_block(arena *a, size_t bytes) {
    size_t size = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
    arena_block *block = size <= SIZE_MAX - sizeof *block ? calloc(1, sizeof *block + size) : NULL;
    if (!block)
        return NULL;
    block->size = size;
    // A large item gets a block of its own behind the newest, whose rest stays in use.
    arena_block **place = bytes >= ARENA_BLOCK_BYTES && a->blocks ? &a->blocks->next : &a->blocks;
    block->next = *place;
    *place = block;
    return block;
}

void *arena_alloc(arena *a, size_t bytes) {
    if (bytes > SIZE_MAX - ARENA_ALIGNMENT)
        return NULL;
    bytes = (size_t)align_up(bytes ? bytes : 1, ARENA_ALIGNMENT);
    arena_block *block = a->blocks;
    if (!block || block->size - block->used < bytes)
        block = add_block(a, bytes);
    if (!block)
        return NULL;
    void *item = block->bytes + block->used;
    block->used += bytes;
    return item;
}

char *arena_copy_text(arena *a, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(a, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_format(arena *a, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length >= 0 ? arena_alloc(a, (size_t)length + 1) : NULL;
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

bool array_reserve(void **items, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity)
        return true;
    size_t grown = *capacity > SIZE_MAX / 2 ? need : *capacity * 2;
    if (grown < 8)
        grown = 8;
    if (grown < need)
        grown = need;
    if (size && grown > SIZE_MAX / size)
        return false;
    // The caller's pointer is of another type: its bytes are copied, not read as a void *.
    void *old;
    memcpy(&old, items, sizeof old);
    unsigned char *moved = realloc(old, grown * size);
    if (!moved)
        return false;
    memset(moved + *capacity * size, 0, (grown - *capacity) * size);
    memcpy(items, &moved, sizeof moved);
    *capacity = grown;
    return true;
}

bool multiply_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (b && a > UINT64_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (a > UINT64_MAX - b)
        return false;
    *out = a + b;
    return true;
}

void memory_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
