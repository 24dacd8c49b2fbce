// SPDX-License-Identifier: MIT
// Finding a command by its words.
#include "cli/command.h"
#include "cli/console.h"

#include <stdio.h>
#include <string.h>

const command *const commands[] = {
    &info_command,   &data_glyphs_command, &data_images_command, &data_latents_command, &data_show_command,
    &train_command,  &sample_command,      &export_command,      &import_command,       &inspect_command,
    &parity_command, &bench_command,       &completion_command,  &help_command,         NULL,
};

size_t command_group(const command *c) {
    const char *space = strchr(c->name, ' ');
    return space ? (size_t)(space - c->name) : 0;
}

// Whether word `i` of the command's name is `word`.
static bool word_matches(const command *c, size_t i, const char *word) {
    size_t group = command_group(c);
    if (group == 0)
        return i == 0 && strcmp(c->name, word) == 0;
    return i == 0 ? strlen(word) == group && memcmp(c->name, word, group) == 0 : strcmp(c->name + group + 1, word) == 0;
}

const command *command_find(char *const *words, size_t count, size_t *used) {
    for (size_t i = 0; commands[i]; i++) {
        *used = command_group(commands[i]) ? 2 : 1;
        if (count >= *used && word_matches(commands[i], 0, words[0]) &&
            (*used == 1 || word_matches(commands[i], 1, words[1])))
            return commands[i];
    }
    return NULL;
}

// Letters to insert, delete or replace on the way from a to b.
static size_t edit_distance(const char *a, const char *b) {
    enum { LONGEST = 32 };
    size_t row[LONGEST + 1], length = strlen(b);
    if (length > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[length];
}

// The command whose name is nearest to `text`, null where none is near.
static const command *closest(const char *text) {
    const command *best = NULL;
    size_t least = strlen(text) / 2 + 1;
    for (size_t i = 0; commands[i]; i++) {
        size_t distance = edit_distance(text, commands[i]->name);
        if (distance < least) {
            least = distance;
            best = commands[i];
        }
    }
    return best;
}

int command_unknown(char *const *words, size_t count) {
    if (words[0][0] == '-')
        return usage_error("%s: the command comes first, as in `igvk sample --seed 1`; `igvk help` lists them",
                           words[0]);
    char text[96];
    for (size_t i = 0; commands[i]; i++)
        if (command_group(commands[i]) && word_matches(commands[i], 0, words[0])) {
            if (count == 1 || words[1][0] == '-')
                return usage_error("%s: what of it? `igvk help %s` lists its commands", words[0], words[0]);
            snprintf(text, sizeof text, "%s %s", words[0], words[1]);
            break;
        } else {
            snprintf(text, sizeof text, "%s", words[0]);
        }
    const command *near = closest(text);
    if (near)
        return usage_error("%s: no such command; did you mean `igvk %s`?", text, near->name);
    return usage_error("%s: no such command; `igvk help` lists them", text);
}
