// SPDX-License-Identifier: MIT
// The characters of a glyph dataset: "A-Z", "A-Za-z0-9", "abcÄß" (UTF-8). A hyphen between two characters
// means all from one to the other; at either end it is itself. Each character at most once.
#ifndef IGVK_DATA_CHARACTER_LIST_H
#define IGVK_DATA_CHARACTER_LIST_H

#include "core/memory.h"
#include "core/status.h"

enum { CHARACTERS_MAX = 4096 };

typedef struct character_list {
    uint32_t *codes;    // [count], Unicode
    const char **names; // [count], UTF-8
    size_t count;
} character_list;

// Memory is the arena's. Fails on an empty list, bad UTF-8, blanks, control characters and repetitions.
igvk_status character_list_parse(const char *text, arena *a, character_list *out);

#endif
