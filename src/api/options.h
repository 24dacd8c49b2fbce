// SPDX-License-Identifier: MIT
// How the option tables are written. A file of tables defines OPTIONS as the struct that a table describes
// and writes one row an option: name, what help shows for the value, one of the kinds below, heading, help
// and, in training's table, whether a resumed run may differ.
//
//     #define OPTIONS igvk_sample_options
//     {"num-steps", "N", OPTION_INTEGER(steps, 1, 1e5, "250"), "Solver", "steps from noise to image"},
#ifndef IGVK_API_OPTIONS_H
#define IGVK_API_OPTIONS_H

#include "core/status.h"

// A field's offset; does not compile where the field is not of that type.
#define OPTION_AT(type, field) (offsetof(OPTIONS, field) + 0 * sizeof(1 ? &((OPTIONS *)0)->field : (type *)0))

#define OPTION_FLAG(field) .kind = IGVK_OPTION_FLAG, .offset = OPTION_AT(bool, field), .standard = "false"
#define OPTION_INTEGER(field, least, most, default_text)                                                               \
    .kind = IGVK_OPTION_INTEGER, .offset = OPTION_AT(uint64_t, field), .low = (least), .high = (most),                 \
    .standard = (default_text)
#define OPTION_NUMBER(field, least, most, default_text)                                                                \
    .kind = IGVK_OPTION_NUMBER, .offset = OPTION_AT(double, field), .low = (least), .high = (most),                    \
    .standard = (default_text)
#define OPTION_DURATION(field, default_text)                                                                           \
    .kind = IGVK_OPTION_DURATION, .offset = OPTION_AT(double, field), .standard = (default_text)
#define OPTION_CHOICE(field, choices, default_text)                                                                    \
    .kind = IGVK_OPTION_CHOICE, .offset = OPTION_AT(uint32_t, field), .words = (choices), .standard = (default_text)
#define OPTION_TEXT(field, default_text)                                                                               \
    .kind = IGVK_OPTION_TEXT, .offset = OPTION_AT(option_text, field), .standard = (default_text)
#define OPTION_PATH(field) .kind = IGVK_OPTION_PATH, .offset = OPTION_AT(option_text, field), .standard = ""

// Where and how a job runs on a device; `...`: what else the table's rows say.
#define OPTION_DEVICE_ROWS(...)                                                                                        \
    {"device", "WHICH", OPTION_TEXT(device, ""), "Device", "index or part of the name; empty: IGVK_DEVICE or the best",  \
     __VA_ARGS__},                                                                                                     \
        {"max-submit-ms", "MS", OPTION_NUMBER(max_submit_ms, 0, 1e6, "0"), "Device",                                   \
         "longest submission, about: long ones are cut, the results stay the same; 0: 200 on GPUs, uncut on CPUs",     \
         __VA_ARGS__},                                                                                                 \
    {                                                                                                                  \
        "gentle", NULL, OPTION_FLAG(gentle), "Device",                                                                 \
            "leave the display its share: submissions of 10 ms, and a pause after each, a fifth of the time",          \
            __VA_ARGS__                                                                                                \
    },                                                                                                                 \
    {                                                                                                                  \
        "vector-width", "BITS", OPTION_CHOICE(vector_width, option_vector_widths, "driver"), "Device",                 \
            "vectors of Mesa's software driver (llvmpipe): 512 is faster on processors with AVX-512",                  \
            __VA_ARGS__                                                                                                \
    }

extern const char *const option_vector_widths[];

typedef char option_text[IGVK_TEXT];

// The largest whole number that f64, and so every reader of JSON, holds exactly with all below it.
#define OPTION_LARGEST 9007199254740991.0

#define OPTION_LIST(table)                                                                                             \
    { .options = (table), .count = sizeof(table) / sizeof *(table), .struct_size = sizeof(OPTIONS) }

// Every field to its default, every other byte to zero.
void options_default(const igvk_option_list *list, void *options);
// What igvk_option_set would refuse is refused here of a struct that a caller filled by hand, which may hold
// anything: numbers out of range or not finite, choices that do not exist, texts without end.
igvk_status options_check(const igvk_option_list *list, const void *options);
// "igvk COMMAND --flag value ..." with every option that is not at its default, for people and to run again.
// malloc'd; null where memory is out.
char *options_command_line(const char *command, const igvk_option_list *list, const void *options);

#endif
