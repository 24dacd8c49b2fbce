// SPDX-License-Identifier: MIT
// Autoencoders without a device: parameter lists, namings, files recognised by shapes, the memory of real sizes.
#include "graph/compile.h"
#include "models/autoencoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static autoencoder_config preset(const char *name) {
    autoencoder_config c;
    assert_int_equal(autoencoder_preset(name, &c), IGVK_OK);
    assert_int_equal(autoencoder_check(&c), IGVK_OK);
    return c;
}

static parameter_layout *layout_of(const autoencoder_config *c, int parts) {
    parameter_layout *l = parameter_layout_create(1u << 30);
    autoencoder_parameters(c, parts, l);
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    return l;
}

// stabilityai/sd-vae-ft-ema: 248 tensors, 83,653,863 parameters.
static void sd_vae_has_the_published_count(void **state) {
    (void)state;
    const autoencoder_config c = preset("sd-vae");
    parameter_layout *l = layout_of(&c, AUTOENCODER_ENCODER | AUTOENCODER_DECODER);
    assert_int_equal(parameter_count(l), 248);
    assert_int_equal(parameter_elements(l), 83653863);
    assert_int_equal(autoencoder_factor(&c), 8);
    parameter_layout_destroy(&l);
}

static void va_vae_attends_at_its_last_level(void **state) {
    (void)state;
    const autoencoder_config c = preset("va-vae");
    parameter_layout *l = layout_of(&c, AUTOENCODER_ENCODER | AUTOENCODER_DECODER);
    assert_int_equal(autoencoder_factor(&c), 16);
    assert_non_null(parameter_find(l, "encoder.down.4.attn.1.q.weight"));
    assert_non_null(parameter_find(l, "decoder.up.4.attn.2.proj_out.bias"));
    assert_null(parameter_find(l, "decoder.up.3.attn.0.q.weight"));
    assert_int_equal(parameter_find(l, "quant_conv.weight")->shape.dim[0], 64);
    parameter_layout_destroy(&l);
}

static void names_have_other_namings(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"encoder.down.0.block.1.conv2.bias", "encoder.down_blocks.0.resnets.1.conv2.bias", NULL},
        {"encoder.down.2.block.0.nin_shortcut.weight", "encoder.down_blocks.2.resnets.0.conv_shortcut.weight", NULL},
        {"encoder.down.1.downsample.conv.weight", "encoder.down_blocks.1.downsamplers.0.conv.weight", NULL},
        {"decoder.up.0.block.2.norm1.weight", "decoder.up_blocks.3.resnets.2.norm1.weight", NULL},
        {"decoder.up.3.upsample.conv.bias", "decoder.up_blocks.0.upsamplers.0.conv.bias", NULL},
        {"decoder.mid.block_2.norm2.bias", "decoder.mid_block.resnets.1.norm2.bias", NULL},
        {"decoder.mid.attn_1.norm.weight", "decoder.mid_block.attentions.0.group_norm.weight", NULL},
        {"encoder.mid.attn_1.q.weight", "encoder.mid_block.attentions.0.to_q.weight",
         "encoder.mid_block.attentions.0.query.weight"},
        {"encoder.mid.attn_1.proj_out.bias", "encoder.mid_block.attentions.0.to_out.0.bias",
         "encoder.mid_block.attentions.0.proj_attn.bias"},
        {"decoder.norm_out.weight", "decoder.conv_norm_out.weight", NULL},
        {"post_quant_conv.weight", "post_quant_conv.weight", NULL},
    };
    const autoencoder_config c = preset("sd-vae");
    char other[AUTOENCODER_NAME];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(autoencoder_alias(&c, cases[i][0], 0, other));
        assert_string_equal(other, cases[i][0]);
        assert_true(autoencoder_alias(&c, cases[i][0], 1, other));
        assert_string_equal(other, cases[i][1]);
        assert_true(autoencoder_alias(&c, cases[i][0], 2, other));
        assert_string_equal(other, cases[i][2] ? cases[i][2] : cases[i][1]);
        assert_false(autoencoder_alias(&c, cases[i][0], 3, other));
    }
}

// ---- recognising -------------------------------------------------------------------------------------------

// A file that holds the layout's tensors under one naming.
typedef struct pretended_file {
    const autoencoder_config *c;
    const parameter_layout *l;
    int naming;
} pretended_file;

static bool find_in_layout(void *user, const char *name, tensor_shape *out) {
    const pretended_file *f = user;
    char stored[AUTOENCODER_NAME];
    for (size_t i = 0; i < parameter_count(f->l); i++) {
        assert_true(autoencoder_alias(f->c, parameter_at(f->l, i)->name, f->naming, stored));
        if (strcmp(stored, name) == 0) {
            *out = parameter_at(f->l, i)->shape;
            return true;
        }
    }
    return false;
}

static void files_are_recognised_in_every_naming(void **state) {
    (void)state;
    static const char *const presets[] = {"sd-vae", "va-vae"};
    for (size_t i = 0; i < 2; i++) {
        const autoencoder_config c = preset(presets[i]);
        parameter_layout *l = layout_of(&c, AUTOENCODER_DECODER);
        for (int naming = 0; naming < 3; naming++) {
            autoencoder_config found;
            assert_int_equal(autoencoder_recognise(find_in_layout, &(pretended_file){&c, l, naming}, &found), IGVK_OK);
            assert_memory_equal(&found, &c, sizeof c);
        }
        parameter_layout_destroy(&l);
    }
}

static void other_files_are_refused(void **state) {
    (void)state;
    const autoencoder_config c = preset("sd-vae");
    parameter_layout *l = parameter_layout_create(1u << 30);
    autoencoder_config found;
    assert_int_equal(autoencoder_recognise(find_in_layout, &(pretended_file){&c, l, 0}, &found), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "holds no autoencoder"));
    assert_int_equal(autoencoder_preset("vq-vae", &found), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "sd-vae and va-vae"));
    parameter_layout_destroy(&l);
}

// ---- memory ------------------------------------------------------------------------------------------------

static const capabilities plain_device = {.cpu = true,
                                          .address = true,
                                          .vector_width = 8,
                                          .max_invocations = 128,
                                          .max_groups = {65535, 65535, 65535},
                                          .max_shared_bytes = 16384,
                                          .max_binding = UINT64_MAX,
                                          .max_allocation = 1u << 30,
                                          .register_tile = true};

// Bytes of the plan and the weights of one image of 512 x 512.
static uint64_t memory_of(const char *name, int part, const capabilities *c) {
    const autoencoder_config config = preset(name);
    const uint32_t side = part == AUTOENCODER_ENCODER ? 512 : 512 / autoencoder_factor(&config);
    const uint32_t channels = part == AUTOENCODER_ENCODER ? 3 : config.latent_channels;
    parameter_layout *l = layout_of(&config, part);
    const parameter_set set = {.layout = l, .arena_name = "autoencoder", .role = ROLE_PARAMETER};
    graph *g = graph_new();
    compiled_graph compiled;
    const tensor_id in = graph_external(g, ROLE_INPUT, "in", STORAGE_F32, SHAPE(1, channels, side, side));
    const tensor_id out = part == AUTOENCODER_ENCODER ? autoencoder_encode(g, &config, &set, in)
                                                      : autoencoder_decode(g, &config, &set, in);
    assert_int_equal(graph_compile(&g, c, &out, 1, &compiled), IGVK_OK);
    const uint64_t weights = 4 * parameter_elements(l);
    print_message("%s, %s 512x512: %zu dispatches, plan %.0f MiB, weights %.0f MiB\n", name,
                  part == AUTOENCODER_ENCODER ? "encoding" : "decoding", compiled.list.count,
                  (double)compiled.plan.peak / 1048576, (double)weights / 1048576);
    const uint64_t bytes = compiled.plan.peak + weights;
    compiled_graph_free(&compiled);
    parameter_layout_destroy(&l);
    return bytes;
}

static void images_of_512_fit_two_gibibytes(void **state) {
    (void)state;
    capabilities gpu = plain_device;
    gpu.cpu = gpu.register_tile = false;
    gpu.vector_width = 32;
    static const char *const presets[] = {"sd-vae", "va-vae"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(memory_of(presets[i], AUTOENCODER_DECODER, &plain_device) < UINT64_C(1) << 31);
        assert_true(memory_of(presets[i], AUTOENCODER_DECODER, &gpu) < UINT64_C(1) << 31);
        assert_true(memory_of(presets[i], AUTOENCODER_ENCODER, &plain_device) < UINT64_C(1) << 31);
    }
}

// ---- the latent distribution ---------------------------------------------------------------------------------

static void variances_are_clamped(void **state) {
    (void)state;
    const float moments[] = {1, 2, 3, 0, -100, 100}, noise[] = {2, 1, 1};
    float out[3];
    autoencoder_sample(moments, noise, 3, out);
    assert_true(out[0] == 3);
    assert_true(out[1] > 2 && out[1] - 2 < 1e-6f);       // exp(-15), not exp(-50)
    assert_true(out[2] > 22029.0f && out[2] < 22030.0f); // 3 + exp(10)
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sd_vae_has_the_published_count), cmocka_unit_test(va_vae_attends_at_its_last_level),
        cmocka_unit_test(names_have_other_namings),       cmocka_unit_test(files_are_recognised_in_every_naming),
        cmocka_unit_test(other_files_are_refused),        cmocka_unit_test(images_of_512_fit_two_gibibytes),
        cmocka_unit_test(variances_are_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
