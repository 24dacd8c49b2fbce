// SPDX-License-Identifier: MIT
// The thread's error text, and the public names of statuses and version.
#include "core/status.h"
#include "core/text.h"

#include <stdio.h>
#include <string.h>

#define ERROR_TEXT_SIZE 1024

static _Thread_local char error_text[ERROR_TEXT_SIZE];

// Error texts quote names from hostile files: what moves a terminal's cursor or breaks the line must not pass.
// U+0080 to U+009F (C2 80 to C2 9F in UTF-8) are control characters too.
static void replace_control_characters(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
}

igvk_status fail_v(igvk_status code, const char *format, va_list arguments) {
    // Formatted aside: an argument may be the present error text.
    char line[ERROR_TEXT_SIZE];
    int length = vsnprintf(line, sizeof line, format, arguments);
    if (length < 0)
        snprintf(line, sizeof line, "%s", format);
    else if ((size_t)length >= sizeof line)
        memcpy(line + sizeof line - 4, "...", 4);
    replace_control_characters(line);
    memcpy(error_text, line, sizeof line);
    return code;
}

igvk_status fail(igvk_status code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fail_v(code, format, arguments);
    va_end(arguments);
    return code;
}

igvk_status fail_within(igvk_status code, const char *format, ...) {
    if (code == IGVK_OK)
        return code;
    char context[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    return fail(code, "%s: %s", context, error_text);
}

igvk_status fail_memory(const char *what, uint64_t bytes) {
    char size[32];
    return fail(IGVK_ERROR_MEMORY, "out of memory: %s needs %s; close other programs or choose a smaller size", what,
                format_bytes(size, bytes));
}

const char *igvk_error_text(void) {
    return error_text;
}

const char *igvk_status_name(igvk_status status) {
    switch (status) {
    case IGVK_OK:
        return "ok";
    case IGVK_ERROR_INVALID:
        return "invalid";
    case IGVK_ERROR_IO:
        return "input or output";
    case IGVK_ERROR_MEMORY:
        return "out of memory";
    case IGVK_ERROR_DEVICE:
        return "device";
    case IGVK_ERROR_DEVICE_MEMORY:
        return "out of device memory";
    case IGVK_ERROR_DEVICE_LOST:
        return "device lost";
    case IGVK_ERROR_NOT_FINITE:
        return "not finite";
    case IGVK_ERROR_INTERNAL:
        return "internal";
    case IGVK_INTERRUPTED:
        return "interrupted";
    }
    return "unknown status";
}

const char *igvk_version(void) {
    return IGVK_VERSION;
}
