// SPDX-License-Identifier: MIT
#include "data/character_list.h"

#include <inttypes.h>
#include <string.h>

// One code point of UTF-8 (RFC 3629: shortest form, no surrogates) and its length, 0 where it is none.
static size_t utf8_decode(const char *text, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t first_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const uint8_t *byte = (const uint8_t *)text;
    size_t length = 0;
    if (byte[0] < 0x80)
        length = 1;
    else if (byte[0] >= 0xc0 && byte[0] < 0xf8)
        length = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    uint32_t value = byte[0] & first_mask[length];
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (byte[i] & 0x3f);
    }
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < least[length] || value > 0x10ffff || surrogate)
        return 0;
    *code = value;
    return length;
}

static void utf8_encode(uint32_t code, char text[5]) {
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t first_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        text[i] = (char)(0x80 | (code & 0x3f));
    text[0] = (char)(first_bits[length] | code);
    text[length] = 0;
}

static bool is_visible(uint32_t code) {
    bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return !control && !surrogate && code != ' ' && code != 0xa0;
}

static igvk_status add(character_list *list, arena *a, uint32_t code) {
    char name[5];
    if (!is_visible(code))
        return fail(IGVK_ERROR_INVALID, "characters: U+%04" PRIX32 " cannot be seen; leave it out", code);
    utf8_encode(code, name);
    for (size_t i = 0; i < list->count; i++)
        if (list->codes[i] == code)
            return fail(IGVK_ERROR_INVALID, "characters: \"%s\" is given twice; name each once", name);
    if (list->count == CHARACTERS_MAX)
        return fail(IGVK_ERROR_INVALID, "characters: more than %d; name fewer", CHARACTERS_MAX);
    list->codes[list->count] = code;
    list->names[list->count] = arena_copy_text(a, name);
    if (!list->names[list->count])
        return fail_memory("characters", sizeof name);
    list->count++;
    return IGVK_OK;
}

static igvk_status add_range(character_list *list, arena *a, uint32_t first, uint32_t last) {
    if (first > last)
        return fail(IGVK_ERROR_INVALID,
                    "characters: a range runs from U+%04" PRIX32 " down to U+%04" PRIX32
                    "; turn it round, or put the hyphen last",
                    first, last);
    igvk_status status = IGVK_OK;
    for (uint32_t code = first; status == IGVK_OK && code <= last; code++)
        status = add(list, a, code);
    return status;
}

igvk_status character_list_parse(const char *text, arena *a, character_list *out) {
    igvk_status status = IGVK_OK;
    *out = (character_list){0};
    out->codes = arena_alloc(a, CHARACTERS_MAX * sizeof *out->codes);
    out->names = arena_alloc(a, CHARACTERS_MAX * sizeof *out->names);
    if (!out->codes || !out->names) {
        status = fail_memory("characters", CHARACTERS_MAX * sizeof *out->names);
        goto done;
    }
    if (!*text)
        THROW(IGVK_ERROR_INVALID, "characters: none given; name some, such as A-Z or 0-9");
    for (const char *at = text; *at;) {
        uint32_t first = 0, last = 0;
        size_t length = utf8_decode(at, &first);
        if (!length)
            THROW(IGVK_ERROR_INVALID, "characters: \"%s\" is not UTF-8", text);
        at += length;
        last = first;
        if (at[0] == '-' && at[1]) {
            length = utf8_decode(at + 1, &last);
            if (!length)
                THROW(IGVK_ERROR_INVALID, "characters: \"%s\" is not UTF-8", text);
            at += 1 + length;
        }
        TRY(add_range(out, a, first, last));
    }
done:
    return status;
}
