// SPDX-License-Identifier: MIT
#include "api/latent_decoder.h"

#include "api/tiles.h"
#include "core/text.h"
#include "graph/compile.h"
#include "models/autoencoder_weights.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SD_SCALE 0.18215 // of SD-VAE's latents (method, chapter 3)
#define SET "autoencoder"

struct latent_decoder {
    latent_decoder_options o;
    autoencoder_file file;
    model_config model, pictures;
    bool normalised; // by statistics: VA-VAE
    float *mean, *deviation;
    tile_axis rows, columns;
    device *device;
    parameter_layout *layout;
    store *store;
    workspace *workspace;
    program *program;
    compiled_graph compiled;
    tensor_id out;
    float *tile_in, *tile_out;
};

// ---- opening -----------------------------------------------------------------------------------------------

static igvk_status check_fits(latent_decoder *d) {
    const autoencoder_config *a = &d->file.config;
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
    const uint32_t channels = d->file.config.latent_channels;
    d->mean = calloc(channels, sizeof *d->mean);
    d->deviation = calloc(channels, sizeof *d->deviation);
    if (!d->mean || !d->deviation)
        return fail_memory("statistics", channels * sizeof *d->mean);
    if (d->normalised)
        return latent_statistics_read(d->o.statistics, channels, d->mean, d->deviation);
    for (uint32_t k = 0; k < channels; k++)
        d->deviation[k] = (float)(1 / SD_SCALE);
    return IGVK_OK;
}

#define LEAST_TILE 8 // latent pixels: what decodes smaller ones sees little but its own edges

static igvk_status lay_out_tiles(latent_decoder *d) {
    igvk_status status = IGVK_OK;
    const uint32_t factor = autoencoder_factor(&d->file.config), tile = d->o.tile / factor;
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
    TRY(autoencoder_open(o->path, AUTOENCODER_DECODER, &d->file));
    TRY(check_fits(d));
    TRY(read_statistics(d));
    TRY(lay_out_tiles(d));
    d->pictures.channels = d->file.config.image_channels;
    d->pictures.height *= autoencoder_factor(&d->file.config);
    d->pictures.width *= autoencoder_factor(&d->file.config);
    *out = d;
    d = NULL;
done:
    latent_decoder_close(&d);
    return status;
}

void latent_decoder_close(latent_decoder **d) {
    if (!*d)
        return;
    program_destroy(&(*d)->program);
    workspace_destroy(&(*d)->workspace);
    compiled_graph_free(&(*d)->compiled);
    store_destroy(&(*d)->store);
    parameter_layout_destroy(&(*d)->layout);
    autoencoder_close(&(*d)->file);
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
    const uint64_t factor = autoencoder_factor(&d->file.config);
    return d->pictures.channels * d->rows.side * factor * d->columns.side * factor;
}

static igvk_status compile(latent_decoder *d) {
    igvk_status status = IGVK_OK;
    const capabilities *caps = device_capabilities(d->device);
    const parameter_set set = {.layout = d->layout, .arena_name = SET, .role = ROLE_PARAMETER};
    graph *g = graph_new();
    TRY(g ? IGVK_OK : fail_memory("a graph", 0));
    const tensor_id in = graph_external(g, ROLE_INPUT, "latent", STORAGE_F32,
                                        SHAPE(1, d->model.channels, d->rows.side, d->columns.side));
    d->out = autoencoder_decode(g, &d->file.config, &set, in);
    TRY(fail_within(graph_compile(&g, caps, &d->out, 1, &d->compiled), "--vae %s", d->o.path));
done:
    graph_destroy(&g);
    return status;
}

uint64_t latent_decoder_bytes(const latent_decoder *d) {
    return d->compiled.plan.peak + parameter_memory_bytes(d->layout, STORAGE_F32) + latent_elements(d) * sizeof(float);
}

static igvk_status refuse_too_large(const latent_decoder *d) {
    const uint32_t factor = autoencoder_factor(&d->file.config);
    const uint64_t need = latent_decoder_bytes(d), available = device_memory_free(d->device);
    char a[32], b[32];
    if (available && need > available)
        return fail(IGVK_ERROR_DEVICE_MEMORY,
                    "--vae %s: decoding %ux%u needs %s of device memory, %s are free: give --tile %u", d->o.path,
                    d->columns.side * factor, d->rows.side * factor, format_bytes(a, need), format_bytes(b, available),
                    (d->rows.side > d->columns.side ? d->rows.side : d->columns.side) / 2 * factor);
    return IGVK_OK;
}

static igvk_status load_weights(latent_decoder *d) {
    igvk_status status = IGVK_OK;
    TRY(store_create(d->device, &d->store));
    TRY(store_add(d->store, "latent", latent_elements(d) * sizeof(float), STORE_DEVICE));
    TRY(parameter_memory_add(d->store, d->layout, SET, STORAGE_F32));
    TRY(parameter_memory_fill(d->store, &(parameter_set){.layout = d->layout, .arena_name = SET},
                              &(parameter_source){.read = autoencoder_read, .user = &d->file}));
done:
    return status;
}

igvk_status latent_decoder_load(latent_decoder *d, device *on) {
    igvk_status status = IGVK_OK;
    const capabilities *caps = device_capabilities(on);
    d->device = on;
    d->layout =
        parameter_layout_create(caps->max_binding < caps->max_allocation ? caps->max_binding : caps->max_allocation);
    TRY(d->layout ? IGVK_OK : fail_memory("the parameter layout", 0));
    autoencoder_parameters(&d->file.config, AUTOENCODER_DECODER, d->layout);
    TRY(parameter_layout_check(d->layout));
    TRY(compile(d));
    TRY(refuse_too_large(d));
    d->tile_in = malloc(latent_elements(d) * sizeof(float));
    d->tile_out = malloc(picture_elements(d) * sizeof(float));
    TRY(d->tile_in && d->tile_out ? IGVK_OK : fail_memory("a tile", picture_elements(d) * sizeof(float)));
    TRY(load_weights(d));
    TRY(workspace_create(on, &d->workspace));
    TRY(workspace_reserve(d->workspace, &d->compiled.plan));
    TRY(program_record(on, &d->compiled.list, &d->compiled.plan, d->store, d->workspace, NULL, &d->program));
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

static igvk_status decode_tile(latent_decoder *d) {
    igvk_status status = IGVK_OK;
    TRY(store_write(d->store, "latent", 0, d->tile_in, latent_elements(d) * sizeof(float)));
    TRY(program_run(d->program, NULL));
    TRY(device_wait(d->device));
    TRY(program_read(d->program, d->out, d->tile_out, picture_elements(d) * sizeof(float)));
done:
    return status;
}

// Adds tile_out with its weights.
static void blend_tile(const latent_decoder *d, uint32_t row, uint32_t column, float *picture) {
    const uint32_t factor = autoencoder_factor(&d->file.config);
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
            TRY(decode_tile(d));
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
