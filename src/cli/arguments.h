// SPDX-License-Identifier: MIT
// A command's arguments: flags as `--name value` or `--name=value`, yes-or-no flags as `--name`, other words as
// they are, all words after `--` too. A flag may be given once.
#ifndef IGVK_CLI_ARGUMENTS_H
#define IGVK_CLI_ARGUMENTS_H

#include "cli/command.h"

typedef struct setting {
    const igvk_option *option;
    const char *value;
} setting;

struct arguments {
    const command *command;
    setting *settings; // as given, in order; texts are argv's
    size_t setting_count;
    const char **bare; // words that are no flags, less the one that sets the command's bare_option
    size_t bare_count;
    bool help; // --help was asked for; the rest is not read
};

// Says what is wrong and returns EXIT_USAGE where the words do not fit the command. Values are not yet checked.
int arguments_parse(const command *c, char *const *words, size_t count, arguments *out);
void arguments_free(arguments *a);

// Sets what was given in the command's options, a recipe first, each value checked.
int arguments_apply(const arguments *a, void *options);

#endif
