// SPDX-License-Identifier: MIT
#include "data/latents_internal.h"

#include "data/dataset_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct latent_set {
    bool is_moments;
    moments_set moments;
    shards_set shards;
};

bool latent_set_recognise(const char *folder) {
    char *moments = moments_folder(folder);
    const bool known = moments || shards_recognise(folder);
    free(moments);
    return known;
}

igvk_status latent_class_names(const char *where, const char *json, uint32_t least, arena *texts, dataset_info *info) {
    igvk_status status = IGVK_OK;
    json_t *list = json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : NULL;
    info->classes = json ? (uint32_t)json_array_size(list) : least;
    if ((json && !json_is_array(list)) || info->classes < least || info->classes > DATASET_CLASSES_MAX)
        THROW(IGVK_ERROR_INVALID, "%s: labels go up to %" PRIu32 ", but its list of classes is of %" PRIu32, where,
              least - 1, info->classes);
    const char **names = arena_alloc(texts, (info->classes + 1) * sizeof *names);
    for (uint32_t k = 0; names && k < info->classes; k++) {
        char number[16];
        snprintf(number, sizeof number, "%" PRIu32, k);
        const char *name = json ? json_string_value(json_array_get(list, k)) : number;
        if (!name)
            THROW(IGVK_ERROR_INVALID, "%s: the name of class %" PRIu32 " is no text", where, k);
        names[k] = arena_copy_text(texts, name);
        if (!names[k])
            names = NULL;
    }
    if (!names)
        TRY(fail_memory("class names", info->classes * sizeof *names));
    info->class_names = names;
done:
    json_decref(list);
    return status;
}

igvk_status latent_set_open(const char *folder, arena *texts, latent_set **out, dataset_info *info) {
    igvk_status status = IGVK_OK;
    char *moments = moments_folder(folder);
    latent_set *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        TRY(fail_memory("latents", sizeof *s));
    *info = (dataset_info){.latents = true};
    s->is_moments = moments != NULL;
    TRY(moments ? moments_open(moments, texts, &s->moments, info) : shards_open(folder, texts, &s->shards, info));
    TRY(dataset_check_shape(folder, info));
    TRY(dataset_check_counts(folder, info));
    *out = s;
    s = NULL;
done:
    free(moments);
    latent_set_close(&s);
    return status;
}

void latent_set_close(latent_set **s) {
    if (!*s)
        return;
    moments_close(&(*s)->moments);
    shards_close(&(*s)->shards);
    free(*s);
    *s = NULL;
}

igvk_status latent_set_read(latent_set *s, uint64_t index, const dataset_draw *draw, float *out, uint32_t *label) {
    return s->is_moments ? moments_read(&s->moments, index, draw, out, label)
                         : shards_read(&s->shards, index, draw, out, label);
}
