// SPDX-License-Identifier: MIT
// The program: the words say which command, the command says the rest.
#define _DEFAULT_SOURCE // SIGXFSZ
#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/help.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static int run_command(char *const *words, size_t count) {
    size_t used = 0;
    const command *c = command_find(words, count, &used);
    if (!c) {
        // `igvk data --help` is `igvk help data`.
        if (count == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0))
            return run_command((char *[]){"help", words[0]}, 2);
        return command_unknown(words, count);
    }
    arguments a;
    int code = arguments_parse(c, words + used, count - used, &a);
    if (code == EXIT_FINE && a.help)
        help_command_page(stdout, c);
    else if (code == EXIT_FINE)
        code = c->run(&a);
    arguments_free(&a);
    return code;
}

static bool is_one_of(const char *word, const char *a, const char *b) {
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv) {
    int code = EXIT_FINE;
    signal(SIGXFSZ, SIG_IGN); // a file size limit is an error of the write, with a line of text
    if (argc < 2) {
        help_overview(stderr);
        code = EXIT_USAGE;
    } else if (is_one_of(argv[1], "--version", "-V")) {
        printf("igvk %s\n", igvk_version());
    } else if (is_one_of(argv[1], "--help", "-h")) {
        help_overview(stdout);
    } else {
        code = run_command(argv + 1, (size_t)argc - 1);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return usage_error("cannot write to standard output: %s", strerror(errno));
    return code;
}
