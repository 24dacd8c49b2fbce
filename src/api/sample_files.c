// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "api/sample_files.h"

#include "api/loaded_model.h"
#include "core/file.h"
#include "data/sheet.h"
#include "formats/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARAMETERS_KEY "igvk"
#define IMAGE_KEY "igvk-image"

struct sample_files {
    sample_files_options o;
    npz_writer *npz;
    uint64_t next;    // the image that comes next
    uint64_t present; // images of an earlier job
    bool made;        // the folder was not there
};

igvk_status image_of_floats(const float *values, const model_config *c, image *out) {
    uint64_t plane = (uint64_t)c->height * c->width;
    igvk_status status = image_create(c->width, c->height, c->channels, out);
    if (status != IGVK_OK)
        return status;
    for (uint64_t i = 0; i < plane; i++)
        for (uint32_t k = 0; k < c->channels; k++)
            out->pixels[i * c->channels + k] = pixel_byte(values[k * plane + i]);
    return IGVK_OK;
}

static char *png_path(const sample_files *f, uint64_t index) {
    char name[32];
    snprintf(name, sizeof name, "%06llu.png", (unsigned long long)index);
    return path_join(f->o.folder, name);
}

static void image_parameters(const sample_files *f, uint64_t index, char *out, size_t size) {
    char number[16];
    const image_request *r = &f->o.requests[index];
    if (f->o.config->classes)
        snprintf(out, size, "class %u (%.64s), seed %llu", r->label, class_name(f->o.class_names, r->label, number),
                 (unsigned long long)r->seed);
    else
        snprintf(out, size, "seed %llu", (unsigned long long)r->seed);
}

// Whether image `index` is there, made with these parameters; another's is refused.
static igvk_status check_present(const sample_files *f, uint64_t index, bool *present) {
    igvk_status status = IGVK_OK;
    char *path = png_path(f, index), *common = NULL, *own = NULL, expected[192];
    *present = false;
    if (!path)
        return fail_memory("a path", 0);
    if (!path_exists(path))
        goto done;
    TRY(png_read_text(path, PARAMETERS_KEY, &common));
    TRY(png_read_text(path, IMAGE_KEY, &own));
    image_parameters(f, index, expected, sizeof expected);
    if (!common || !own || strcmp(common, f->o.parameters) != 0 || strcmp(own, expected) != 0)
        THROW(IGVK_ERROR_INVALID, "%s: is there already and was made with other settings: name another --out", path);
    *present = true;
done:
    free(common);
    free(own);
    free(path);
    return status;
}

static igvk_status count_present(sample_files *f) {
    igvk_status status = IGVK_OK;
    bool present = true;
    char *path = NULL;
    f->made = !path_exists(f->o.folder);
    TRY(folder_create(f->o.folder));
    path = png_path(f, 0);
    TRY(path ? file_check_writable(path) : fail_memory("a path", 0));
    while (f->present < f->o.count) {
        TRY(check_present(f, f->present, &present));
        if (!present)
            break;
        f->present++;
    }
done:
    free(path);
    return status;
}

static igvk_status read_png(const sample_files *f, uint64_t index, image *im) {
    const model_config *c = f->o.config;
    char *path = png_path(f, index);
    igvk_status status = path ? image_read(path, im) : fail_memory("a path", 0);
    if (status == IGVK_OK && (im->width != c->width || im->height != c->height || im->channels != c->channels))
        status = fail(IGVK_ERROR_INVALID, "%s: is of another size than the model's images", path);
    free(path);
    return status;
}

// The npz holds all images: those present are read back.
static igvk_status copy_present(sample_files *f) {
    igvk_status status = IGVK_OK;
    image im = {0};
    for (uint64_t i = 0; i < f->present; i++) {
        image_free(&im);
        TRY(read_png(f, i, &im));
        TRY(npz_write(f->npz, im.pixels, model_elements(f->o.config)));
    }
done:
    image_free(&im);
    return status;
}

igvk_status sample_files_read_present(const sample_files *f, float *images) {
    igvk_status status = IGVK_OK;
    const model_config *c = f->o.config;
    uint64_t plane = (uint64_t)c->height * c->width;
    image im = {0};
    for (uint64_t i = 0; i < f->present; i++, images += plane * c->channels) {
        image_free(&im);
        TRY(read_png(f, i, &im));
        for (uint64_t k = 0; k < plane * c->channels; k++)
            images[k % c->channels * plane + k / c->channels] = (float)im.pixels[k] / 127.5f - 1;
    }
done:
    image_free(&im);
    return status;
}

// "labels" i64 [N], then "arr_0" f32 [N, C, H, W].
static igvk_status begin_latents(sample_files *f) {
    igvk_status status = IGVK_OK;
    const model_config *c = f->o.latents;
    const uint64_t shape[] = {f->o.count, c->channels, c->height, c->width};
    TRY(npz_begin(f->npz, "labels", NPY_I64, 1, &f->o.count));
    for (uint64_t i = 0; i < f->o.count; i++) {
        const int64_t label = f->o.requests[i].label;
        TRY(npz_write(f->npz, &label, sizeof label));
    }
    TRY(npz_begin(f->npz, "arr_0", NPY_F32, 4, shape));
done:
    return status;
}

static igvk_status begin_npz(sample_files *f) {
    igvk_status status = IGVK_OK;
    const model_config *c = f->o.config;
    uint64_t shape[] = {f->o.count, c->height, c->width, c->channels};
    if (f->o.latents && f->present)
        THROW(IGVK_ERROR_INVALID,
              "%s: holds previews of an earlier job, from which --npz cannot have latents: name "
              "another --out, or leave --npz away",
              f->o.folder);
    TRY(npz_create(f->o.npz, &f->npz));
    if (f->o.latents)
        TRY(begin_latents(f));
    else
        TRY(npz_begin(f->npz, "arr_0", NPY_U8, 4, shape));
    TRY(copy_present(f));
done:
    return status;
}

igvk_status sample_files_create(const sample_files_options *o, sample_files **out) {
    igvk_status status = IGVK_OK;
    sample_files *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f)
        return fail_memory("output files", sizeof *f);
    f->o = *o;
    if (o->folder && o->folder[0])
        TRY(count_present(f));
    else
        f->o.folder = NULL;
    if (o->npz && o->npz[0])
        TRY(begin_npz(f));
    f->next = f->present;
    *out = f;
    f = NULL;
done:
    sample_files_destroy(&f);
    return status;
}

void sample_files_destroy(sample_files **f) {
    if (!*f)
        return;
    npz_destroy(&(*f)->npz);
    if ((*f)->made && (*f)->next == 0)
        rmdir((*f)->o.folder); // nothing came of it; fails where anything is inside
    free(*f);
    *f = NULL;
}

uint64_t sample_files_done(const sample_files *f) {
    return f->present;
}

static igvk_status write_png(sample_files *f, uint64_t index, const image *im) {
    char own[192], *path = png_path(f, index);
    if (!path)
        return fail_memory("a path", 0);
    image_parameters(f, index, own, sizeof own);
    image_text texts[] = {{PARAMETERS_KEY, f->o.parameters}, {IMAGE_KEY, own}};
    igvk_status status = image_write_png(path, im, texts, 2);
    free(path);
    return status;
}

igvk_status sample_files_add(sample_files *f, uint32_t count, const float *pictures, const float *outputs) {
    igvk_status status = IGVK_OK;
    image im = {0};
    const uint64_t latents = f->o.latents ? model_elements(f->o.latents) : 0;
    for (uint32_t i = 0; i < count; i++) {
        image_free(&im);
        TRY(image_of_floats(pictures + i * model_elements(f->o.config), f->o.config, &im));
        if (f->npz && f->o.latents)
            TRY(npz_write(f->npz, outputs + i * latents, latents * sizeof *outputs));
        else if (f->npz)
            TRY(npz_write(f->npz, im.pixels, model_elements(f->o.config)));
        if (f->o.folder)
            TRY(write_png(f, f->next, &im));
        f->next++;
    }
done:
    image_free(&im);
    return status;
}

igvk_status sample_files_finish(sample_files *f) {
    return f->npz ? npz_finish(f->npz) : IGVK_OK;
}
