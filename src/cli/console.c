// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE // struct winsize
#include "cli/console.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LIVE_SECONDS 0.1 // between two drawings of the line
#define PLAIN_SECONDS 5  // between two lines where nobody watches

static struct {
    bool terminal;
    bool drawn;      // the live line is on the screen
    bool waiting;    // `line` is newer than what was shown
    double shown_at; // seconds
    char line[256];
} console;

static volatile sig_atomic_t stop_signal; // 0: none came

// ---- text -------------------------------------------------------------------------------------------------

// Texts may quote names from files: nothing may move the cursor or pass for a line of our own. C2 80 to C2 9F
// are control characters in UTF-8.
static void make_harmless(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
}

static void say(const char *before, const char *text) {
    char line[1200];
    snprintf(line, sizeof line, "%s", text);
    make_harmless(line);
    fflush(stdout); // the order of the two streams, where both go to one file
    fprintf(stderr, "%s%s\n", before, line);
}

int usage_error(const char *format, ...) {
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say("igvk: ", text);
    return EXIT_USAGE;
}

// ---- the progress line ------------------------------------------------------------------------------------

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int console_columns(int file, int otherwise) {
    struct winsize size;
    return isatty(file) && ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : otherwise;
}

static void erase_line(void) {
    if (console.drawn)
        fputs("\r\033[K", stderr);
    console.drawn = false;
}

// What comes next goes below it.
static void keep_line(void) {
    if (console.drawn)
        fputc('\n', stderr);
    console.drawn = false;
}

static void show_line(void) {
    if (console.terminal) {
        // One column less: a full line makes some terminals wrap.
        fprintf(stderr, "\r%.*s\033[K", console_columns(STDERR_FILENO, 80) - 1, console.line);
        fflush(stderr);
        console.drawn = true;
    } else {
        fprintf(stderr, "%s\n", console.line);
    }
    console.waiting = false;
    console.shown_at = now();
}

static void on_message(void *user, const char *text) {
    (void)user;
    erase_line();
    say("", text);
}

static void on_progress(void *user, const igvk_progress *p) {
    (void)user;
    progress_line(console.line, sizeof console.line, p);
    make_harmless(console.line);
    console.waiting = true;
    bool last = p->total && p->done >= p->total;
    if (last || now() - console.shown_at >= (console.terminal ? LIVE_SECONDS : PLAIN_SECONDS))
        show_line();
    if (last)
        keep_line();
}

static void on_plan(void *user, const igvk_plan_row *row) {
    char text[32];
    (void)user;
    console_row("%-26s %12s", row->kind, bytes_text(text, row->bytes));
}

static bool on_stop(void *user) {
    (void)user;
    return stop_signal != 0;
}

// ---- signals ----------------------------------------------------------------------------------------------

static void on_signal(int number) {
    static const char text[] = "\nigvk: stopping as soon as this step is done; Ctrl-C again ends at once\n";
    int saved = errno;
    stop_signal = number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {
        // Nobody is there to read it.
    }
    errno = saved;
}

static void take_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND}, theirs;
    sigemptyset(&ours.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &theirs) == 0 && theirs.sa_handler != SIG_IGN) // nohup
            sigaction(numbers[i], &ours, NULL);
}

// ---- beginning and end ------------------------------------------------------------------------------------

const igvk_events *console_events(void) {
    static const igvk_events events = {
        .message = on_message, .progress = on_progress, .stop = on_stop, .plan = on_plan};
    const char *terminal = getenv("TERM");
    console.terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    console.shown_at = console.terminal ? -1e9 : now();
    take_signals();
    return &events;
}

void console_row(const char *format, ...) {
    erase_line();
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

int console_end(igvk_status status) {
    if (console.waiting)
        show_line();
    keep_line();
    switch (status) {
    case IGVK_OK:
        return EXIT_FINE;
    case IGVK_INTERRUPTED:
        say("igvk: ", "interrupted");
        return 128 + (stop_signal ? stop_signal : SIGINT); // as shells tell of a signal: 130 for Ctrl-C
    case IGVK_ERROR_INVALID:
    case IGVK_ERROR_IO:
    case IGVK_ERROR_DEVICE_MEMORY: // what was asked for does not fit: the line says what would
        say("igvk: ", igvk_error_text());
        return EXIT_USAGE;
    default:
        say("igvk: ", igvk_error_text());
        return EXIT_FAULT;
    }
}
