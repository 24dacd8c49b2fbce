// SPDX-License-Identifier: MIT
#include "cli/help.h"

#include <string.h>

// Text inside single quotes and inside _arguments' brackets or _describe's colons.
static void print_quoted(FILE *out, const char *text) {
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fprintf(out, strchr("[]:\\", *text) ? "\\%c" : "%c", *text);
}

static void print_words(FILE *out, const char *const *words) {
    fputc('(', out);
    for (size_t i = 0; words[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", words[i]);
    fputc(')', out);
}

static void print_option(FILE *out, const igvk_option *o) {
    bool valued = o->kind != IGVK_OPTION_FLAG;
    fprintf(out, " \\\n            '--%s%s[", o->name, valued ? "=" : "");
    print_quoted(out, o->help);
    fputc(']', out);
    if (valued)
        fprintf(out, ":%s:", o->value);
    if (o->kind == IGVK_OPTION_CHOICE)
        print_words(out, o->words);
    else if (o->kind == IGVK_OPTION_PATH)
        fputs("_files", out);
    fputc('\'', out);
}

static void print_command_case(FILE *out, const command *c) {
    fprintf(out, "    '%s')\n        _arguments", c->name);
    const igvk_option_list *list = c->options ? c->options() : NULL;
    for (size_t i = 0; list && i < list->count; i++)
        print_option(out, &list->options[i]);
    fputs(" \\\n            '--help[tell the flags]'", out);
    if (c->bare_words) {
        fputs(" \\\n            '1:word:", out);
        print_words(out, c->bare_words);
        fputc('\'', out);
    } else if (c->bare && c != &help_command) {
        fprintf(out, " \\\n            '*:%s:_files'", c->bare);
    }
    fputs("\n        ;;\n", out);
}

// 'word:summary' of each command of one word, or of the second words after `group`.
static void print_descriptions(FILE *out, const char *group) {
    for (size_t i = 0; commands[i]; i++) {
        size_t length = command_group(commands[i]);
        if (length != strlen(group) || memcmp(commands[i]->name, group, length) != 0)
            continue;
        fprintf(out, "        '%s:", commands[i]->name + (length ? length + 1 : 0));
        print_quoted(out, commands[i]->summary);
        fputs("'\n", out);
    }
}

void completion_zsh(FILE *out) {
    fputs("#compdef igvk\n"
          "# zsh completion for igvk, made by `igvk completion zsh`.\n"
          "_igvk() {\n"
          "    local -a first=(\n"
          "        'data:make and look at datasets'\n",
          out);
    print_descriptions(out, "");
    fputs("    )\n    local -a data=(\n", out);
    print_descriptions(out, "data");
    fputs("    )\n"
          "    if ((CURRENT == 2)) || { [[ $words[2] == help ]] && ((CURRENT == 3)); }; then\n"
          "        _describe command first\n"
          "        return\n"
          "    fi\n"
          "    if [[ $words[2] == data ]] && ((CURRENT == 3)); then\n"
          "        _describe command data\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    if [[ $command == data ]]; then\n"
          "        command=\"data $words[2]\"\n"
          "        shift words\n"
          "        ((CURRENT--))\n"
          "    fi\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        if (commands[i] != &help_command)
            print_command_case(out, commands[i]);
    fputs("    esac\n}\n_igvk \"$@\"\n", out);
}
