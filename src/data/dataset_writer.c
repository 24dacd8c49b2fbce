// SPDX-License-Identifier: MIT
// Writing datasets. A shard is gathered in memory, since its header needs the number of its images; what is
// on disk before dataset.json is there is no dataset, and is removed unless finished.
#include "data/dataset.h"

#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"
#include "data/dataset_json.h"
#include "formats/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARD_BYTES_DEFAULT (UINT64_C(256) << 20)
#define SPARE_BYTES (UINT64_C(1) << 20) // headers and dataset.json

struct dataset_writer {
    dataset_info info;
    arena *texts;
    const char *folder;
    const char *made_by;
    bool made_folder;
    bool finished;
    uint32_t shards;       // written
    uint64_t shard_images; // room of one shard
    uint64_t gathered;     // images of the shard being gathered
    uint8_t *images;
    int64_t *labels;
};

static igvk_status copy_texts(dataset_writer *w, const dataset_writer_options *o) {
    w->texts = arena_create();
    if (!w->texts)
        return fail_memory("dataset writer", sizeof *w);
    const char **names = arena_alloc(w->texts, ((size_t)o->classes + 1) * sizeof *names);
    w->folder = arena_copy_text(w->texts, o->folder);
    w->made_by = arena_copy_text(w->texts, o->made_by ? o->made_by : "unknown");
    bool complete = names && w->folder && w->made_by;
    for (uint32_t i = 0; complete && i < o->classes; i++) {
        names[i] = arena_copy_text(w->texts, o->class_names[i]);
        complete = names[i] != NULL;
    }
    if (!complete)
        return fail_memory("class names", o->classes * sizeof *names);
    w->info.class_names = names;
    return IGVK_OK;
}

// A new or an empty folder; nothing else is touched.
static igvk_status claim_folder(dataset_writer *w) {
    igvk_status status = IGVK_OK;
    char **names = NULL;
    size_t count = 0;
    if (!path_exists(w->folder)) {
        TRY(folder_create(w->folder));
        w->made_folder = true;
    }
    if (!path_is_folder(w->folder))
        THROW(IGVK_ERROR_INVALID, "%s: is a file; a dataset needs a new or empty folder", w->folder);
    TRY(folder_list(w->folder, &names, &count));
    if (count)
        THROW(IGVK_ERROR_INVALID, "%s: is not empty (holds %s); a dataset needs a new or empty folder", w->folder,
              names[0]);
done:
    folder_list_free(&names, count);
    return status;
}

// Finds out before the work starts, by making a file and removing it.
static igvk_status check_writable(const dataset_writer *w) {
    igvk_status status = IGVK_OK;
    atomic_file *probe = NULL;
    char *path = dataset_json_path(w->folder);
    if (!path)
        return fail_memory("path", strlen(w->folder) + 16);
    TRY(atomic_file_create(path, &probe));
done:
    atomic_file_destroy(&probe);
    free(path);
    return status;
}

static igvk_status check_space(const dataset_writer *w, uint64_t expected) {
    uint64_t need = 0, available = 0;
    char need_text[32], available_text[32];
    if (!multiply_u64(expected, dataset_image_bytes(&w->info) + sizeof(int64_t), &need) ||
        !add_u64(need, SPARE_BYTES, &need))
        return fail(IGVK_ERROR_INVALID, "%s: %" PRIu64 " images are more than any disk holds", w->folder, expected);
    igvk_status status = disk_free(w->folder, &available);
    if (status == IGVK_OK && available < need)
        status = fail(IGVK_ERROR_IO, "%s: the dataset needs %s, the disk has %s free; choose another or fewer images",
                      w->folder, format_bytes(need_text, need), format_bytes(available_text, available));
    return status;
}

static igvk_status reserve_shard(dataset_writer *w, const dataset_writer_options *o) {
    uint64_t size = dataset_image_bytes(&w->info);
    w->shard_images = (o->shard_bytes ? o->shard_bytes : SHARD_BYTES_DEFAULT) / (size + sizeof(int64_t));
    if (o->expected && w->shard_images > o->expected)
        w->shard_images = o->expected;
    if (!w->shard_images)
        w->shard_images = 1;
    if (w->shard_images > SIZE_MAX / (size + sizeof(int64_t)))
        return fail_memory("one shard", UINT64_MAX);
    w->images = malloc(w->shard_images * size); // pages that are not reached cost nothing
    w->labels = malloc(w->shard_images * sizeof *w->labels);
    if (!w->images || !w->labels)
        return fail_memory("one shard", w->shard_images * (size + sizeof *w->labels));
    return IGVK_OK;
}

igvk_status dataset_writer_create(const dataset_writer_options *o, dataset_writer **out) {
    igvk_status status = IGVK_OK;
    *out = NULL;
    dataset_writer *w = calloc(1, sizeof *w);
    if (!w)
        return fail_memory("dataset writer", sizeof *w);
    w->info = (dataset_info){.channels = o->channels,
                             .height = o->height,
                             .width = o->width,
                             .classes = o->classes,
                             .held_out = o->held_out,
                             .flips = o->flips};
    TRY(copy_texts(w, o));
    TRY(dataset_check_shape(o->folder, &w->info));
    TRY(reserve_shard(w, o));
    TRY(claim_folder(w));
    TRY(check_writable(w));
    TRY(check_space(w, o->expected));
    *out = w;
    w = NULL;
done:
    dataset_writer_destroy(&w);
    return status;
}

static igvk_status write_shard(dataset_writer *w) {
    igvk_status status = IGVK_OK;
    safetensors_writer *file = NULL;
    const dataset_info *info = &w->info;
    uint64_t shape[4] = {w->gathered, info->channels, info->height, info->width};
    char *path = dataset_shard_path(w->folder, w->shards);
    if (!path)
        return fail_memory("shard path", strlen(w->folder) + 40);
    TRY(safetensors_writer_create(path, &file));
    TRY(safetensors_declare(file, "images", ELEMENT_U8, 4, shape));
    TRY(safetensors_declare(file, "labels", ELEMENT_I64, 1, shape));
    TRY(safetensors_begin_data(file));
    TRY(safetensors_write(file, w->images, w->gathered * dataset_image_bytes(info)));
    TRY(safetensors_write(file, w->labels, w->gathered * sizeof *w->labels));
    TRY(safetensors_finish(file));
    w->shards++;
    w->gathered = 0;
done:
    safetensors_writer_destroy(&file);
    free(path);
    return status;
}

igvk_status dataset_append(dataset_writer *w, const uint8_t *image, uint32_t label) {
    igvk_status status = IGVK_OK;
    if (label >= (w->info.classes ? w->info.classes : 1))
        THROW(IGVK_ERROR_INVALID, "%s: label %" PRIu32 " of image %" PRIu64 " is out of range", w->folder, label,
              w->info.count);
    if (w->gathered == w->shard_images)
        TRY(write_shard(w));
    uint64_t size = dataset_image_bytes(&w->info);
    memcpy(w->images + w->gathered * size, image, size);
    w->labels[w->gathered++] = label;
    w->info.count++;
done:
    return status;
}

void dataset_set_held_out(dataset_writer *w, uint64_t held_out) {
    w->info.held_out = held_out;
}

igvk_status dataset_finish(dataset_writer *w) {
    igvk_status status = IGVK_OK;
    char *path = NULL;
    TRY(dataset_check_counts(w->folder, &w->info));
    if (w->gathered)
        TRY(write_shard(w));
    path = dataset_json_path(w->folder);
    if (!path) {
        status = fail_memory("path", strlen(w->folder) + 16);
        goto done;
    }
    TRY(dataset_json_write(path, &w->info, w->made_by));
    w->finished = true;
done:
    free(path);
    return status;
}

static void remove_unfinished(dataset_writer *w) {
    for (uint32_t i = 0; i < w->shards; i++) {
        char *path = dataset_shard_path(w->folder, i);
        if (path)
            remove(path);
        free(path);
    }
    if (w->made_folder)
        remove(w->folder);
}

void dataset_writer_destroy(dataset_writer **w) {
    if (!w || !*w)
        return;
    if (!(*w)->finished)
        remove_unfinished(*w);
    free((*w)->images);
    free((*w)->labels);
    arena_destroy(&(*w)->texts);
    free(*w);
    *w = NULL;
}
