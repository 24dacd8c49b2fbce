// SPDX-License-Identifier: MIT
// Options as text, set and got by their table.
#include "api/options.h"
#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLAG_SIZE 64 // of "--" and the longest option's name

// ---- from text --------------------------------------------------------------------------------------------

static igvk_status set_flag(const char *flag, const char *text, bool *out) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return fail(IGVK_ERROR_INVALID, "%s \"%s\": must be true or false", flag, text);
    *out = text[0] == 't';
    return IGVK_OK;
}

static igvk_status set_duration(const char *flag, const char *text, double *out) {
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return IGVK_OK;
    }
    return parse_duration(flag, text, out);
}

static igvk_status set_choice(const char *flag, const char *text, const char *const *words, uint32_t *out) {
    text_buffer all = {0};
    for (uint32_t i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            text_free(&all);
            *out = i;
            return IGVK_OK;
        }
        text_append(&all, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    igvk_status status =
        fail(IGVK_ERROR_INVALID, "%s \"%s\": must be %s", flag, text, all.text ? all.text : "one of its words");
    text_free(&all);
    return status;
}

static igvk_status set_text(const char *flag, const char *text, char *out) {
    size_t length = strlen(text);
    if (length >= IGVK_TEXT)
        return fail(IGVK_ERROR_INVALID, "%s: its text is %zu bytes long; at most %d fit", flag, length, IGVK_TEXT - 1);
    memmove(out, text, length + 1); // may be the field itself
    return IGVK_OK;
}

static igvk_status set_field(const igvk_option *option, void *options, const char *text) {
    char flag[FLAG_SIZE];
    snprintf(flag, sizeof flag, "--%s", option->name);
    void *field = (char *)options + option->offset;
    switch (option->kind) {
    case IGVK_OPTION_FLAG:
        return set_flag(flag, text, field);
    case IGVK_OPTION_INTEGER:
        return parse_u64(flag, text, (uint64_t)option->low, (uint64_t)option->high, field);
    case IGVK_OPTION_NUMBER:
        return parse_f64(flag, text, option->low, option->high, field);
    case IGVK_OPTION_DURATION:
        return set_duration(flag, text, field);
    case IGVK_OPTION_CHOICE:
        return set_choice(flag, text, option->words, field);
    case IGVK_OPTION_TEXT:
    case IGVK_OPTION_PATH:
        return set_text(flag, text, field);
    }
    return fail(IGVK_ERROR_INTERNAL, "%s: its table row has no kind", flag);
}

const char *const option_vector_widths[] = {"driver", "128", "256", "512", NULL};

static igvk_status fail_unknown(const igvk_option_list *list, const char *name) {
    enum { MOST = 128 };
    const char *names[MOST];
    size_t count = list->count < MOST ? list->count : MOST;
    for (size_t i = 0; i < count; i++)
        names[i] = list->options[i].name;
    const char *closest = closest_word(name, names, count);
    if (closest)
        return fail(IGVK_ERROR_INVALID, "--%s: no such option; did you mean --%s?", name, closest);
    return fail(IGVK_ERROR_INVALID, "--%s: no such option; the help lists those there are", name);
}

igvk_status igvk_option_set(const igvk_option_list *list, void *options, const char *name, const char *text) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->options[i].name, name) == 0)
            return set_field(&list->options[i], options, text);
    return fail_unknown(list, name);
}

void options_default(const igvk_option_list *list, void *options) {
    memset(options, 0, list->struct_size);
    for (size_t i = 0; i < list->count; i++)
        (void)set_field(&list->options[i], options, list->options[i].standard); // a test sets every default
}

// ---- to text ----------------------------------------------------------------------------------------------

// The shortest decimal that reads back as the same f64; whole numbers without exponent.
static void append_number(text_buffer *out, double value) {
    if (fabs(value) < 1e15 && value == floor(value)) {
        text_append(out, "%.0f", value + 0.0); // not "-0"
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        text_buffer trial = {0};
        double again = NAN;
        text_append(&trial, "%.*g", digits, value);
        bool same = isfinite(value) && trial.text &&
                    parse_f64("number", trial.text, -INFINITY, INFINITY, &again) == IGVK_OK && again == value;
        if (same || digits == 17)
            text_append(out, "%s", trial.text ? trial.text : "");
        text_free(&trial);
        if (same)
            return;
    }
}

static void append_duration(text_buffer *out, double seconds) {
    static const struct {
        double seconds;
        const char *letter;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "m"}};
    for (size_t i = 0; i < sizeof units / sizeof *units && seconds > 0; i++)
        if (fmod(seconds, units[i].seconds) == 0) {
            append_number(out, seconds / units[i].seconds);
            text_append(out, "%s", units[i].letter);
            return;
        }
    append_number(out, seconds);
    if (seconds != 0)
        text_append(out, "s");
}

// A choice that does not exist appears as its number, so that options_check quotes it.
static void append_choice(text_buffer *out, const char *const *words, uint32_t choice) {
    for (uint32_t i = 0; words[i]; i++)
        if (i == choice) {
            text_append(out, "%s", words[i]);
            return;
        }
    text_append(out, "%u", (unsigned)choice);
}

static void append_field(text_buffer *out, const igvk_option *option, const void *options) {
    const char *field = (const char *)options + option->offset;
    switch (option->kind) {
    case IGVK_OPTION_FLAG:
        text_append(out, "%s", *(const bool *)field ? "true" : "false");
        break;
    case IGVK_OPTION_INTEGER:
        text_append(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case IGVK_OPTION_NUMBER:
        append_number(out, *(const double *)field);
        break;
    case IGVK_OPTION_DURATION:
        append_duration(out, *(const double *)field);
        break;
    case IGVK_OPTION_CHOICE:
        append_choice(out, option->words, *(const uint32_t *)field);
        break;
    case IGVK_OPTION_TEXT:
    case IGVK_OPTION_PATH:
        text_append(out, "%.*s", IGVK_TEXT, field);
        break;
    }
}

bool igvk_option_get(const igvk_option *option, const void *options, char *out, size_t size) {
    text_buffer text = {0};
    append_field(&text, option, options);
    bool fits = text.text && text.length < size;
    if (fits)
        memcpy(out, text.text, text.length + 1);
    text_free(&text);
    return fits;
}

// ---- one field alone --------------------------------------------------------------------------------------

// Any option's field, apart from its struct: `option` at offset 0 of it.
typedef union field_value {
    bool flag;
    uint64_t integer;
    double number;
    uint32_t choice;
    option_text text;
} field_value;

static igvk_status set_alone(const igvk_option *option, field_value *value, const char *text) {
    igvk_option alone = *option;
    alone.offset = 0;
    return set_field(&alone, value, text);
}

static bool is_standard(const igvk_option *option, const char *text) {
    field_value value = {0};
    text_buffer standard = {0};
    igvk_option alone = *option;
    alone.offset = 0;
    bool same = set_alone(option, &value, option->standard) == IGVK_OK;
    append_field(&standard, &alone, &value);
    same = same && standard.text && strcmp(standard.text, text) == 0;
    text_free(&standard);
    return same;
}

// As a shell reads it back.
static void append_quoted(text_buffer *out, const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
    if (*text && text[strspn(text, plain)] == 0) {
        text_append(out, "%s", text);
        return;
    }
    text_append(out, "'");
    for (; *text; text++)
        if (*text == '\'')
            text_append(out, "'\\''");
        else
            text_append_bytes(out, text, 1);
    text_append(out, "'");
}

char *options_command_line(const char *command, const igvk_option_list *list, const void *options) {
    text_buffer line = {0};
    text_append(&line, "igvk %s", command);
    for (size_t i = 0; i < list->count; i++) {
        const igvk_option *option = &list->options[i];
        text_buffer value = {0};
        append_field(&value, option, options);
        if (value.text && !is_standard(option, value.text)) {
            text_append(&line, " --%s", option->name);
            if (option->kind != IGVK_OPTION_FLAG) {
                text_append(&line, " ");
                append_quoted(&line, value.text);
            }
        }
        text_free(&value);
    }
    return line.text;
}

igvk_status options_check(const igvk_option_list *list, const void *options) {
    igvk_status status = IGVK_OK;
    for (size_t i = 0; i < list->count && status == IGVK_OK; i++) {
        field_value value;
        text_buffer text = {0};
        append_field(&text, &list->options[i], options);
        status = text.text ? set_alone(&list->options[i], &value, text.text)
                           : fail_memory("a copy of the options", IGVK_TEXT);
        text_free(&text);
    }
    return status;
}
