// SPDX-License-Identifier: MIT
// Finding font files.
#include "data/font_list.h"

#include "core/file.h"
#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FONTS_MAX = 4096, FOLDER_DEPTH_MAX = 8 /* also ends loops of links */ };

static const char *const endings[] = {".ttf", ".otf", ".ttc", ".pfb"};
enum { ENDINGS = sizeof endings / sizeof *endings };

static const struct {
    const char *package, *file;
} default_set[] = {
    {"fonts-dejavu-core", "DejaVuSans.ttf"},
    {"fonts-dejavu-core", "DejaVuSans-Bold.ttf"},
    {"fonts-dejavu-core", "DejaVuSansMono.ttf"},
    {"fonts-dejavu-core", "DejaVuSansMono-Bold.ttf"},
    {"fonts-dejavu-core", "DejaVuSerif.ttf"},
    {"fonts-dejavu-core", "DejaVuSerif-Bold.ttf"},
    {"fonts-liberation", "LiberationSans-Regular.ttf"},
    {"fonts-liberation", "LiberationSans-Bold.ttf"},
    {"fonts-liberation", "LiberationSansNarrow-Regular.ttf"},
    {"fonts-liberation", "LiberationSansNarrow-Bold.ttf"},
    {"fonts-liberation", "LiberationMono-Regular.ttf"},
    {"fonts-liberation", "LiberationMono-Bold.ttf"},
    {"fonts-liberation", "LiberationSerif-Regular.ttf"},
    {"fonts-liberation", "LiberationSerif-Bold.ttf"},
    {"fonts-freefont-ttf", "FreeSans.ttf"},
    {"fonts-freefont-ttf", "FreeSansBold.ttf"},
    {"fonts-freefont-ttf", "FreeMono.ttf"},
    {"fonts-freefont-ttf", "FreeMonoBold.ttf"},
    {"fonts-freefont-ttf", "FreeSerif.ttf"},
    {"fonts-freefont-ttf", "FreeSerifBold.ttf"},
};
enum { DEFAULT_SET = sizeof default_set / sizeof *default_set };

void font_list_free(font_list *list) {
    folder_list_free(&list->paths, list->count);
    *list = (font_list){0};
}

static igvk_status add_font(font_list *list, const char *path) {
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->paths[i], path))
            return IGVK_OK;
    if (list->count == FONTS_MAX)
        return fail(IGVK_ERROR_INVALID, "%s: more than %d fonts; name a smaller folder", path, FONTS_MAX);
    if (!ARRAY_RESERVE(list->paths, list->capacity, list->count + 1))
        return fail_memory("list of fonts", list->count * sizeof *list->paths);
    char *copy = path_join(path, "");
    if (!copy)
        return fail_memory("path", strlen(path) + 1);
    copy[strlen(path)] = 0;
    list->paths[list->count++] = copy;
    return IGVK_OK;
}

// A folder that cannot be listed is told and passed over.
static igvk_status add_folder(font_list *list, const char *folder, int depth, const maker_callbacks *callbacks) {
    igvk_status status = IGVK_OK;
    char **names = NULL;
    char *path = NULL;
    size_t count = 0;
    status = folder_list(folder, &names, &count);
    if (maker_may_skip(status)) {
        maker_source(callbacks, folder, maker_reason(folder));
        return IGVK_OK;
    }
    for (size_t i = 0; status == IGVK_OK && i < count; i++) {
        path = path_join(folder, names[i]);
        if (!path)
            status = fail_memory("path", strlen(folder));
        else if (names[i][0] != '.' && path_is_folder(path) && depth < FOLDER_DEPTH_MAX)
            status = add_folder(list, path, depth + 1, callbacks);
        else if (name_has_ending(names[i], endings, ENDINGS))
            status = add_font(list, path);
        free(path);
    }
    folder_list_free(&names, count);
    return status;
}

// All fonts below the folders where systems keep them.
static igvk_status add_system(font_list *list, const maker_callbacks *callbacks) {
    static const char *const roots[] = {"/usr/share/fonts", "/usr/local/share/fonts"};
    static const char *const below_home[] = {".local/share/fonts", ".fonts"};
    igvk_status status = IGVK_OK;
    for (size_t i = 0; status == IGVK_OK && i < sizeof roots / sizeof *roots; i++)
        if (path_is_folder(roots[i]))
            status = add_folder(list, roots[i], 0, callbacks);
    const char *home = getenv("HOME");
    for (size_t i = 0; home && status == IGVK_OK && i < sizeof below_home / sizeof *below_home; i++) {
        char *path = path_join(home, below_home[i]);
        if (!path)
            return fail_memory("path", strlen(home));
        if (path_is_folder(path))
            status = add_folder(list, path, 0, callbacks);
        free(path);
    }
    return status;
}

static const char *find_by_name(const font_list *list, const char *file) {
    for (size_t i = 0; i < list->count; i++) {
        const char *slash = strrchr(list->paths[i], '/');
        if (slash && !strcmp(slash + 1, file))
            return list->paths[i];
    }
    return NULL;
}

static igvk_status add_default_set(font_list *list, const maker_callbacks *callbacks) {
    igvk_status status = IGVK_OK;
    font_list system = {0};
    TRY(add_system(&system, callbacks));
    for (size_t i = 0; i < DEFAULT_SET; i++) {
        const char *path = find_by_name(&system, default_set[i].file);
        char reason[80];
        snprintf(reason, sizeof reason, "not installed (Debian package %s)", default_set[i].package);
        if (path)
            TRY(add_font(list, path));
        else
            maker_source(callbacks, default_set[i].file, reason);
    }
    if (!list->count)
        THROW(IGVK_ERROR_INVALID, "no font of the default set is installed; install the packages fonts-dejavu-core, "
                                  "fonts-liberation and fonts-freefont-ttf, or name fonts or folders of them");
done:
    font_list_free(&system);
    return status;
}

igvk_status font_list_find(const char *const *sources, size_t count, const maker_callbacks *callbacks, font_list *out) {
    igvk_status status = IGVK_OK;
    font_list list = {0};
    if (!count)
        TRY(add_default_set(&list, callbacks));
    for (size_t i = 0; i < count; i++) {
        if (!path_exists(sources[i]))
            THROW(IGVK_ERROR_INVALID, "%s: no such font file or folder of fonts", sources[i]);
        if (path_is_folder(sources[i]))
            TRY(add_folder(&list, sources[i], 0, callbacks));
        else
            TRY(add_font(&list, sources[i]));
    }
    if (!list.count)
        THROW(IGVK_ERROR_INVALID, "%s: no font file (.ttf, .otf, .ttc, .pfb) there", sources[0]);
    *out = list;
    list = (font_list){0};
done:
    font_list_free(&list);
    return status;
}
