// SPDX-License-Identifier: MIT
// SiT-XL/2 under the limits of real devices, planned without one: its forward pass at batch 64, what sampling it takes
// beside its weights, what cannot be bound or allocated and is refused by name.
#include "graph/compile.h"
#include "models/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEBI (1ull << 20)

// As of Mesa's software drivers: with addresses a binding's limit does not matter.
static capabilities limits(bool address, uint64_t binding, uint64_t allocation) {
    return (capabilities){.cpu = true,
                          .address = address,
                          .vector_width = 8,
                          .max_invocations = 128,
                          .max_groups = {65535, 65535, 65535},
                          .max_shared_bytes = 16384,
                          .max_binding = address ? UINT64_MAX : binding,
                          .max_allocation = allocation,
                          .register_tile = true};
}

static model_config xl(void) {
    model_config m = {.height = 32,
                      .width = 32,
                      .channels = 4,
                      .classes = 1000,
                      .null_class = true,
                      .learn_sigma = true,
                      .mlp_ratio = 4};
    assert_int_equal(model_config_preset("SiT-XL/2", &m), IGVK_OK);
    return m;
}

static parameter_layout *layout_under(const model_config *m, const capabilities *c) {
    parameter_layout *l =
        parameter_layout_create(c->max_binding < c->max_allocation ? c->max_binding : c->max_allocation);
    sit_kind.parameters(m, l);
    return l;
}

static igvk_status plan_forward(const capabilities *c, uint32_t batch, compiled_graph *out) {
    const model_config m = xl();
    parameter_layout *l = layout_under(&m, c);
    assert_int_equal(parameter_layout_check(l), IGVK_OK);
    graph *g = graph_new();
    const parameter_set p = {.layout = l, .arena_name = "model", .role = ROLE_PARAMETER};
    const model_inputs in = {.x = graph_external(g, ROLE_INPUT, "x", STORAGE_F32, SHAPE(batch, 4, 32, 32)),
                             .t = graph_external(g, ROLE_INPUT, "t", STORAGE_F32, SHAPE(batch)),
                             .labels = graph_external(g, ROLE_INPUT, "y", STORAGE_U32, SHAPE(batch))};
    const model_outputs o = sit_kind.build(g, &m, &p, &in);
    const tensor_id keep[] = {o.final_output, o.intermediate};
    igvk_status status = graph_compile(&g, c, keep, 2, out);
    parameter_layout_destroy(&l);
    return status;
}

static void a_batch_of_64_passes_by_address(void **state) {
    (void)state;
    const capabilities c = limits(true, 128 * MEBI, 2048 * MEBI);
    compiled_graph out;
    assert_int_equal(plan_forward(&c, 64, &out), IGVK_OK);
    assert_true(out.plan.peak < 512 * MEBI);
    compiled_graph_free(&out);
}

// Activations in several blocks: none beyond what is allocated at a time.
static void arenas_beyond_an_allocation_are_several(void **state) {
    (void)state;
    const capabilities c = limits(true, 128 * MEBI, 300 * MEBI);
    compiled_graph out;
    assert_int_equal(plan_forward(&c, 64, &out), IGVK_OK);
    assert_true(out.plan.block_count > 1);
    for (size_t k = 0; k < out.plan.block_count; k++)
        assert_true(out.plan.block_bytes[k] <= 300 * MEBI);
    compiled_graph_free(&out);
}

static void bindings_refuse_by_name(void **state) {
    (void)state;
    const capabilities c = limits(false, 128 * MEBI, 2048 * MEBI);
    compiled_graph out;
    assert_int_equal(plan_forward(&c, 64, &out), IGVK_ERROR_DEVICE_MEMORY);
    assert_non_null(strstr(igvk_error_text(), "64x256x3456"));
    assert_non_null(strstr(igvk_error_text(), "one binding of this device spans at most 128 MiB: use a smaller batch"));
    assert_int_equal(plan_forward(&c, 24, &out), IGVK_OK);
    compiled_graph_free(&out);
}

static void a_tensor_beyond_an_allocation_is_named(void **state) {
    (void)state;
    const capabilities c = limits(true, 128 * MEBI, 8 * MEBI);
    const model_config m = xl();
    parameter_layout *l = layout_under(&m, &c);
    assert_int_not_equal(parameter_layout_check(l), IGVK_OK);
    assert_non_null(strstr(igvk_error_text(), "blocks.0.attn.qkv.weight"));
    parameter_layout_destroy(&l);
}

// One image with CFG is a batch of two: weights as f16 and all that is beside them.
static void sampling_takes_little_beside_the_weights(void **state) {
    (void)state;
    const capabilities c = limits(true, 128 * MEBI, 2048 * MEBI);
    const model_config m = xl();
    compiled_graph out;
    uint64_t weights = 0;
    parameter_layout *l = layout_under(&m, &c);
    for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
        weights += parameter_chunk_elements(l, k) * storage_bytes(STORAGE_F16);
    parameter_layout_destroy(&l);
    assert_int_equal(plan_forward(&c, 2, &out), IGVK_OK);
    assert_true(weights + out.plan.peak < weights + weights / 4);
    assert_true(out.plan.peak < weights / 50); // in fact about one hundredth, in f32
    compiled_graph_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_64_passes_by_address),
        cmocka_unit_test(arenas_beyond_an_allocation_are_several),
        cmocka_unit_test(bindings_refuse_by_name),
        cmocka_unit_test(a_tensor_beyond_an_allocation_is_named),
        cmocka_unit_test(sampling_takes_little_beside_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
