// SPDX-License-Identifier: MIT
// Errors as values. A fallible function returns an igvk_status; the one-line text that says what was
// wrong, where, and what to do lies in thread-local storage until the next failure of the thread
// (igvk_error_text, public). The library never prints and never exits.
//
// The shape of a fallible function:
//
//     igvk_status status = IGVK_OK;
//     TRY(step_one(...));
//     if (bad) THROW(IGVK_ERROR_INVALID, "--batch %d: must be at least 1", batch);
//   done:
//     release everything (each x_destroy takes null);
//     return status;
#ifndef IGVK_CORE_STATUS_H
#define IGVK_CORE_STATUS_H

#include "igvk/igvk.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

// Sets the thread's error text (formatted, cut to 1 KiB, control characters replaced so that it stays
// one line) and returns `code`.
igvk_status fail(igvk_status code, const char *format, ...) PRINTF_LIKE(2, 3);
igvk_status fail_v(igvk_status code, const char *format, va_list arguments);

// Puts "context: " before the thread's error text, where `code` is an error; returns `code`.
igvk_status fail_within(igvk_status code, const char *format, ...) PRINTF_LIKE(2, 3);

// The text for a failed allocation of `bytes` for `what`.
igvk_status fail_memory(const char *what, uint64_t bytes);

// These two need a local `igvk_status status` and a label `done`.
#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        status = (expression);                                                                                         \
        if (status != IGVK_OK)                                                                                         \
            goto done;                                                                                                 \
    } while (0)
#define THROW(...)                                                                                                     \
    do {                                                                                                               \
        status = fail(__VA_ARGS__);                                                                                    \
        goto done;                                                                                                     \
    } while (0)

#endif
