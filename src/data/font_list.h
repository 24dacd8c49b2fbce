// SPDX-License-Identifier: MIT
// Which font files to draw glyphs with: the ones given, the ones in given folders (and below), or the named
// default set where the system has it.
#ifndef IGVK_DATA_FONT_LIST_H
#define IGVK_DATA_FONT_LIST_H

#include "data/maker.h"

typedef struct font_list {
    char **paths; // owned
    size_t count, capacity;
} font_list;
void font_list_free(font_list *list);

// The fonts of `sources` (files and folders), in the given order, a folder's in byte order, each once.
// Without sources: the default set, 20 upright fonts of Debian's fonts-dejavu-core, fonts-liberation and
// fonts-freefont-ttf, in a fixed order wherever they lie below the system's and the user's font folders;
// those not installed are told to `callbacks->source`. Fails where there is none at all.
igvk_status font_list_find(const char *const *sources, size_t count, const maker_callbacks *callbacks, font_list *out);

#endif
