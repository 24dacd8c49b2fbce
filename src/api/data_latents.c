// SPDX-License-Identifier: MIT
// `igvk data latents`: a dataset of pixels through an autoencoder's encoder into the layouts that official training
// scripts read (data/latents.h).
#include "api/autoencoder_program.h"
#include "api/device_choice.h"
#include "api/options.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/philox.h"
#include "core/text.h"
#include "data/dataset.h"
#include "data/latents_writer.h"
#include "igvk/igvk_experimental.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYOUT_AUTO, LAYOUT_MOMENTS, LAYOUT_SHARDS };

typedef struct latents_job {
    const igvk_latents_options *o;
    const igvk_events *events; // may be null
    dataset *data;
    const dataset_info *info;
    autoencoder_program encoder;
    device *device;
    latent_writer *writer;
    bool moments; // the layout
    uint32_t height, width;
    char settings[1024];
    float *pixels, *image; // of the dataset; as the encoder wants it
    float *encoded, *values, *mirrored;
} latents_job;

static void message(const latents_job *j, const char *text) {
    if (j->events && j->events->message)
        j->events->message(j->events->user, text);
}

// ---- what fits what --------------------------------------------------------------------------------------------

static igvk_status check_options(const igvk_latents_options *o) {
    igvk_status status = options_check(igvk_latents_option_list(), o);
    if (status != IGVK_OK)
        return status;
    if (!o->data[0])
        return fail(IGVK_ERROR_INVALID, "--data: name the dataset of pictures (igvk data images makes one)");
    if (!o->vae[0])
        return fail(IGVK_ERROR_INVALID, "--vae: name the autoencoder's file");
    if (!o->out[0])
        return fail(IGVK_ERROR_INVALID, "--out: name the folder to make");
    return IGVK_OK;
}

static igvk_status check_data(latents_job *j) {
    const autoencoder_config *a = &j->encoder.file.config;
    const uint32_t factor = autoencoder_factor(a);
    if (j->info->latents)
        return fail(IGVK_ERROR_INVALID, "%s: holds latents already", j->o->data);
    if (j->info->channels != a->image_channels && j->info->channels != 1)
        return fail(IGVK_ERROR_INVALID, "%s: has images of %u channels, the autoencoder takes %u", j->o->data,
                    j->info->channels, a->image_channels);
    if (j->info->height % factor || j->info->width % factor)
        return fail(IGVK_ERROR_INVALID, "%s: images of %ux%u are no multiples of the autoencoder's %u pixels",
                    j->o->data, j->info->width, j->info->height, factor);
    return IGVK_OK;
}

static igvk_status open_inputs(latents_job *j) {
    igvk_status status = IGVK_OK;
    const igvk_latents_options *o = j->o;
    TRY(check_options(o));
    TRY(dataset_open(o->data, &j->data));
    j->info = dataset_describe(j->data);
    j->encoder.half = AUTOENCODER_ENCODER;
    TRY(autoencoder_open(o->vae, AUTOENCODER_ENCODER | AUTOENCODER_DECODER, &j->encoder.file));
    TRY(check_data(j));
    j->height = j->info->height / autoencoder_factor(&j->encoder.file.config);
    j->width = j->info->width / autoencoder_factor(&j->encoder.file.config);
    // SD-VAE's training scripts read moments, VA-VAE's latents and statistics.
    j->moments = o->layout == LAYOUT_AUTO ? j->encoder.file.config.latent_channels == 4 : o->layout == LAYOUT_MOMENTS;
done:
    return status;
}

static igvk_status create_writer(latents_job *j) {
    igvk_status status = IGVK_OK;
    uint64_t digest = 0;
    TRY(file_digest(j->o->vae, &digest));
    snprintf(j->settings, sizeof j->settings, "igvk data latents: dataset %s, autoencoder %016llx, %s%s, seed %llu\n",
             j->info->digest, (unsigned long long)digest, j->moments ? "moments" : "latents",
             j->o->no_flips ? "" : " with flips", (unsigned long long)j->o->seed);
    TRY(latent_writer_create(&(latent_writer_options){.folder = j->o->out,
                                                      .settings = j->settings,
                                                      .moments = j->moments,
                                                      .flips = !j->o->no_flips,
                                                      .channels = j->encoder.file.config.latent_channels,
                                                      .height = j->height,
                                                      .width = j->width,
                                                      .class_names = j->info->class_names,
                                                      .classes = j->info->classes,
                                                      .count = j->info->count,
                                                      .held_out = j->info->held_out},
                             &j->writer));
done:
    return status;
}

static igvk_status load_encoder(latents_job *j) {
    igvk_status status = IGVK_OK;
    const autoencoder_config *a = &j->encoder.file.config;
    const uint64_t pixels = (uint64_t)a->image_channels * j->info->height * j->info->width;
    const uint64_t moments = 2 * (uint64_t)a->latent_channels * j->height * j->width;
    char text[128], bytes[32];
    j->pixels = malloc(pixels * sizeof *j->pixels);
    j->image = malloc(pixels * sizeof *j->image);
    j->encoded = malloc(moments * sizeof *j->encoded);
    j->values = malloc(moments * sizeof *j->values);
    j->mirrored = malloc(moments * sizeof *j->mirrored);
    if (!j->pixels || !j->image || !j->encoded || !j->values || !j->mirrored)
        TRY(fail_memory("an image", pixels * sizeof *j->pixels));
    TRY(device_open(DEVICE_OPTIONS_OF(j->o), &j->device));
    TRY(autoencoder_program_load(&j->encoder, j->device, SHAPE(1, a->image_channels, j->info->height, j->info->width),
                                 "; encode smaller pictures, or on another device"));
    snprintf(text, sizeof text, "encoding takes %s of device memory, its weights included",
             format_bytes(bytes, autoencoder_program_bytes(&j->encoder)));
    message(j, text);
done:
    return status;
}

// ---- encoding --------------------------------------------------------------------------------------------------

// Means and deviations, or one latent of them, as the official extraction draws it once.
static igvk_status encode(latents_job *j, uint64_t index, bool mirror, float *out, uint32_t *label) {
    igvk_status status = IGVK_OK;
    const autoencoder_config *a = &j->encoder.file.config;
    const uint64_t plane = (uint64_t)j->info->height * j->info->width;
    const uint64_t count = (uint64_t)a->latent_channels * j->height * j->width;
    TRY(dataset_read(j->data, index, &(dataset_draw){.mirror = mirror}, j->pixels, label));
    for (uint32_t c = 0; c < a->image_channels; c++) // grey images: the same in each
        memcpy(j->image + c * plane, j->pixels + (j->info->channels == 1 ? 0 : c * plane), plane * sizeof *j->image);
    TRY(autoencoder_program_run(&j->encoder, j->image, j->encoded));
    for (uint64_t k = 0; k < count; k++) {
        const double deviation = exp(0.5 * (double)autoencoder_clamp_log_variance(j->encoded[count + k]));
        const double noise = j->moments ? 0 : random_normal(j->o->seed, STREAM_POSTERIOR, mirror, (uint32_t)index, k);
        out[k] = (float)(j->encoded[k] + deviation * noise);
        if (j->moments)
            out[count + k] = (float)deviation;
        if (!isfinite(out[k]) || !isfinite(deviation))
            THROW(IGVK_ERROR_NOT_FINITE, "%s: image %llu encodes to numbers that are not finite", j->o->vae,
                  (unsigned long long)index);
    }
done:
    return status;
}

// The labels of what an earlier run encoded: the pixels are read for nothing, which is nothing beside encoding.
static igvk_status read_labels(latents_job *j) {
    igvk_status status = IGVK_OK;
    for (uint64_t i = 0; i < latent_writer_done(j->writer); i++) {
        uint32_t label = 0;
        TRY(dataset_read(j->data, i, NULL, j->pixels, &label));
        latent_writer_label(j->writer, i, label);
    }
done:
    return status;
}

static igvk_status tell(const latents_job *j, uint64_t done, uint64_t present, double start) {
    const double seconds = clock_seconds() - start, rate = seconds > 0 ? (double)(done - present) / seconds : 0;
    igvk_progress p = {.what = "latents",
                       .done = done,
                       .total = j->info->count,
                       .seconds = seconds,
                       .rate = rate,
                       .seconds_left = rate > 0 ? (double)(j->info->count - done) / rate : -1,
                       .device_bytes = device_memory_used(j->device)};
    if (j->events && j->events->progress)
        j->events->progress(j->events->user, &p);
    if (done < j->info->count && j->events && j->events->stop && j->events->stop(j->events->user))
        return fail(IGVK_INTERRUPTED, "stopped after %llu of %llu images; the same command goes on from there",
                    (unsigned long long)done, (unsigned long long)j->info->count);
    return IGVK_OK;
}

static igvk_status encode_all(latents_job *j) {
    igvk_status status = IGVK_OK;
    const uint64_t present = latent_writer_done(j->writer);
    const double start = clock_seconds();
    char text[96];
    TRY(read_labels(j));
    if (present) {
        snprintf(text, sizeof text, "%llu images are there already", (unsigned long long)present);
        message(j, text);
    }
    for (uint64_t i = present; i < j->info->count; i++) {
        uint32_t label = 0;
        TRY(encode(j, i, false, j->values, &label));
        if (!j->o->no_flips)
            TRY(encode(j, i, true, j->mirrored, &label));
        TRY(latent_writer_add(j->writer, j->values, j->mirrored, label));
        TRY(tell(j, i + 1, present, start));
    }
    TRY(latent_writer_finish(j->writer));
done:
    return status;
}

static void tell_end(const latents_job *j) {
    char text[2 * IGVK_TEXT];
    snprintf(text, sizeof text, "%s: %llu images as %s of %ux%ux%u%s%s", j->o->out, (unsigned long long)j->info->count,
             j->moments ? "moments" : "latents", j->encoder.file.config.latent_channels, j->height, j->width,
             j->o->no_flips ? "" : ", mirrored ones beside them",
             j->moments ? "" : "; sample with --latent-stats and its latents_stats.pt");
    message(j, text);
}

igvk_status igvk_data_latents(const igvk_latents_options *o, const igvk_events *events) {
    igvk_status status = IGVK_OK;
    latents_job j = {.o = o, .events = events};
    TRY(open_inputs(&j));
    TRY(load_encoder(&j)); // what is refused leaves no folder
    TRY(create_writer(&j));
    TRY(encode_all(&j));
    tell_end(&j);
done:
    latent_writer_destroy(&j.writer);
    autoencoder_program_close(&j.encoder);
    dataset_close(&j.data);
    device_close(&j.device);
    free(j.pixels);
    free(j.image);
    free(j.encoded);
    free(j.values);
    free(j.mirrored);
    return status;
}
