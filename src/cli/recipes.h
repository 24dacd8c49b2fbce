// SPDX-License-Identifier: MIT
// `--recipes` of a command: its published configurations on standard output.
#ifndef IGVK_CLI_RECIPES_H
#define IGVK_CLI_RECIPES_H

#include "cli/command.h"

void recipes_print(const igvk_option_list *list);

#endif
