// SPDX-License-Identifier: MIT
// Images of a folder to a dataset, in three walks over the names: one counts, one writes the training images,
// one the held-out ones. Only one class's names are in memory at a time.
#include "data/image_folder.h"

#include "core/file.h"
#include "core/memory.h"
#include "data/dataset.h"
#include "data/dataset_json.h"
#include "formats/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const endings[] = {".png", ".jpg", ".jpeg"};
enum { ENDINGS = sizeof endings / sizeof *endings };

typedef struct maker {
    const image_folder_options *options;
    image_folder_result *result;
    char **classes; // names of the class folders, owned; null where unconditional
    size_t class_count;
    uint64_t files;    // candidates in all classes
    uint64_t held_out; // of them
    dataset_writer *writer;
    uint8_t *planes; // one image as C,H,W
} maker;

typedef enum walk { WALK_COUNT, WALK_TRAINING, WALK_HELD_OUT } walk;

// ---- one image --------------------------------------------------------------------------------------------

static igvk_status load_planes(maker *m, const char *path) {
    igvk_status status = IGVK_OK;
    image file = {0}, converted = {0}, square = {0};
    uint32_t channels = m->options->channels;
    TRY(image_read(path, &file));
    TRY(image_convert_channels(&file, channels, &converted));
    TRY(image_centre_crop(&converted, m->options->size, &square));
    size_t pixels = (size_t)square.width * square.height;
    for (size_t i = 0; i < pixels; i++)
        for (uint32_t c = 0; c < channels; c++)
            m->planes[c * pixels + i] = square.pixels[i * channels + c];
done:
    image_free(&file);
    image_free(&converted);
    image_free(&square);
    return status;
}

static igvk_status add_file(maker *m, const char *path, uint32_t label) {
    igvk_status status = load_planes(m, path);
    if (maker_may_skip(status)) {
        maker_source(&m->options->callbacks, path, maker_reason(path));
        m->result->broken++;
        return IGVK_OK;
    }
    if (status == IGVK_OK)
        status = dataset_append(m->writer, m->planes, label);
    if (status == IGVK_OK)
        m->result->images++;
    return status;
}

// ---- walks ------------------------------------------------------------------------------------------------

// `index` counts the candidates of all classes, in order.
static igvk_status visit_file(maker *m, walk w, const char *path, uint32_t label, uint64_t index) {
    igvk_status status = IGVK_OK;
    const image_folder_options *o = m->options;
    if (index >= m->files)
        THROW(IGVK_ERROR_IO, "%s: was changed while being read; run again", o->source);
    if (hold_out_chosen(o->seed, index, m->files, m->held_out) != (w == WALK_HELD_OUT))
        goto done;
    TRY(add_file(m, path, label));
    TRY(maker_progress(&o->callbacks, m->result->images + m->result->broken, m->files));
done:
    return status;
}

static igvk_status walk_class(maker *m, walk w, const char *folder, uint32_t label, uint64_t *index) {
    igvk_status status = IGVK_OK;
    char **names = NULL;
    char *path = NULL;
    size_t count = 0;
    TRY(folder_list(folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        if (!name_has_ending(names[i], endings, ENDINGS)) {
            m->result->ignored += w == WALK_COUNT && names[i][0] != '.';
            continue;
        }
        uint64_t place = (*index)++;
        if (w == WALK_COUNT)
            continue;
        path = path_join(folder, names[i]);
        if (!path) {
            status = fail_memory("path", strlen(folder) + strlen(names[i]) + 2);
            goto done;
        }
        TRY(visit_file(m, w, path, label, place));
        free(path);
        path = NULL;
    }
done:
    free(path);
    folder_list_free(&names, count);
    return status;
}

static igvk_status walk_all(maker *m, walk w) {
    igvk_status status = IGVK_OK;
    uint64_t index = 0;
    char *folder = NULL;
    if (!m->classes)
        TRY(walk_class(m, w, m->options->source, 0, &index));
    for (size_t c = 0; c < m->class_count; c++) {
        uint64_t before = index;
        folder = path_join(m->options->source, m->classes[c]);
        if (!folder) {
            status = fail_memory("path", strlen(m->classes[c]));
            goto done;
        }
        TRY(walk_class(m, w, folder, (uint32_t)c, &index));
        if (w == WALK_COUNT && index == before)
            maker_source(&m->options->callbacks, folder, "class without a PNG or JPEG file");
        free(folder);
        folder = NULL;
    }
    if (w == WALK_COUNT)
        m->files = index;
    else if (index != m->files)
        THROW(IGVK_ERROR_IO, "%s: was changed while being read; run again", m->options->source);
done:
    free(folder);
    return status;
}

// ---- the source's layout ----------------------------------------------------------------------------------

// Keeps of `names` those that are class folders, in order; takes the others out of the list.
static igvk_status keep_folders(const char *source, char **names, size_t *count, bool *has_images) {
    size_t kept = 0, all = *count;
    for (size_t i = 0; i < all; i++) {
        char *path = path_join(source, names[i]);
        if (!path)
            return fail_memory("path", strlen(names[i]));
        bool folder = names[i][0] != '.' && path_is_folder(path);
        free(path);
        *has_images |= !folder && name_has_ending(names[i], endings, ENDINGS);
        if (!folder)
            continue;
        char *name = names[i];
        names[i] = names[kept];
        names[kept++] = name;
    }
    for (size_t i = kept; i < all; i++)
        free(names[i]);
    *count = kept;
    return IGVK_OK;
}

static igvk_status find_classes(maker *m) {
    igvk_status status = IGVK_OK;
    const char *source = m->options->source;
    bool has_images = false;
    char **names = NULL;
    size_t count = 0;
    if (!path_is_folder(source))
        THROW(IGVK_ERROR_INVALID, "%s: %s; name a folder of images, or of one folder for each class", source,
              path_exists(source) ? "is a file" : "no such folder");
    TRY(folder_list(source, &names, &count));
    TRY(keep_folders(source, names, &count, &has_images));
    if (count && has_images)
        THROW(IGVK_ERROR_INVALID, "%s: holds both images and folders; keep one or the other", source);
    if (count > DATASET_CLASSES_MAX)
        THROW(IGVK_ERROR_INVALID, "%s: holds %zu folders, more than %d classes", source, count, DATASET_CLASSES_MAX);
    if (count) {
        m->classes = names;
        m->class_count = count;
        names = NULL;
        count = 0;
    }
    m->result->classes = (uint32_t)m->class_count;
done:
    folder_list_free(&names, count);
    return status;
}

static igvk_status check_options(const image_folder_options *o) {
    if (o->size < 1 || o->size > DATASET_SIDE_MAX)
        return fail(IGVK_ERROR_INVALID, "image size %" PRIu32 ": must be 1 to %d", o->size, DATASET_SIDE_MAX);
    if (o->channels != 1 && o->channels != 3)
        return fail(IGVK_ERROR_INVALID, "%" PRIu32 " channels: images have 1 (grey) or 3 (colour)", o->channels);
    return hold_out_check(o->source, o->held_out);
}

static igvk_status open_writer(maker *m) {
    const image_folder_options *o = m->options;
    dataset_writer_options w = {.folder = o->folder,
                                .channels = o->channels,
                                .height = o->size,
                                .width = o->size,
                                .class_names = (const char *const *)m->classes,
                                .classes = (uint32_t)m->class_count,
                                .flips = o->flips,
                                .shard_bytes = o->shard_bytes,
                                .made_by = o->made_by,
                                .expected = m->files};
    m->planes = malloc((size_t)o->channels * o->size * o->size);
    if (!m->planes)
        return fail_memory("one image", (uint64_t)o->channels * o->size * o->size);
    return dataset_writer_create(&w, &m->writer);
}

igvk_status image_folder_make(const image_folder_options *o, image_folder_result *result) {
    igvk_status status = IGVK_OK;
    maker m = {.options = o, .result = result};
    *result = (image_folder_result){0};
    TRY(check_options(o));
    TRY(find_classes(&m));
    TRY(walk_all(&m, WALK_COUNT));
    if (!m.files)
        THROW(IGVK_ERROR_INVALID, "%s: has no PNG or JPEG file, nor any of its folders", o->source);
    m.held_out = hold_out_count(m.files, o->held_out);
    TRY(open_writer(&m));
    TRY(walk_all(&m, WALK_TRAINING));
    uint64_t training = result->images;
    TRY(walk_all(&m, WALK_HELD_OUT));
    if (!training)
        THROW(IGVK_ERROR_INVALID, "%s: none of the %" PRIu64 " training files can be read as an image", o->source,
              m.files - m.held_out);
    result->held_out = result->images - training;
    dataset_set_held_out(m.writer, result->held_out);
    TRY(dataset_finish(m.writer));
done:
    dataset_writer_destroy(&m.writer);
    folder_list_free(&m.classes, m.class_count);
    free(m.planes);
    return status;
}
