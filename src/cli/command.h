// SPDX-License-Identifier: MIT
// The program's commands: one file and one struct each. Help, manual page and completion are made from the
// structs and from the library's option tables; nothing about a command or flag is written down twice.
//
// Everything in this folder knows the public headers alone. It prints, so its functions return exit codes:
// 0 where all is well, EXIT_USAGE where the caller has to change something, EXIT_FAULT where the work failed.
#ifndef IGVK_CLI_COMMAND_H
#define IGVK_CLI_COMMAND_H

#include "igvk/igvk_experimental.h"

enum { EXIT_FINE = 0, EXIT_FAULT = 1, EXIT_USAGE = 2 };

typedef struct arguments arguments;

typedef struct command {
    const char *name;    // "data glyphs": one or two words
    const char *summary; // one line, no full stop
    const char *about;   // paragraphs, separated by newlines; wrapped where they are printed
    // Arguments that are no flags: how help shows them ("DIR"), null where none are taken; the option that the
    // single one sets, null where the command takes them itself; the words one may be, null for paths.
    const char *bare;
    const char *bare_option;
    const char *const *bare_words;
    const igvk_option_list *(*options)(void); // null: no flags
    const char *after;                        // whose examples make what this one's read, null: nobody's
    const char *const *examples;              // null-terminated, without "igvk"; each works as it stands
    int (*run)(const arguments *a);
} command;

// In the order in which help lists them; null-terminated.
extern const command *const commands[];

extern const command info_command, data_glyphs_command, data_images_command, data_latents_command, data_show_command,
    train_command, sample_command, export_command, import_command, inspect_command, parity_command, bench_command,
    completion_command, help_command;

// The command that `words` begin with and how many of them name it; null where none does.
const command *command_find(char *const *words, size_t count, size_t *used);
// Says that no command starts with these words and what was probably meant. Returns EXIT_USAGE.
int command_unknown(char *const *words, size_t count);
// "data" for "data glyphs", whose length it returns; 0 where the name is one word.
size_t command_group(const command *c);

#endif
