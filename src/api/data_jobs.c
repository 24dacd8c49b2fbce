// SPDX-License-Identifier: MIT
// The makers of datasets behind the public header: options in, events out. (data_show.c looks at them.)
#include "api/options.h"
#include "core/clock.h"
#include "data/glyphs.h"
#include "data/image_folder.h"
#include "igvk/igvk_experimental.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct data_job {
    const char *what;
    const igvk_events *events; // may be null
    double started;
} data_job;

static data_job job_begin(const char *what, const igvk_events *events) {
    return (data_job){.what = what, .events = events, .started = clock_seconds()};
}

static bool job_progress(void *user, uint64_t done, uint64_t total) {
    const data_job *job = user;
    const igvk_events *events = job->events;
    if (events && events->progress) {
        igvk_progress p = {.what = job->what, .done = done, .total = total, .seconds_left = -1};
        p.seconds = clock_seconds() - job->started;
        if (done > 0 && p.seconds > 0) {
            p.rate = (double)done / p.seconds;
            p.seconds_left = total >= done ? (double)(total - done) / p.rate : -1;
        }
        events->progress(events->user, &p);
    }
    return events && events->stop && events->stop(events->user);
}

PRINTF_LIKE(2, 3) static void job_message(const data_job *job, const char *format, ...) {
    if (!job->events || !job->events->message)
        return;
    char text[2 * IGVK_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    job->events->message(job->events->user, text);
}

// What is left out is told by name; what is used is counted at the end.
static void job_source(void *user, const char *path, const char *reason) {
    if (reason)
        job_message(user, "left out: %s: %s", path, reason);
}

static maker_callbacks callbacks_of(data_job *job) {
    return (maker_callbacks){.user = job, .progress = job_progress, .source = job_source};
}

// ---- glyphs -----------------------------------------------------------------------------------------------

// "a,b" in `text`, which is cut up, as a list of its parts; malloc'd, *parts null for an empty text.
static igvk_status split_commas(char *text, const char ***parts, size_t *count) {
    size_t commas = 0;
    for (const char *c = text; *c; c++)
        commas += *c == ',';
    *parts = NULL;
    *count = 0;
    if (!*text)
        return IGVK_OK;
    *parts = malloc((commas + 1) * sizeof **parts);
    if (!*parts)
        return fail_memory("the list of fonts", (commas + 1) * sizeof **parts);
    for (char *part = text; part;) {
        char *comma = strchr(part, ',');
        if (comma)
            *comma++ = 0;
        if (*part)
            (*parts)[(*count)++] = part;
        part = comma;
    }
    return IGVK_OK;
}

igvk_status igvk_data_glyphs(const igvk_glyph_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    igvk_glyph_options copy = *o;
    const char **fonts = NULL;
    size_t font_count = 0;
    data_job job = job_begin("glyphs", events);
    glyph_result result = {0};
    char *made_by = NULL;
    TRY(options_check(igvk_glyph_option_list(), o));
    if (!o->out[0])
        THROW(IGVK_ERROR_INVALID, "--out: name the folder to make");
    made_by = options_command_line("data glyphs", igvk_glyph_option_list(), o);
    TRY(split_commas(copy.fonts, &fonts, &font_count));
    TRY(glyphs_make(&(glyph_options){.folder = o->out,
                                     .characters = o->characters,
                                     .size = (uint32_t)o->size,
                                     .variants = (uint32_t)o->variants,
                                     .fonts = fonts,
                                     .font_count = font_count,
                                     .held_out = o->held_out,
                                     .seed = o->seed,
                                     .made_by = made_by,
                                     .callbacks = callbacks_of(&job)},
                    &result));
    job_message(&job, "%s: %llu images of %u characters from %u fonts (%u left out), %llu held out for validation",
                o->out, (unsigned long long)result.images, (unsigned)result.classes, (unsigned)result.fonts_used,
                (unsigned)result.fonts_skipped, (unsigned long long)result.held_out);
done:
    free(made_by);
    free(fonts);
    return status;
}

// ---- images -----------------------------------------------------------------------------------------------

igvk_status igvk_data_images(const igvk_image_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    data_job job = job_begin("images", events);
    image_folder_result result = {0};
    char *made_by = NULL;
    TRY(options_check(igvk_image_option_list(), o));
    if (!o->from[0])
        THROW(IGVK_ERROR_INVALID, "--from: name the folder of images");
    if (!o->out[0])
        THROW(IGVK_ERROR_INVALID, "--out: name the folder to make");
    made_by = options_command_line("data images", igvk_image_option_list(), o);
    TRY(image_folder_make(&(image_folder_options){.source = o->from,
                                                  .folder = o->out,
                                                  .size = (uint32_t)o->size,
                                                  .channels = (uint32_t)o->channels,
                                                  .flips = o->flips,
                                                  .held_out = o->held_out,
                                                  .made_by = made_by,
                                                  .callbacks = callbacks_of(&job)},
                          &result));
    job_message(&job,
                "%s: %llu images of %u classes, %llu held out for validation; left out: %llu broken files, %llu of "
                "other kinds",
                o->out, (unsigned long long)result.images, (unsigned)result.classes,
                (unsigned long long)result.held_out, (unsigned long long)result.broken,
                (unsigned long long)result.ignored);
done:
    free(made_by);
    return status;
}
