// SPDX-License-Identifier: MIT
#include "cli/arguments.h"
#include "cli/console.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_flag(const char *word) {
    return word[0] == '-' && word[1] != 0;
}

// "-1.5" and "-.5" may be values, "-x" and "--x" rather are forgotten ones.
static bool is_value(const char *word) {
    return !is_flag(word) || isdigit((unsigned char)word[1]) || word[1] == '.';
}

static const igvk_option *find_option(const command *c, const char *name, size_t length) {
    const igvk_option_list *list = c->options ? c->options() : NULL;
    for (size_t i = 0; list && i < list->count; i++)
        if (strlen(list->options[i].name) == length && memcmp(list->options[i].name, name, length) == 0)
            return &list->options[i];
    return NULL;
}

static int fail_unknown(const command *c, const char *flag) {
    if (!c->options)
        return usage_error("%s: `igvk %s` takes no flags", flag, c->name);
    size_t dashes = strspn(flag, "-"), length = strcspn(flag + dashes, "=");
    const igvk_option *meant = find_option(c, flag + dashes, length);
    if (meant)
        return usage_error("%s: flags begin with two dashes: --%s", flag, meant->name);
    // The library knows which name is nearest; an unknown one touches no options.
    char name[64] = "";
    if (length >= sizeof name ||
        igvk_option_set(c->options(), NULL, strncat(name, flag + dashes, length), "") == IGVK_OK)
        return usage_error("%.64s...: no such flag", flag);
    return usage_error("%s", igvk_error_text());
}

static int add_setting(arguments *a, const igvk_option *option, const char *value) {
    for (size_t i = 0; i < a->setting_count; i++)
        if (a->settings[i].option == option)
            return usage_error("--%s is given twice: \"%s\" and \"%s\"", option->name, a->settings[i].value, value);
    a->settings[a->setting_count++] = (setting){option, value};
    return EXIT_FINE;
}

// The flag at words[*at], which is moved on to its last word.
static int parse_flag(arguments *a, char *const *words, size_t count, size_t *at) {
    const char *flag = words[*at], *equals = strchr(flag, '=');
    const igvk_option *option = NULL;
    if (strncmp(flag, "--", 2) == 0)
        option = find_option(a->command, flag + 2, equals ? (size_t)(equals - flag - 2) : strlen(flag + 2));
    if (!option)
        return fail_unknown(a->command, flag);
    if (equals)
        return add_setting(a, option, equals + 1);
    if (option->kind == IGVK_OPTION_FLAG)
        return add_setting(a, option, "true");
    if (*at + 1 == count)
        return usage_error("%s: its value is missing: %s %s", flag, flag, option->value);
    const char *value = words[*at + 1];
    if (!is_value(value))
        return usage_error("%s: its value is missing before %s; if that is the value, write %s=%s", flag, value, flag,
                           value);
    ++*at;
    return add_setting(a, option, value);
}

// The single bare word that stands for an option becomes that.
static int place_bare(arguments *a) {
    const command *c = a->command;
    if (a->bare_count > 0 && !c->bare)
        return usage_error("\"%s\": `igvk %s` takes flags alone; `igvk help %s` lists them", a->bare[0], c->name,
                           c->name);
    if (a->bare_count == 0 || !c->bare_option)
        return EXIT_FINE;
    if (a->bare_count > 1)
        return usage_error("\"%s\": `igvk %s` takes one %s, and \"%s\" is it", a->bare[1], c->name, c->bare,
                           a->bare[0]);
    a->bare_count = 0;
    return add_setting(a, find_option(c, c->bare_option, strlen(c->bare_option)), a->bare[0]);
}

int arguments_parse(const command *c, char *const *words, size_t count, arguments *out) {
    *out = (arguments){.command = c,
                       .settings = calloc(count + 1, sizeof *out->settings),
                       .bare = calloc(count + 1, sizeof *out->bare)};
    if (!out->settings || !out->bare)
        return usage_error("out of memory");
    bool flags_ended = false;
    int code = EXIT_FINE;
    for (size_t i = 0; i < count && code == EXIT_FINE; i++) {
        if (flags_ended || !is_flag(words[i])) {
            out->bare[out->bare_count++] = words[i];
        } else if (strcmp(words[i], "--") == 0) {
            flags_ended = true;
        } else if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
            out->help = true;
            return EXIT_FINE;
        } else {
            code = parse_flag(out, words, count, &i);
        }
    }
    return code ? code : place_bare(out);
}

void arguments_free(arguments *a) {
    free(a->settings);
    free(a->bare);
    *a = (arguments){0};
}

// A recipe comes before all other flags, wherever it stands.
static int apply_recipe(const arguments *a, void *options) {
    for (size_t i = 0; i < a->setting_count; i++)
        if (strcmp(a->settings[i].option->name, "recipe") == 0 && a->settings[i].value[0] &&
            igvk_recipe_apply(a->command->options(), options, a->settings[i].value) != IGVK_OK)
            return usage_error("%s", igvk_error_text());
    return EXIT_FINE;
}

int arguments_apply(const arguments *a, void *options) {
    if (apply_recipe(a, options) != EXIT_FINE)
        return EXIT_USAGE;
    for (size_t i = 0; i < a->setting_count; i++)
        if (igvk_option_set(a->command->options(), options, a->settings[i].option->name, a->settings[i].value) !=
            IGVK_OK)
            return usage_error("%s", igvk_error_text());
    return EXIT_FINE;
}
