// SPDX-License-Identifier: MIT
// Strict text to number, and numbers to text for people.
#ifndef IGVK_CORE_TEXT_H
#define IGVK_CORE_TEXT_H

#include "core/status.h"

// Each parses the whole text or fails with one line that starts with `name` (a flag, a JSON key), quotes
// the text and states the range. No leading or trailing space, no locale, no hex, no nan or inf.
igvk_status parse_u64(const char *name, const char *text, uint64_t low, uint64_t high, uint64_t *out);
igvk_status parse_f64(const char *name, const char *text, double low, double high, double *out);
// "90", "90s", "15m", "8h", "2d" -> seconds, 1 s to 366 d.
igvk_status parse_duration(const char *name, const char *text, double *seconds);

// "1.21 GiB", "640 KiB"; "1 h 02 min", "12.3 s". Write into `out` (at least 32 bytes) and return it.
char *format_bytes(char out[32], uint64_t bytes);
char *format_duration(char out[32], double seconds);

// The closest of `count` words to `word` by edit distance where it is close enough to be meant, else null.
const char *closest_word(const char *word, const char *const *words, size_t count);

// A growing text. Append never fails visibly: once memory is out `failed` stays set and text is null.
typedef struct text_buffer {
    char *text; // zero-terminated, owned; null while empty
    size_t length;
    size_t capacity;
    bool failed;
} text_buffer;
void text_append(text_buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
void text_append_v(text_buffer *b, const char *format, va_list arguments);
void text_append_bytes(text_buffer *b, const void *bytes, size_t count);
void text_free(text_buffer *b); // leaves an empty buffer

#endif
