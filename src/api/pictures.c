// SPDX-License-Identifier: MIT
#include "api/pictures.h"

#include "api/latent_decoder.h"

#include <stdlib.h>
#include <string.h>

struct picture_maker {
    model_config model, pictures;
    latent_decoder *decoder; // null: none
    bool preview;
};

static igvk_status check(const picture_options *o, bool pixels) {
    if (pixels && o->vae[0])
        return fail(IGVK_ERROR_INVALID, "--vae %s: %s makes pictures of %u channels, not latents: leave it away",
                    o->vae, o->model_path, o->model->channels);
    if (!o->vae[0] && o->statistics[0])
        return fail(IGVK_ERROR_INVALID, "--latent-stats needs --vae FILE, whose latents they are of");
    if (!o->vae[0] && o->tile)
        return fail(IGVK_ERROR_INVALID, "--tile needs --vae FILE, which it decodes by");
    return IGVK_OK;
}

igvk_status picture_maker_create(const picture_options *o, picture_maker **out) {
    igvk_status status = IGVK_OK;
    const bool pixels = o->model->channels == 1 || o->model->channels == 3;
    picture_maker *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return fail_memory("pictures", sizeof *p);
    p->model = p->pictures = *o->model;
    TRY(check(o, pixels));
    if (o->vae[0]) {
        const latent_decoder_options d = {
            .path = o->vae, .statistics = o->statistics, .model = &p->model, .tile = o->tile};
        TRY(latent_decoder_open(&d, &p->decoder));
        p->pictures = *latent_decoder_pictures(p->decoder);
    } else if (!pixels) {
        p->preview = true;
        p->pictures.channels = 3;
    }
    *out = p;
    p = NULL;
done:
    picture_maker_destroy(&p);
    return status;
}

void picture_maker_destroy(picture_maker **p) {
    if (!*p)
        return;
    latent_decoder_close(&(*p)->decoder);
    free(*p);
    *p = NULL;
}

const model_config *picture_maker_config(const picture_maker *p) {
    return &p->pictures;
}

bool picture_maker_previews(const picture_maker *p) {
    return p->preview;
}

igvk_status picture_maker_load(picture_maker *p, device *d, uint64_t *bytes) {
    igvk_status status = IGVK_OK;
    *bytes = 0;
    if (p->decoder) {
        TRY(latent_decoder_load(p->decoder, d));
        *bytes = latent_decoder_bytes(p->decoder);
    }
done:
    return status;
}

igvk_status picture_maker_run(picture_maker *p, const float *outputs, uint64_t count, float *pictures) {
    if (p->decoder)
        return latent_decoder_run(p->decoder, outputs, count, pictures);
    if (p->preview)
        latent_preview(&p->model, outputs, count, pictures);
    else
        memcpy(pictures, outputs, count * model_elements(&p->model) * sizeof *pictures);
    return IGVK_OK;
}
