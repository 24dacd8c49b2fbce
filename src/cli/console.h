// SPDX-License-Identifier: MIT
// What the program says while it works, and how it is stopped. Results go to standard output; progress,
// messages and errors to standard error: one line that is rewritten on a terminal, a line every few seconds
// elsewhere.
#ifndef IGVK_CLI_CONSOLE_H
#define IGVK_CLI_CONSOLE_H

#include "cli/command.h"

#if defined(__GNUC__)
#define CONSOLE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CONSOLE_PRINTF(text, first)
#endif

// "igvk: TEXT", control characters made harmless. Returns EXIT_USAGE.
int usage_error(const char *format, ...) CONSOLE_PRINTF(1, 2);

// Takes over Ctrl-C (and the signals of `kill` and of a closed terminal): the first asks the work to stop, the
// second ends the program at once. Returns what to give to the library.
const igvk_events *console_events(void);

// A line of results between progress lines.
void console_row(const char *format, ...) CONSOLE_PRINTF(1, 2);

// Ends the progress line, prints the error if there is one and returns the exit code for `status`.
int console_end(igvk_status status);

// Columns of the terminal that `file` is, else `otherwise`.
int console_columns(int file, int otherwise);

// One line, ASCII, most important first: the terminal may be too narrow for the end.
void progress_line(char *out, size_t size, const igvk_progress *p);
// "640 KiB", "1.2 GiB"; "12s", "2m05s", "1h02m", "3d04h". Return `out`.
char *bytes_text(char out[32], uint64_t bytes);
char *seconds_text(char out[32], double seconds);

#endif
