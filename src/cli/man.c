// SPDX-License-Identifier: MIT
// `igvk help --man`: the manual page, as man(7) macros.
#include "cli/help.h"

#include <string.h>

// Text with roff's own characters escaped: the backslash, the hyphen that must stay one to be copied, and what
// would begin a request at the start of a line.
static void print_text(FILE *out, const char *text) {
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\n')
            fputs("\n.PP\n", out);
        else
            fputc(*text, out);
        line_start = *text == '\n';
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const igvk_option *option) {
    char value[128], tag[256], text[512];
    const char *shown = help_value(value, option);
    snprintf(tag, sizeof tag, "--%s%s%s", option->name, shown ? " " : "", shown ? shown : "");
    fputs(".TP\n", out);
    print_text(out, tag);
    help_option_text(text, option);
    print_text(out, text);
}

static void print_command(FILE *out, const command *c) {
    fprintf(out, ".SS igvk %s%s%s\n", c->name, c->bare ? " " : "", c->bare ? c->bare : "");
    print_text(out, c->about);
    const igvk_option_list *list = c->options ? c->options() : NULL;
    for (size_t i = 0; list && i < list->count; i++)
        print_option(out, &list->options[i]);
    fprintf(out, ".PP\nExample%s%s%s:\n.PP\n.RS\n.nf\n", c->after ? " (after that of igvk " : "",
            c->after ? c->after : "", c->after ? ")" : "");
    for (size_t i = 0; c->examples[i]; i++) {
        fputs("igvk ", out);
        print_text(out, c->examples[i]);
    }
    fputs(".fi\n.RE\n", out);
}

// Name and meaning in turn.
static void print_list(FILE *out, const char *heading, const char *const *items) {
    fprintf(out, ".SH %s\n", heading);
    for (size_t i = 0; items[i]; i += 2) {
        fputs(".TP\n", out);
        print_text(out, items[i]);
        print_text(out, items[i + 1]);
    }
}

void man_page(FILE *out) {
    static const char *const exits[] = {
        "0",   "done",
        "1",   "the work failed; parity: a tensor is out of tolerance",
        "2",   "bad input: a flag, a value, a file, more than fits the device; parity: a folder is unusable; info: no "
               "device",
        "130", "stopped by Ctrl-C; what was done is saved",
        NULL};
    static const char *const environment[] = {"IGVK_DEVICE",
                                              "device to take where --device does not say: index or part of the name",
                                              "IGVK_DISABLE",
                                              "optional paths to switch off, as igvk info names them, comma-separated",
                                              "IGVK_MEMORY",
                                              "bytes of device memory to take at most; --plan plans for so many",
                                              "IGVK_MAX_ALLOCATION",
                                              "bytes that one allocation may have, if the device allows more",
                                              "IGVK_MAX_BINDING",
                                              "bytes that one tensor's binding may span, if the device allows more",
                                              "XDG_CACHE_HOME",
                                              "compiled pipelines are kept in igvk below it; else in ~/.cache/igvk",
                                              NULL};
    fprintf(out, ".TH IGVK 1 \"\" \"igvk %s\" \"User Commands\"\n.SH NAME\n", igvk_version());
    fputs("igvk \\- train and sample diffusion transformers with Internal Guidance on any Vulkan device\n"
          ".SH SYNOPSIS\n.B igvk\n.I COMMAND\n[\\-\\-flag value ...]\n.SH DESCRIPTION\n",
          out);
    print_text(out, "Flags are written --flag value or --flag=value and may be given once; -- ends them. Results go to "
                    "standard output, progress and errors to standard error.");
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; commands[i]; i++)
        print_command(out, commands[i]);
    print_list(out, "EXIT STATUS", exits);
    print_list(out, "ENVIRONMENT", environment);
}
