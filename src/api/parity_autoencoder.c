// SPDX-License-Identifier: MIT
// Parity of autoencoders: encodings and decodings, image by image, and what is made of them.
#include "api/parity_case.h"

#include "models/autoencoder.h"
#include "vulkan/run_once.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- configuration -----------------------------------------------------------------------------------------

static igvk_status read_levels(const parity_case *c, const json_t *config, autoencoder_config *out) {
    const json_t *multipliers = json_object_get(config, "ch_mult"), *at = json_object_get(config, "attn_resolutions");
    const double resolution = parity_number_or(config, "resolution", 256);
    size_t i, k;
    json_t *value, *sought;
    if (!json_is_array(multipliers) || json_array_size(multipliers) > AUTOENCODER_MAX_LEVELS)
        return fail(IGVK_ERROR_INVALID, "%s: case.json: 'ch_mult' must be a list of at most %d", c->folder,
                    AUTOENCODER_MAX_LEVELS);
    json_array_foreach(multipliers, i, value) {
        const double multiplier = json_number_value(value);
        out->multiplier[i] = multiplier >= 1 && multiplier <= 64 ? (uint32_t)multiplier : 0; // 0: refused by the check
        // Resolutions are nominal: of a level of an image of `resolution`, whatever its real size.
        json_array_foreach(at, k, sought) if (json_number_value(sought) == floor(resolution / (double)(1u << i)))
            out->attention[i] = true;
    }
    out->levels = (uint32_t)json_array_size(multipliers);
    return IGVK_OK;
}

static igvk_status read_config(const parity_case *c, const json_t *config, autoencoder_config *out) {
    igvk_status status = IGVK_OK;
    uint32_t output = 0;
    memset(out, 0, sizeof *out);
    TRY(parity_whole(c, config, "ch", 1, 1 << 12, &out->channels));
    TRY(parity_whole(c, config, "num_res_blocks", 1, 16, &out->blocks));
    TRY(parity_whole(c, config, "z_channels", 1, 1 << 10, &out->inner_channels));
    TRY(parity_whole(c, config, "embed_dim", 1, 1 << 10, &out->latent_channels));
    TRY(parity_whole(c, config, "in_channels", 1, 1 << 10, &out->image_channels));
    TRY(parity_whole(c, config, "out_ch", 1, 1 << 10, &output));
    if (output != out->image_channels || parity_number_or(config, "norm_num_groups", 32) != 32)
        THROW(IGVK_ERROR_INVALID, "%s: case.json: as many channels come out as go in, and groups are 32", c->folder);
    TRY(read_levels(c, config, out));
    TRY(fail_within(autoencoder_check(out), "%s", c->folder));
done:
    return status;
}

// ---- one run -------------------------------------------------------------------------------------------------

typedef struct autoencoder_run {
    parity_case *c;
    const char *name;
    const autoencoder_config *config;
    bool encode;
    parameter_set set;
    store *store;
    tensor_shape in, out; // of one image: [1, C, H, W]
} autoencoder_run;

// The graph of one image, from the external root "in".
static igvk_status build(autoencoder_run *r, graph **g, tensor_id *out) {
    *g = graph_new();
    if (!*g)
        return fail_memory("a graph", 0);
    const tensor_id in = graph_external(*g, ROLE_INPUT, "in", STORAGE_F32, r->in);
    *out = r->encode ? autoencoder_encode(*g, r->config, &r->set, in) : autoencoder_decode(*g, r->config, &r->set, in);
    r->out = shape_of(*g, *out);
    return graph_check(*g);
}

// values of `images` images -> malloc'd results of all.
static igvk_status run_images(autoencoder_run *r, const float *values, uint64_t images, float **results) {
    igvk_status status = IGVK_OK;
    graph *g = NULL;
    const uint64_t from = shape_elements(r->in);
    for (uint64_t i = 0; i < images; i++) {
        tensor_id out;
        TRY(build(r, &g, &out));
        const uint64_t to = shape_elements(r->out);
        if (!*results)
            *results = malloc(images * to * sizeof **results);
        TRY(*results ? IGVK_OK : fail_memory("images", images * to * sizeof **results));
        const once_input input = {"in", values + i * from, from * sizeof(float)};
        const once_output output = {out, *results + i * to, to * sizeof(float)};
        TRY(run_once(r->c->device, r->store, &g, &input, 1, &output, 1));
    }
done:
    graph_destroy(&g);
    return status;
}

// ---- encodings -----------------------------------------------------------------------------------------------

static igvk_status give_moments(autoencoder_run *r, const float *moments, uint64_t images, const float *noise) {
    igvk_status status = IGVK_OK;
    const uint64_t half = shape_elements(r->out) / 2, count = images * half;
    float *values = malloc(4 * count * sizeof *values);
    if (!values)
        return fail_memory("moments", 4 * count * sizeof *values);
    float *mean = values, *variance = values + count, *clamped = values + 2 * count, *sample = values + 3 * count;
    for (uint64_t i = 0; i < images; i++) {
        const float *own = moments + 2 * i * half;
        memcpy(mean + i * half, own, half * sizeof *own);
        memcpy(variance + i * half, own + half, half * sizeof *own);
        for (uint64_t k = 0; k < half; k++)
            clamped[i * half + k] = autoencoder_clamp_log_variance(own[half + k]);
        if (noise)
            autoencoder_sample(own, noise + i * half, half, sample + i * half);
    }
    TRY(parity_give(r->c, mean, count, "%s/mean", r->name));
    TRY(parity_give(r->c, variance, count, "%s/logvar", r->name));
    TRY(parity_give(r->c, clamped, count, "%s/logvar_clamped", r->name));
    if (noise)
        TRY(parity_give(r->c, sample, count, "%s/sample", r->name));
done:
    free(values);
    return status;
}

// ---- decodings -----------------------------------------------------------------------------------------------

// Planes are the channels of all images, each of `height` x `width`.
typedef struct planes {
    const float *values;
    uint64_t count, channels, height, width;
} planes;

static const float *pixel(const planes *p, uint64_t plane, uint64_t row, uint64_t column) {
    return p->values + (plane * p->height + row) * p->width + column;
}

// A part of each plane as large as the reference's: its first rows and columns, or those about its middle.
static igvk_status give_part(parity_case *c, const char *run, const char *name, const planes *p, bool middle) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", run, name);
    const safetensors_entry *e = safetensors_find(c->outputs, full);
    if (!e || e->rank != 4 || e->shape[2] > p->height || e->shape[3] > p->width)
        return IGVK_OK;
    const uint64_t h = e->shape[2], w = e->shape[3];
    const uint64_t top = middle ? (p->height - h) / 2 : 0, left = middle ? (p->width - w) / 2 : 0;
    float *part = malloc(p->count * h * w * sizeof *part);
    if (!part)
        return fail_memory(name, p->count * h * w * sizeof *part);
    for (uint64_t plane = 0; plane < p->count; plane++)
        for (uint64_t row = 0; row < h; row++)
            memcpy(part + (plane * h + row) * w, pixel(p, plane, top + row, left), w * sizeof *part);
    igvk_status status = parity_give(c, part, p->count * h * w, "%s", full);
    free(part);
    return status;
}

static igvk_status give_pooled(parity_case *c, const char *run, const planes *p, uint64_t side) {
    const uint64_t h = p->height / side, w = p->width / side;
    float *pooled = malloc(p->count * h * w * sizeof *pooled + 1);
    if (!pooled)
        return fail_memory("pooled images", p->count * h * w * sizeof *pooled);
    for (uint64_t i = 0; i < p->count * h * w; i++) {
        double sum = 0;
        for (uint64_t k = 0; k < side * side; k++)
            sum += (double)*pixel(p, i / w / h, i / w % h * side + k / side, i % w * side + k % side);
        pooled[i] = (float)(sum / (double)(side * side));
    }
    igvk_status status = parity_give(c, pooled, p->count * h * w, "%s/image_pool%d", run, (int)side);
    free(pooled);
    return status;
}

// Mean, deviation and largest magnitude of each plane.
static igvk_status give_statistics(parity_case *c, const char *run, const planes *p) {
    igvk_status status = IGVK_OK;
    const uint64_t count = p->height * p->width;
    float *values = malloc(3 * p->count * sizeof *values);
    if (!values)
        return fail_memory("statistics", 3 * p->count * sizeof *values);
    for (uint64_t plane = 0; plane < p->count; plane++) {
        const float *own = pixel(p, plane, 0, 0);
        double sum = 0, squares = 0, largest = 0;
        for (uint64_t i = 0; i < count; i++) {
            sum += (double)own[i] / (double)count;
            largest = fmax(largest, fabs((double)own[i]));
        }
        for (uint64_t i = 0; i < count; i++)
            squares += ((double)own[i] - sum) * ((double)own[i] - sum) / (double)count;
        values[plane] = (float)sum;
        values[p->count + plane] = (float)sqrt(squares);
        values[2 * p->count + plane] = (float)largest;
    }
    TRY(parity_give(c, values, p->count, "%s/mean", run));
    TRY(parity_give(c, values + p->count, p->count, "%s/std", run));
    TRY(parity_give(c, values + 2 * p->count, p->count, "%s/absmax", run));
done:
    free(values);
    return status;
}

// VA-VAE's bytes, [N, H, W, C], and what they are truncated from.
static igvk_status give_pixels(parity_case *c, const char *run, const planes *p) {
    igvk_status status = IGVK_OK;
    const uint64_t count = p->count * p->height * p->width;
    float *pixels = malloc(count * sizeof *pixels);
    uint32_t *bytes = malloc(count * sizeof *bytes);
    if (!pixels || !bytes)
        TRY(fail_memory("pixels", count * sizeof *pixels));
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t channel = i % p->channels, place = i / p->channels;
        const uint64_t image = place / p->width / p->height;
        const float x = *pixel(p, image * p->channels + channel, place / p->width % p->height, place % p->width);
        pixels[i] = fminf(fmaxf(fmaf(127.5f, x, 128.0f), 0), 255);
        bytes[i] = (uint32_t)pixels[i];
    }
    TRY(parity_give(c, pixels, count, "%s/pixels", run));
    TRY(parity_give_words(c, bytes, count, "%s/image_u8", run));
done:
    free(pixels);
    free(bytes);
    return status;
}

static igvk_status give_images(autoencoder_run *r, const float *values, uint64_t images) {
    igvk_status status = IGVK_OK;
    const planes p = {values, images * r->out.dim[1], r->out.dim[1], r->out.dim[2], r->out.dim[3]};
    TRY(parity_give(r->c, values, images * shape_elements(r->out), "%s/image", r->name));
    TRY(give_part(r->c, r->name, "image_crop", &p, true));
    TRY(give_part(r->c, r->name, "corner", &p, false));
    TRY(give_pooled(r->c, r->name, &p, 4));
    TRY(give_statistics(r->c, r->name, &p));
    TRY(give_pixels(r->c, r->name, &p));
done:
    return status;
}

// ---- running -------------------------------------------------------------------------------------------------

static bool alias_of(const void *config, const char *name, int naming, char out[PARITY_NAME]) {
    return autoencoder_alias(config, name, naming, out);
}

static igvk_status load(autoencoder_run *r, parameter_layout **l) {
    igvk_status status = IGVK_OK;
    const capabilities *caps = device_capabilities(r->c->device);
    *l = parameter_layout_create(caps->max_binding < caps->max_allocation ? caps->max_binding : caps->max_allocation);
    TRY(*l ? IGVK_OK : fail_memory("the parameter layout", 0));
    autoencoder_parameters(r->config, r->encode ? AUTOENCODER_ENCODER : AUTOENCODER_DECODER, *l);
    TRY(parameter_layout_check(*l));
    r->set = (parameter_set){.layout = *l, .arena_name = "autoencoder", .role = ROLE_PARAMETER};
    TRY(store_create(r->c->device, &r->store));
    TRY(parity_load_weights_named(r->c, r->store, *l, "autoencoder", STORAGE_F32, r->c->weights,
                                  &(parity_names){.alias = alias_of, .user = r->config}));
done:
    return status;
}

static igvk_status check_input(const autoencoder_run *r, const safetensors_entry *e, const char *input) {
    const uint64_t channels = r->encode ? r->config->image_channels : r->config->latent_channels;
    const uint64_t least = r->encode ? autoencoder_factor(r->config) : 1;
    if (e->rank != 4 || e->shape[0] == 0 || e->shape[1] != channels || e->shape[2] < least || e->shape[3] < least ||
        e->shape[2] > 1 << 14 || e->shape[3] > 1 << 14)
        return fail(IGVK_ERROR_INVALID, "%s: input '%s' does not fit the autoencoder", r->c->folder, input);
    return IGVK_OK;
}

static igvk_status run_one(parity_case *c, const autoencoder_config *config, const json_t *entry) {
    igvk_status status = IGVK_OK;
    autoencoder_run r = {.c = c, .name = parity_text_or(entry, "name", ""), .config = config};
    const json_t *inputs = json_object_get(entry, "inputs");
    const char *input = json_string_value(json_array_get(inputs, 0)), *op = parity_text_or(entry, "op", "");
    const char *noise_name = json_string_value(json_array_get(inputs, 1));
    const safetensors_entry *e = NULL, *noise_entry = NULL;
    parameter_layout *layout = NULL;
    float *values = NULL, *noise = NULL, *results = NULL;
    r.encode = strcmp(op, "encode") == 0;
    if (!input || (!r.encode && strcmp(op, "decode") != 0))
        THROW(IGVK_ERROR_INVALID, "%s: run '%s' must name an input and say encode or decode", c->folder, r.name);
    TRY(parity_floats(c->inputs, input, &values, &e));
    TRY(check_input(&r, e, input));
    r.in = SHAPE(1, e->shape[1], e->shape[2], e->shape[3]);
    TRY(load(&r, &layout));
    TRY(run_images(&r, values, e->shape[0], &results));
    if (noise_name)
        TRY(parity_floats(c->inputs, noise_name, &noise, &noise_entry));
    if (noise && noise_entry->elements != e->shape[0] * shape_elements(r.out) / 2)
        THROW(IGVK_ERROR_INVALID, "%s: input '%s' has not the latent's shape", c->folder, noise_name);
    TRY(r.encode ? give_moments(&r, results, e->shape[0], noise) : give_images(&r, results, e->shape[0]));
done:
    store_destroy(&r.store);
    parameter_layout_destroy(&layout);
    free(values);
    free(noise);
    free(results);
    return status;
}

igvk_status parity_run_autoencoder(parity_case *c) {
    igvk_status status = IGVK_OK;
    autoencoder_config config;
    size_t i;
    json_t *entry;
    TRY(read_config(c, json_object_get(c->root, "config"), &config));
    json_array_foreach(c->runs, i, entry) TRY(run_one(c, &config, entry));
done:
    return status;
}
