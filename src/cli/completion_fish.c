// SPDX-License-Identifier: MIT
#include "cli/help.h"

#include <string.h>

// Inside single quotes, where fish knows \' and \\ alone.
static void print_quoted(FILE *out, const char *text) {
    fputc('\'', out);
    for (; *text; text++)
        fprintf(out, strchr("'\\", *text) ? "\\%c" : "%c", *text);
    fputc('\'', out);
}

static void print_words(FILE *out, const char *const *words) {
    fputs(" -xa '", out);
    for (size_t i = 0; words[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", words[i]);
    fputc('\'', out);
}

// The condition under which the command's own completions are offered.
static void print_condition(FILE *out, const command *c) {
    size_t group = command_group(c);
    fputs("complete -c igvk -n '__fish_seen_subcommand_from ", out);
    if (group)
        fprintf(out, "%.*s; and __fish_seen_subcommand_from ", (int)group, c->name);
    fprintf(out, "%s'", c->name + (group ? group + 1 : 0));
}

static void print_option(FILE *out, const command *c, const igvk_option *o) {
    print_condition(out, c);
    fprintf(out, " -l %s", o->name);
    if (o->kind == IGVK_OPTION_CHOICE)
        print_words(out, o->words);
    else if (o->kind == IGVK_OPTION_PATH)
        fputs(" -rF", out);
    else if (o->kind != IGVK_OPTION_FLAG)
        fputs(" -x", out);
    fputs(" -d ", out);
    print_quoted(out, o->help);
    fputc('\n', out);
}

static void print_command(FILE *out, const command *c) {
    size_t group = command_group(c);
    if (group)
        fprintf(
            out,
            "complete -c igvk -n '__fish_seen_subcommand_from %.*s; and test (count (commandline -opc)) -eq 2' -a %s",
            (int)group, c->name, c->name + group + 1);
    else
        fprintf(out, "complete -c igvk -n __fish_use_subcommand -a %s", c->name);
    fputs(" -d ", out);
    print_quoted(out, c->summary);
    fputc('\n', out);
    const igvk_option_list *list = c->options ? c->options() : NULL;
    for (size_t i = 0; list && i < list->count; i++)
        print_option(out, c, &list->options[i]);
    if (!c->bare)
        return;
    print_condition(out, c);
    if (c->bare_words) {
        print_words(out, c->bare_words);
    } else if (c == &help_command) {
        fputs(" -xa '", out);
        help_words(out, "");
        fputc('\'', out);
    } else {
        fputs(" -F", out);
    }
    fputc('\n', out);
}

void completion_fish(FILE *out) {
    fputs("# fish completion for igvk, made by `igvk completion fish`.\n"
          "complete -c igvk -f\n"
          "complete -c igvk -l help -d 'tell the flags'\n"
          "complete -c igvk -n __fish_use_subcommand -l version -d 'print the version'\n"
          "complete -c igvk -n __fish_use_subcommand -a data -d 'make and look at datasets'\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        print_command(out, commands[i]);
}
