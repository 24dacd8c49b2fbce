// SPDX-License-Identifier: MIT
// Texts made from the commands' structs and the option tables.
#ifndef IGVK_CLI_HELP_H
#define IGVK_CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

// The page that `igvk help` prints: all commands.
void help_overview(FILE *out);
void help_command_page(FILE *out, const command *c);

// "N", "ema|model" for choices; null for a flag without value.
const char *help_value(char out[128], const igvk_option *option);
// The option's help with its default in brackets.
void help_option_text(char out[512], const igvk_option *option);

// First words of commands, or the second ones after `group`, each once; commands of a group stand together.
void help_words(FILE *out, const char *group);

void man_page(FILE *out);
void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);

#endif
