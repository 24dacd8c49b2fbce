// SPDX-License-Identifier: MIT
#include "cli/console.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *bytes_text(char out[32], uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    snprintf(out, 32, "%.*f %s", unit > 0 && value < 9.95 ? 1 : 0, value, units[unit]);
    return out;
}

char *seconds_text(char out[32], double seconds) {
    if (!(seconds < 1e9)) {
        snprintf(out, 32, "?");
        return out;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s < 60)
        snprintf(out, 32, "%us", s);
    else if (s < 3600)
        snprintf(out, 32, "%um%02us", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, 32, "%uh%02um", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%ud%02uh", s / 86400, s / 3600 % 24);
    return out;
}

// Appends at *length, which grows with what is written; what does not fit is left out.
CONSOLE_PRINTF(4, 5) static void append(char *out, size_t size, size_t *length, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(out + *length, size - *length, format, arguments);
    va_end(arguments);
    if (written > 0)
        *length = *length + (size_t)written < size ? *length + (size_t)written : size - 1;
}

void progress_line(char *out, size_t size, const igvk_progress *p) {
    char text[32];
    size_t length = 0;
    append(out, size, &length, "%s %llu", p->what ? p->what : "work", (unsigned long long)p->done);
    if (p->total)
        append(out, size, &length, "/%llu", (unsigned long long)p->total);
    if (p->steps)
        append(out, size, &length, ", step %u/%u", p->step, p->steps);
    if (p->total && p->done >= p->total)
        append(out, size, &length, " in %s", seconds_text(text, p->seconds));
    else if (p->seconds_left >= 0)
        append(out, size, &length, ", %s left", seconds_text(text, p->seconds_left));
    else
        append(out, size, &length, ", %s", seconds_text(text, p->seconds));
    for (uint32_t k = 0; k < p->term_count; k++)
        append(out, size, &length, ", %s %.4f", k ? p->terms[k].name : "loss", p->terms[k].value);
    if (p->rate > 0)
        append(out, size, &length, ", %.*f images/s", p->rate < 9.95 ? 2 : 0, p->rate);
    if (p->gradient_norm != 0)
        append(out, size, &length, ", gradient %.3g", p->gradient_norm);
    if (p->device_bytes)
        append(out, size, &length, ", %s", bytes_text(text, p->device_bytes));
    if (p->learning_rate != 0)
        append(out, size, &length, ", rate %.3g", p->learning_rate);
}
