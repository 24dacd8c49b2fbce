// SPDX-License-Identifier: MIT
#include "api/latent_decoder.h"

#include "api/autoencoder_program.h"
#include "api/tiles.h"
#include "data/latents.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct latent_decoder {
    latent_decoder_options o;
    autoencoder_program program;
    model_config model, pictures;
    bool normalised; // by statistics: VA-VAE
    float *mean, *deviation;
    tile_axis rows, columns;
    float *tile_in, *tile_out;
};

// ---- opening -----------------------------------------------------------------------------------------------

static igvk_status check_fits(latent_decoder *d) {
    const autoencoder_config *a = &d->program.file.config;
    const model_config *m = &d->model;
    if (a->latent_channels != m->channels)
        return fail(IGVK_ERROR_INVALID, "--vae %s: its latents have %u channels, the model's %u", d->o.path,
                    a->latent_channels, m->channels);
    if (a->image_channels != 3 && a->image_channels != 1)
        return fail(IGVK_ERROR_INVALID, "--vae %s: makes pictures of %u channels, must be 1 or 3", d->o.path,
                    a->image_channels);
    if (!d->normalised && a->latent_channels != 4)
        return fail(IGVK_ERROR_INVALID,
                    "--vae %s: latents of %u channels are normalised by statistics of the training set: give "
                    "--latent-stats FILE (latents_stats.pt)",
                    d->o.path, a->latent_channels);
    return IGVK_OK;
}

static igvk_status read_statistics(latent_decoder *d) {
    const uint32_t channels = d->program.file.config.latent_channels;
    d->mean = calloc(channels, sizeof *d->mean);
    d->deviation = calloc(channels, sizeof *d->deviation);
    if (!d->mean || !d->deviation)
        return fail_memory("statistics", channels * sizeof *d->mean);
    if (d->normalised)
        return latent_statistics_read(d->o.statistics, channels, d->mean, d->deviation);
    for (uint32_t k = 0; k < channels; k++)
        d->deviation[k] = (float)(1 / LATENT_SCALE);
    return IGVK_OK;
}

#define LEAST_TILE 8 // latent pixels: what decodes smaller ones sees little but its own edges

static igvk_status lay_out_tiles(latent_decoder *d) {
    igvk_status status = IGVK_OK;
    const uint32_t factor = autoencoder_factor(&d->program.file.config), tile = d->o.tile / factor;
    if (d->o.tile && (d->o.tile % factor || tile < LEAST_TILE))
        THROW(IGVK_ERROR_INVALID, "--tile %u: must be a multiple of %u, from %u on", d->o.tile, factor,
              LEAST_TILE * factor);
    TRY(tile_axis_make(d->model.height, tile, &d->rows));
    TRY(tile_axis_make(d->model.width, tile, &d->columns));
done:
    return status;
}

igvk_status latent_decoder_open(const latent_decoder_options *o, latent_decoder **out) {
    igvk_status status = IGVK_OK;
    latent_decoder *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d)
        return fail_memory("a decoder", sizeof *d);
    d->o = *o;
    d->model = d->pictures = *o->model;
    d->normalised = o->statistics && o->statistics[0];
    d->program.half = AUTOENCODER_DECODER;
    TRY(autoencoder_open(o->path, AUTOENCODER_DECODER, &d->program.file));
    TRY(check_fits(d));
    TRY(read_statistics(d));
    TRY(lay_out_tiles(d));
    d->pictures.channels = d->program.file.config.image_channels;
    d->pictures.height *= autoencoder_factor(&d->program.file.config);
    d->pictures.width *= autoencoder_factor(&d->program.file.config);
    *out = d;
    d = NULL;
done:
    latent_decoder_close(&d);
    return status;
}

void latent_decoder_close(latent_decoder **d) {
    if (!*d)
        return;
    autoencoder_program_close(&(*d)->program);
    free((*d)->mean);
    free((*d)->deviation);
    free((*d)->tile_in);
    free((*d)->tile_out);
    free(*d);
    *d = NULL;
}

const model_config *latent_decoder_pictures(const latent_decoder *d) {
    return &d->pictures;
}

// ---- on the device -----------------------------------------------------------------------------------------

static uint64_t latent_elements(const latent_decoder *d) {
    return (uint64_t)d->model.channels * d->rows.side * d->columns.side;
}

static uint64_t picture_elements(const latent_decoder *d) {
    const uint64_t factor = autoencoder_factor(&d->program.file.config);
    return d->pictures.channels * d->rows.side * factor * d->columns.side * factor;
}

uint64_t latent_decoder_bytes(const latent_decoder *d) {
    return autoencoder_program_bytes(&d->program);
}

igvk_status latent_decoder_load(latent_decoder *d, device *on) {
    igvk_status status = IGVK_OK;
    const uint32_t longest = d->rows.side > d->columns.side ? d->rows.side : d->columns.side;
    char way_out[48];
    snprintf(way_out, sizeof way_out, ": give --tile %u", longest / 2 * autoencoder_factor(&d->program.file.config));
    d->tile_in = malloc(latent_elements(d) * sizeof(float));
    d->tile_out = malloc(picture_elements(d) * sizeof(float));
    TRY(d->tile_in && d->tile_out ? IGVK_OK : fail_memory("a tile", picture_elements(d) * sizeof(float)));
    TRY(autoencoder_program_load(&d->program, on, SHAPE(1, d->model.channels, d->rows.side, d->columns.side), way_out));
done:
    return status;
}

// ---- decoding ----------------------------------------------------------------------------------------------

// The tile's latents, unscaled, into tile_in.
static void cut_tile(latent_decoder *d, const float *latents, uint32_t row, uint32_t column) {
    float *to = d->tile_in;
    for (uint32_t c = 0; c < d->model.channels; c++)
        for (uint32_t y = 0; y < d->rows.side; y++) {
            const float *from = latents + ((uint64_t)c * d->model.height + d->rows.first[row] + y) * d->model.width +
                                d->columns.first[column];
            for (uint32_t x = 0; x < d->columns.side; x++)
                *to++ = from[x] * d->deviation[c] + d->mean[c];
        }
}

// Adds tile_out with its weights.
static void blend_tile(const latent_decoder *d, uint32_t row, uint32_t column, float *picture) {
    const uint32_t factor = autoencoder_factor(&d->program.file.config);
    const uint32_t height = d->rows.side * factor, width = d->columns.side * factor;
    const uint32_t top = d->rows.first[row] * factor, left = d->columns.first[column] * factor;
    for (uint32_t y = 0; y < height; y++) {
        const double down = tile_weight(&d->rows, row, factor, top + y);
        for (uint32_t x = 0; x < width; x++) {
            const double weight = down * tile_weight(&d->columns, column, factor, left + x);
            for (uint32_t c = 0; c < d->pictures.channels; c++)
                picture[((uint64_t)c * d->pictures.height + top + y) * d->pictures.width + left + x] +=
                    (float)(weight * (double)d->tile_out[((uint64_t)c * height + y) * width + x]);
        }
    }
}

// The values of bytes: SiT's clamp(255 (x + 1) / 2), VA-VAE's clamp(127.5 x + 128), both truncated.
static void round_to_bytes(const latent_decoder *d, float *picture, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const float level = d->normalised ? 127.5f * picture[i] + 128 : 255 * (picture[i] + 1) / 2;
        const float byte = level > 0 ? floorf(level < 255 ? level : 255) : 0; // also of what is not a number
        picture[i] = byte / 127.5f - 1;
    }
}

igvk_status latent_decoder_run(latent_decoder *d, const float *latents, uint64_t count, float *pictures) {
    igvk_status status = IGVK_OK;
    const uint64_t from = model_elements(&d->model), to = model_elements(&d->pictures);
    for (uint64_t i = 0; i < count; i++) {
        float *picture = pictures + i * to;
        memset(picture, 0, to * sizeof *picture);
        for (uint32_t tile = 0; tile < d->rows.count * d->columns.count; tile++) {
            const uint32_t row = tile / d->columns.count, column = tile % d->columns.count;
            cut_tile(d, latents + i * from, row, column);
            TRY(autoencoder_program_run(&d->program, d->tile_in, d->tile_out));
            blend_tile(d, row, column, picture);
        }
        round_to_bytes(d, picture, to);
    }
done:
    return status;
}

// Latents are about normal: three deviations are black and white.
void latent_preview(const model_config *c, const float *latents, uint64_t count, float *pictures) {
    const uint64_t plane = (uint64_t)c->height * c->width;
    for (uint64_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < 3; k++)
            for (uint64_t p = 0; p < plane; p++)
                pictures[(i * 3 + k) * plane + p] = latents[(i * c->channels + k % c->channels) * plane + p] / 3;
}
