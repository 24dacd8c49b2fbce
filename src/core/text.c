// SPDX-License-Identifier: MIT
// Numbers from text and text from numbers, whatever locale the host program set.
#define _POSIX_C_SOURCE 200809L
#include "core/text.h"
#include "core/memory.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A host program's locale may write 0.5 as "0,5", which is no JSON: numbers are read and printed in the "C"
// locale. `locale_leave` takes what `locale_enter` returned.
static locale_t locale_enter(locale_t *plain) {
    *plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return *plain ? uselocale(*plain) : (locale_t)0;
}

static void locale_leave(locale_t plain, locale_t before) {
    if (!plain)
        return;
    uselocale(before);
    freelocale(plain);
}

static int print_v(char *out, size_t size, const char *format, va_list arguments) {
    locale_t plain, before = locale_enter(&plain);
    int length = vsnprintf(out, size, format, arguments);
    locale_leave(plain, before);
    return length;
}

PRINTF_LIKE(3, 4) static void print(char *out, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_v(out, size, format, arguments);
    va_end(arguments);
}

// ---- numbers from text ------------------------------------------------------------------------------------

static size_t count_digits(const char *text) {
    return strspn(text, "0123456789");
}

igvk_status parse_u64(const char *name, const char *text, uint64_t low, uint64_t high, uint64_t *out) {
    size_t digits = count_digits(text);
    bool good = digits > 0 && text[digits] == 0;
    uint64_t value = 0;
    for (size_t i = 0; good && i < digits; i++)
        good = multiply_u64(value, 10, &value) && add_u64(value, (uint64_t)(text[i] - '0'), &value);
    if (good && value >= low && value <= high) {
        *out = value;
        return IGVK_OK;
    }
    if (high == UINT64_MAX)
        return fail(IGVK_ERROR_INVALID, "%s \"%s\": must be a whole number of at least %llu", name, text,
                    (unsigned long long)low);
    return fail(IGVK_ERROR_INVALID, "%s \"%s\": must be a whole number from %llu to %llu", name, text,
                (unsigned long long)low, (unsigned long long)high);
}

// [-] digits [. digits] [e [+-] digits], one of the first two groups of digits may be empty.
static bool is_decimal(const char *text) {
    text += *text == '-';
    size_t whole = count_digits(text), fraction = 0;
    text += whole;
    if (*text == '.') {
        fraction = count_digits(++text);
        text += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        size_t exponent = count_digits(text);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == 0;
}

static double decimal_value(const char *text) {
    locale_t plain, before = locale_enter(&plain);
    double value = strtod(text, NULL);
    locale_leave(plain, before);
    return value;
}

igvk_status parse_f64(const char *name, const char *text, double low, double high, double *out) {
    double value = is_decimal(text) ? decimal_value(text) : NAN;
    if (isfinite(value) && value >= low && value <= high) {
        *out = value;
        return IGVK_OK;
    }
    char range[80];
    if (isinf(low) && isinf(high))
        print(range, sizeof range, "a number");
    else if (isinf(high))
        print(range, sizeof range, "a number of at least %.10g", low);
    else if (isinf(low))
        print(range, sizeof range, "a number of at most %.10g", high);
    else
        print(range, sizeof range, "a number from %.10g to %.10g", low, high);
    return fail(IGVK_ERROR_INVALID, "%s \"%s\": must be %s", name, text, range);
}

igvk_status parse_duration(const char *name, const char *text, double *seconds) {
    static const struct {
        char letter;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char number[32] = "";
    double unit = 1;
    size_t length = strlen(text);
    for (size_t i = 0; length && i < sizeof units / sizeof *units; i++)
        if (text[length - 1] == units[i].letter) {
            unit = units[i].seconds;
            length--;
            break;
        }
    if (length < sizeof number)
        memcpy(number, text, length);
    double value = is_decimal(number) ? decimal_value(number) * unit : NAN;
    if (value >= 1 && value <= 366 * 86400.0) {
        *seconds = value;
        return IGVK_OK;
    }
    return fail(IGVK_ERROR_INVALID, "%s \"%s\": must be a time such as 90s, 15m, 8h or 2d, from 1s to 366d", name,
                text);
}

// ---- numbers for people -----------------------------------------------------------------------------------

char *format_bytes(char out[32], uint64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        print(out, 32, "%u B", (unsigned)bytes);
        return out;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    for (; value >= 1023.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0; // three digits
    print(out, 32, "%.*f %s", decimals, value, units[unit]);
    return out;
}

char *format_duration(char out[32], double seconds) {
    if (!(seconds >= 0) || seconds > 1e9) {
        print(out, 32, "unknown");
    } else if (seconds < 9.995) {
        print(out, 32, "%.2f s", seconds);
    } else if (seconds < 59.95) {
        print(out, 32, "%.1f s", seconds);
    } else {
        unsigned whole = (unsigned)(seconds + 0.5);
        if (whole < 3600)
            print(out, 32, "%u min %02u s", whole / 60, whole % 60);
        else if (whole < 2 * 86400)
            print(out, 32, "%u h %02u min", whole / 3600, whole / 60 % 60);
        else
            print(out, 32, "%u d %02u h", whole / 86400, whole / 3600 % 24);
    }
    return out;
}

// ---- words ------------------------------------------------------------------------------------------------

#define LONGEST_WORD 63

static size_t smallest(size_t a, size_t b, size_t c) {
    return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

// Insertions, deletions, replacements and swaps of neighbours that lead from a to b (both at most LONGEST_WORD).
static size_t edit_distance(const char *a, const char *b) {
    size_t rows[3][LONGEST_WORD + 1] = {{0}};
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    size_t a_length = strlen(a), b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *reused = before;
        before = last;
        last = row;
        row = reused;
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = smallest(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return row[b_length];
}

const char *closest_word(const char *word, const char *const *words, size_t count) {
    size_t length = strlen(word);
    if (length > LONGEST_WORD)
        return NULL;
    size_t best = length / 3 + 1; // meant: at most a third of the letters wrong, and at least one may be
    const char *closest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) > LONGEST_WORD)
            continue;
        size_t distance = edit_distance(word, words[i]);
        if (distance < length && (closest ? distance < best : distance <= best)) {
            best = distance;
            closest = words[i];
        }
    }
    return closest;
}

// ---- growing text -----------------------------------------------------------------------------------------

void text_append_bytes(text_buffer *b, const void *bytes, size_t count) {
    if (b->failed)
        return;
    if (count > SIZE_MAX - b->length - 1 || !ARRAY_RESERVE(b->text, b->capacity, b->length + count + 1)) {
        text_free(b);
        b->failed = true;
        return;
    }
    if (count)
        memcpy(b->text + b->length, bytes, count);
    b->length += count;
    b->text[b->length] = 0;
}

void text_append_v(text_buffer *b, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    char small[256];
    int length = print_v(small, sizeof small, format, arguments);
    if (length >= 0 && (size_t)length < sizeof small) {
        text_append_bytes(b, small, (size_t)length);
    } else if (length >= 0) {
        char *large = malloc((size_t)length + 1);
        if (large) {
            print_v(large, (size_t)length + 1, format, again);
            text_append_bytes(b, large, (size_t)length);
            free(large);
        } else {
            text_free(b);
            b->failed = true;
        }
    }
    va_end(again);
}

void text_append(text_buffer *b, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_append_v(b, format, arguments);
    va_end(arguments);
}

void text_free(text_buffer *b) {
    free(b->text);
    *b = (text_buffer){0};
}
