// SPDX-License-Identifier: MIT
#include "data/helpers.c"

#include "api/helpers_files.h"
#include "core/philox.h"
#include "formats/safetensors.h"
#include "models/autoencoder.h"

#include <math.h>

static const autoencoder_config tiny = {.image_channels = 3,
                                        .channels = 32,
                                        .levels = 2,
                                        .multiplier = {1, 1},
                                        .blocks = 1,
                                        .inner_channels = 4,
                                        .latent_channels = 4};
char *write_autoencoder(void) {
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    safetensors_writer *w = NULL;
    autoencoder_parameters(&tiny, AUTOENCODER_ENCODER | AUTOENCODER_DECODER, l);
    assert_ok(parameter_layout_check(l));
    assert_ok(safetensors_writer_create(scratch("vae.safetensors"), &w));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        assert_ok(safetensors_declare(w, p->name, ELEMENT_F32, p->shape.rank, p->shape.dim));
    }
    assert_ok(safetensors_begin_data(w));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        const uint64_t count = shape_elements(p->shape);
        const bool norm = p->shape.rank == 1 && strstr(p->name, ".weight");
        const double scale = p->shape.rank == 1 ? 0.05 : 1 / sqrt((double)count / (double)p->shape.dim[0]);
        for (uint64_t k = 0; k < count; k++) {
            const float value = (float)(norm + scale * random_normal(3, STREAM_INITIALISATION, 0, (uint32_t)i, k));
            assert_ok(safetensors_write(w, &value, sizeof value));
        }
    }
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
    parameter_layout_destroy(&l);
    return strdup(scratch("vae.safetensors"));
}
