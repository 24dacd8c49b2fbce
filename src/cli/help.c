// SPDX-License-Identifier: MIT
// `igvk help`, and the help page of every command.
#define _POSIX_C_SOURCE 200809L // fileno
#include "cli/help.h"
#include "cli/arguments.h"
#include "cli/console.h"

#include <string.h>
#include <unistd.h>

enum { FLAG_COLUMN = 2, TEXT_COLUMN = 30 };

static size_t page_width(FILE *out) {
    int columns = console_columns(fileno(out), 100);
    return columns < 60 ? 60 : columns > 110 ? 110 : (size_t)columns;
}

// Words of `text`, the cursor being at `column`, broken so that lines end before `width` and go on at `indent`,
// newlines kept; `joint` stands before a break (" \" in a shell's line). Ends the line.
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent, size_t width, const char *joint) {
    bool first = true;
    while (*text) {
        size_t length = strcspn(text, " \n");
        if (!first && column + 1 + length + strlen(joint) > width) {
            fprintf(out, "%s\n%*s", joint, (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)length, text);
        column += length;
        text += length;
        first = *text == '\n';
        if (first) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        text += *text != 0;
    }
    fputc('\n', out);
}

const char *help_value(char out[128], const igvk_option *option) {
    if (option->kind == IGVK_OPTION_FLAG)
        return NULL;
    if (option->kind != IGVK_OPTION_CHOICE)
        return option->value;
    size_t length = 0;
    for (size_t i = 0; option->words[i] && length < 127; i++)
        length += (size_t)snprintf(out + length, 128 - length, "%s%s", i ? "|" : "", option->words[i]);
    return out;
}

void help_option_text(char out[512], const igvk_option *option) {
    bool has_default = option->kind != IGVK_OPTION_FLAG && option->standard[0];
    snprintf(out, 512, "%s%s%s%s", option->help, has_default ? " [" : "", has_default ? option->standard : "",
             has_default ? "]" : "");
}

static void print_option(FILE *out, const igvk_option *option, size_t width) {
    char value[128], text[512];
    const char *shown = help_value(value, option);
    help_option_text(text, option);
    int column = fprintf(out, "%*s--%s%s%s", FLAG_COLUMN, "", option->name, shown ? " " : "", shown ? shown : "");
    if (column + 2 > TEXT_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", TEXT_COLUMN - column, "");
    print_wrapped(out, text, TEXT_COLUMN, TEXT_COLUMN, width, "");
}

static void print_options(FILE *out, const igvk_option_list *list, size_t width) {
    const char *group = "";
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(group, list->options[i].group) != 0)
            fprintf(out, "\n%s\n", list->options[i].group);
        group = list->options[i].group;
        print_option(out, &list->options[i], width);
    }
}

static void print_examples(FILE *out, const command *c, size_t width) {
    fprintf(out, "\nExample");
    if (c->after)
        fprintf(out, ", after that of `igvk help %s`", c->after);
    fputc('\n', out);
    for (size_t i = 0; c->examples[i]; i++) {
        fprintf(out, "  igvk ");
        print_wrapped(out, c->examples[i], 7, 6, width, " \\");
    }
}

void help_command_page(FILE *out, const command *c) {
    size_t width = page_width(out);
    fprintf(out, "Usage: igvk %s%s%s%s\n\n", c->name, c->bare ? " " : "", c->bare ? c->bare : "",
            c->options ? " [--flag value ...]" : "");
    print_wrapped(out, c->about, 0, 0, width, "");
    if (c->options)
        print_options(out, c->options(), width);
    print_examples(out, c, width);
}

static void print_summary(FILE *out, const command *c) { fprintf(out, "  %-14s %s\n", c->name, c->summary); }

void help_overview(FILE *out) {
    fprintf(out,
            "igvk %s: train and sample diffusion transformers with Internal Guidance on any Vulkan device\n\n"
            "Usage: igvk COMMAND [--flag value ...]\n\n",
            igvk_version());
    for (size_t i = 0; commands[i]; i++)
        print_summary(out, commands[i]);
    fprintf(out, "\n`igvk help COMMAND` tells a command's flags and ends with an example. `igvk --version` prints the "
                 "version.\n\nA first session\n");
    static const command *const session[] = {&info_command, &data_glyphs_command, &train_command, &sample_command};
    for (size_t i = 0; i < sizeof session / sizeof *session; i++) {
        fprintf(out, "  igvk ");
        print_wrapped(out, session[i]->examples[0], 7, 6, page_width(out), " \\");
    }
}

void help_words(FILE *out, const char *group) {
    const char *last = "";
    for (size_t i = 0; commands[i]; i++) {
        const char *word = commands[i]->name;
        size_t length = command_group(commands[i]);
        if (*group && (length != strlen(group) || memcmp(word, group, length) != 0))
            continue;
        word += *group ? length + 1 : 0;
        length = strcspn(word, " ");
        if (strcspn(last, " ") == length && memcmp(word, last, length) == 0)
            continue;
        fprintf(out, "%s%.*s", *last ? " " : "", (int)length, word);
        last = word;
    }
}

// ---- the command ------------------------------------------------------------------------------------------

typedef struct help_options {
    bool man;
} help_options;

static const igvk_option_list *option_list(void) {
    static const igvk_option table[] = {
        {.name = "man",
         .kind = IGVK_OPTION_FLAG,
         .offset = offsetof(help_options, man),
         .standard = "false",
         .group = "Help",
         .help = "print the manual page, for man(1)"},
    };
    static const igvk_option_list list = {table, 1, sizeof(help_options)};
    return &list;
}

// "data" alone: the commands that start with it.
static bool print_group(const char *word) {
    bool any = false;
    for (size_t i = 0; commands[i]; i++) {
        size_t group = command_group(commands[i]);
        if (group != strlen(word) || memcmp(commands[i]->name, word, group) != 0)
            continue;
        print_summary(stdout, commands[i]);
        any = true;
    }
    return any;
}

static int run(const arguments *a) {
    help_options o = {0};
    int code = arguments_apply(a, &o);
    if (code)
        return code;
    if (o.man || a->bare_count == 0) {
        (o.man ? man_page : help_overview)(stdout);
        return EXIT_FINE;
    }
    size_t used = 0;
    char *const *words = (char *const *)a->bare;
    const command *c = command_find(words, a->bare_count, &used);
    if (c && used == a->bare_count) {
        help_command_page(stdout, c);
        return EXIT_FINE;
    }
    return a->bare_count == 1 && print_group(words[0]) ? EXIT_FINE : command_unknown(words, a->bare_count);
}

static const char *const examples[] = {"help sample", NULL};

const command help_command = {
    .name = "help",
    .summary = "tell a command's flags, or print the manual page",
    .about = "Without a command it lists them all.",
    .bare = "[COMMAND]",
    .options = option_list,
    .examples = examples,
    .run = run,
};
