// SPDX-License-Identifier: MIT
#include "training/run_folder.h"

#include "core/file.h"
#include "core/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_FORMAT "checkpoint-%08llu.safetensors"
#define SAMPLES "samples"
#define SHEET_FORMAT "step-%08llu.png"
#define LOG_LIMIT (1u << 30)

char *run_checkpoint_path(const char *run, uint64_t step) {
    char name[64];
    snprintf(name, sizeof name, CHECKPOINT_FORMAT, (unsigned long long)step);
    return path_join(run, name);
}

char *run_sheet_path(const char *run, uint64_t step) {
    char name[64];
    snprintf(name, sizeof name, SAMPLES "/" SHEET_FORMAT, (unsigned long long)step);
    return path_join(run, name);
}

char *run_config_path(const char *run) {
    return path_join(run, "config.json");
}

igvk_status run_write_config(const char *run, const char *json) {
    char *path = run_config_path(run);
    igvk_status status = path ? file_write_atomic(path, json, strlen(json)) : fail_memory("a path", 0);
    free(path);
    return status;
}

// The step of a checkpoint's name; false for any other name.
static bool step_of_name(const char *name, uint64_t *step) {
    unsigned long long value = 0;
    char again[64];
    if (sscanf(name, "checkpoint-%20llu", &value) != 1)
        return false;
    snprintf(again, sizeof again, CHECKPOINT_FORMAT, value);
    *step = value;
    return strcmp(again, name) == 0;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

igvk_status run_checkpoints(const char *run, uint64_t **steps, size_t *count) {
    igvk_status status = IGVK_OK;
    char **names = NULL;
    size_t name_count = 0;
    *steps = NULL;
    *count = 0;
    TRY(folder_list(run, &names, &name_count));
    *steps = calloc(name_count + 1, sizeof **steps);
    if (!*steps) {
        status = fail_memory("a list of checkpoints", name_count * sizeof **steps);
        goto done;
    }
    for (size_t i = 0; i < name_count; i++)
        *count += step_of_name(names[i], &(*steps)[*count]);
    qsort(*steps, *count, sizeof **steps, ascending);
done:
    folder_list_free(&names, name_count);
    return status;
}

igvk_status run_newest_checkpoint(const char *run, char **path) {
    uint64_t *steps = NULL;
    size_t count = 0;
    *path = NULL;
    igvk_status status = run_checkpoints(run, &steps, &count);
    if (status == IGVK_OK && count == 0)
        status = fail(IGVK_ERROR_INVALID, "%s: holds no checkpoint", run);
    if (status == IGVK_OK && !(*path = run_checkpoint_path(run, steps[count - 1])))
        status = fail_memory("a path", 0);
    free(steps);
    return status;
}

igvk_status run_missing_checkpoints(const char *run, uint64_t keep, uint64_t *missing) {
    uint64_t *steps = NULL;
    size_t count = 0;
    igvk_status status = run_checkpoints(run, &steps, &count);
    *missing = keep > count ? keep - count + 1 : 1;
    free(steps);
    return status;
}

static igvk_status remove_file(char *path) { // frees the path
    igvk_status status = IGVK_OK;
    if (!path)
        status = fail_memory("a path", 0);
    else if (remove(path) != 0 && errno != ENOENT)
        status = fail(IGVK_ERROR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    free(path);
    return status;
}

static igvk_status remove_old(const char *run, uint64_t keep) {
    uint64_t *steps = NULL;
    size_t count = 0;
    igvk_status status = run_checkpoints(run, &steps, &count);
    for (size_t i = 0; status == IGVK_OK && i + keep < count; i++)
        status = remove_file(run_checkpoint_path(run, steps[i]));
    free(steps);
    return status;
}

igvk_status run_prune(const char *run, uint64_t keep) {
    igvk_status status = remove_old(run, keep);
    return status == IGVK_OK ? run_remove_leftovers(run) : status;
}

// ---- what a kill left ------------------------------------------------------------------------------

#define TEMPORARY_MARK ".tmp-" // core/file.h: PATH.tmp-PID-N

static bool is_sheet_name(const char *name) {
    unsigned long long step = 0;
    char again[64];
    if (sscanf(name, "step-%20llu", &step) != 1)
        return false;
    snprintf(again, sizeof again, SHEET_FORMAT, step);
    return strcmp(again, name) == 0;
}

static bool is_run_name(const char *name) {
    uint64_t step = 0;
    return step_of_name(name, &step) || strcmp(name, "config.json") == 0 || strcmp(name, "log.jsonl") == 0;
}

// Whether `name` is what an atomic write leaves when it is killed, of a file that passes `mine`.
static bool is_leftover(const char *name, bool (*mine)(const char *)) {
    char written[64];
    const char *mark = strstr(name, TEMPORARY_MARK), *digits = "0123456789";
    size_t length = mark ? (size_t)(mark - name) : 0;
    if (!mark || length >= sizeof written)
        return false;
    memcpy(written, name, length);
    written[length] = 0;
    const char *process = mark + strlen(TEMPORARY_MARK), *dash = process + strspn(process, digits);
    size_t count = *dash == '-' ? strspn(dash + 1, digits) : 0;
    return dash > process && count > 0 && dash[1 + count] == 0 && mine(written);
}

static igvk_status remove_leftovers(const char *folder, bool (*mine)(const char *)) {
    igvk_status status = IGVK_OK;
    char **names = NULL;
    size_t count = 0;
    TRY(folder_list(folder, &names, &count));
    for (size_t i = 0; i < count; i++)
        if (is_leftover(names[i], mine))
            TRY(remove_file(path_join(folder, names[i])));
done:
    folder_list_free(&names, count);
    return status;
}

igvk_status run_remove_leftovers(const char *run) {
    igvk_status status = remove_leftovers(run, is_run_name);
    char *samples = path_join(run, SAMPLES);
    if (!samples)
        return fail_memory("a path", 0);
    if (status == IGVK_OK && path_is_folder(samples))
        status = remove_leftovers(samples, is_sheet_name);
    free(samples);
    return status;
}

// ---- log -------------------------------------------------------------------------------------------

struct run_log {
    FILE *file;
    char *path;
};

// Length of the part of the log whose steps are below first_step: lines begin {"step": N.
static size_t kept_length(const char *text, uint64_t first_step) {
    const char *line = text;
    while (*line) {
        unsigned long long step = 0;
        const char *end = strchr(line, '\n');
        if (!end || (sscanf(line, "{\"step\": %20llu", &step) == 1 && step >= first_step))
            break;
        line = end + 1;
    }
    return (size_t)(line - text);
}

static igvk_status cut_log(const char *path, uint64_t first_step) {
    char *text = NULL;
    size_t size = 0;
    if (!path_exists(path))
        return IGVK_OK;
    igvk_status status = file_read(path, LOG_LIMIT, &text, &size);
    if (status == IGVK_OK)
        status = file_write_atomic(path, text, kept_length(text, first_step));
    free(text);
    return status;
}

igvk_status run_log_open(const char *run, uint64_t first_step, run_log **out) {
    igvk_status status = IGVK_OK;
    run_log *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l || !(l->path = path_join(run, "log.jsonl"))) {
        status = fail_memory("the log", 0);
        goto done;
    }
    TRY(cut_log(l->path, first_step));
    l->file = fopen(l->path, "a");
    if (!l->file)
        THROW(IGVK_ERROR_IO, "%s: cannot be written: %s", l->path, strerror(errno));
    *out = l;
    l = NULL;
done:
    run_log_close(&l);
    return status;
}

igvk_status run_log_line(run_log *l, const char *json, ...) {
    text_buffer line = {0};
    va_list arguments;
    va_start(arguments, json);
    text_append_v(&line, json, arguments);
    va_end(arguments);
    text_append(&line, "\n");
    if (!line.text)
        return fail_memory("a line of the log", 0);
    bool bad = fwrite(line.text, 1, line.length, l->file) != line.length;
    text_free(&line);
    if (fflush(l->file) != 0 || bad)
        return fail(IGVK_ERROR_IO, "%s: cannot be written: %s", l->path, strerror(errno));
    return IGVK_OK;
}

void run_log_close(run_log **l) {
    if (!*l)
        return;
    if ((*l)->file)
        fclose((*l)->file);
    free((*l)->path);
    free(*l);
    *l = NULL;
}
