// SPDX-License-Identifier: MIT
#include "cli/help.h"

// Names of all options of `list` whose value is completed as `path` says: files, or nothing.
static void print_value_case(FILE *out, const igvk_option_list *list, bool path, const char *action) {
    bool any = false;
    for (size_t i = 0; i < list->count; i++) {
        const igvk_option *o = &list->options[i];
        if (o->kind == IGVK_OPTION_FLAG || o->kind == IGVK_OPTION_CHOICE || (o->kind == IGVK_OPTION_PATH) != path)
            continue;
        fprintf(out, "%s--%s", any ? "|" : "        ", o->name);
        any = true;
    }
    if (any)
        fprintf(out, ") %s ;;\n", action);
}

static void print_words(FILE *out, const char *const *words) {
    for (size_t i = 0; words[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", words[i]);
}

static void print_command_case(FILE *out, const command *c) {
    const igvk_option_list *list = c->options ? c->options() : NULL;
    fprintf(out, "    '%s')\n        words='", c->name);
    if (c->bare_words)
        print_words(out, c->bare_words);
    for (size_t i = 0; list && i < list->count; i++)
        fprintf(out, "--%s ", list->options[i].name);
    fprintf(out, "%s--help'\n", c->bare_words ? " " : "");
    if (c->bare && !c->bare_words && c != &help_command)
        fprintf(out, "        [[ $current == -* ]] || files=1\n");
    if (list) {
        fprintf(out, "        case $before in\n");
        for (size_t i = 0; i < list->count; i++)
            if (list->options[i].kind == IGVK_OPTION_CHOICE) {
                fprintf(out, "        --%s) words='", list->options[i].name);
                print_words(out, list->options[i].words);
                fprintf(out, "' ;;\n");
            }
        print_value_case(out, list, true, "files=1");
        print_value_case(out, list, false, "return");
        fprintf(out, "        esac\n");
    }
    fprintf(out, "        ;;\n");
}

void completion_bash(FILE *out) {
    fputs(
        "# bash completion for igvk, made by `igvk completion bash`.\n"
        "_igvk() {\n"
        "    local at=$COMP_CWORD current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words='' files='' before\n"
        "    # bash splits --flag=value into three words.\n"
        "    [[ $current == = ]] && current='' || { [[ ${COMP_WORDS[at-1]} == = ]] && ((at--)); }\n"
        "    before=${COMP_WORDS[at-1]}\n"
        "    COMPREPLY=()\n",
        out);
    fputs("    if ((COMP_CWORD == 1)); then words='", out);
    help_words(out, "");
    fputs(" --help --version'\n    elif [[ $command == help ]]; then words='", out);
    help_words(out, "");
    fputs(" --man'\n    elif [[ $command == data ]] && ((COMP_CWORD == 2)); then words='", out);
    help_words(out, "data");
    fputs(" --help'\n    fi\n    [[ $command == data ]] && command=\"data ${COMP_WORDS[2]}\"\n"
          "    ((COMP_CWORD > 1)) && [[ ! $words ]] && case $command in\n",
          out);
    for (size_t i = 0; commands[i]; i++)
        if (commands[i] != &help_command)
            print_command_case(out, commands[i]);
    fputs("    esac\n"
          "    if [[ $files ]]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
          "    fi\n"
          "}\n"
          "complete -F _igvk igvk\n",
          out);
}
