// SPDX-License-Identifier: MIT
// `igvk completion`: completion for shells, made from the same tables as the help.
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/help.h"

#include <string.h>

static const char *const shells[] = {"bash", "zsh", "fish", NULL};
static void (*const writers[])(FILE *) = {completion_bash, completion_zsh, completion_fish};

static int run(const arguments *a) {
    for (size_t i = 0; a->bare_count == 1 && shells[i]; i++)
        if (strcmp(a->bare[0], shells[i]) == 0) {
            writers[i](stdout);
            return EXIT_FINE;
        }
    return usage_error("completion: for which shell? bash, zsh or fish");
}

static const char *const examples[] = {"completion bash > igvk.bash && . ./igvk.bash", NULL};

const command completion_command = {
    .name = "completion",
    .summary = "print completion for bash, zsh or fish",
    .about = "For bash, read the output from ~/.bashrc; for zsh, save it as _igvk in a folder of $fpath; for fish, as "
             "igvk.fish in ~/.config/fish/completions.",
    .bare = "SHELL",
    .bare_words = shells,
    .examples = examples,
    .run = run,
};
