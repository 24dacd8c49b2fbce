// SPDX-License-Identifier: MIT
// igvk_export: what f16 cannot hold is refused by name; f32 takes it. And the library's boundary: options that a caller
// filled by hand are checked before anything is opened.
#include "core/file.h"
#include "formats/safetensors.h"
#include "igvk/igvk_experimental.h"
#include "models/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char model[] = "igvk-export-model.safetensors", exported[] = "igvk-export-out.safetensors";

// A model whose weights are all `value`.
static void write_model(float value) {
    model_config c = {.kind = "sit",
                      .height = 4,
                      .width = 4,
                      .channels = 1,
                      .patch = 2,
                      .hidden = 8,
                      .depth = 1,
                      .heads = 1,
                      .head_after = 1,
                      .classes = 2,
                      .mlp_ratio = 2};
    parameter_layout *l = parameter_layout_create(1 << 20);
    safetensors_writer *w = NULL;
    char *json = model_config_to_json(&c);
    assert_non_null(l);
    sit_kind.parameters(&c, l);
    assert_int_equal(safetensors_writer_create(model, &w), IGVK_OK);
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        assert_int_equal(safetensors_declare(w, p->name, ELEMENT_F32, p->shape.rank, p->shape.dim), IGVK_OK);
    }
    assert_int_equal(safetensors_set_metadata(w, "igvk.model", json), IGVK_OK);
    assert_int_equal(safetensors_begin_data(w), IGVK_OK);
    for (size_t i = 0; i < parameter_count(l); i++)
        for (uint64_t k = 0; k < shape_elements(parameter_at(l, i)->shape); k++)
            assert_int_equal(safetensors_write(w, &value, sizeof value), IGVK_OK);
    assert_int_equal(safetensors_finish(w), IGVK_OK);
    safetensors_writer_destroy(&w);
    parameter_layout_destroy(&l);
    free(json);
}

static igvk_status export(bool half) {
    igvk_export_options o;
    igvk_export_options_default(&o);
    strcpy(o.model, model);
    strcpy(o.out, exported);
    o.half = half;
    return igvk_export(&o, NULL);
}

static int clean_up(void **state) {
    (void)state;
    unlink(model);
    unlink(exported);
    return 0;
}

static void test_range(void **state) {
    (void)state;
    write_model(65519); // rounds to the largest, 65504
    assert_int_equal(export(true), IGVK_OK);
    unlink(exported);
    write_model(-65520); // the least that rounds to infinity
    assert_int_equal(export(true), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "'pos_embed': element 0 is -65520"));
    assert_non_null(strstr(igvk_error_text(), "--half"));
    assert_false(path_exists(exported));
    assert_int_equal(export(false), IGVK_OK);
}

static void test_boundary(void **state) {
    (void)state;
    igvk_export_options e;
    igvk_bench_options b;
    igvk_parity_options p;
    igvk_export_options_default(&e);
    igvk_bench_options_default(&b);
    igvk_parity_options_default(&p);
    memset(e.out, 'x', sizeof e.out);
    assert_int_equal(igvk_export(&e, NULL), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--out"));
    b.seconds = NAN;
    assert_int_equal(igvk_bench(&b, NULL, NULL, NULL), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--seconds"));
    memset(p.out, 'x', sizeof p.out);
    assert_int_equal(igvk_parity(&p, NULL, 0, NULL, NULL, NULL, NULL), IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "--out"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_range, clean_up),
                                       cmocka_unit_test(test_boundary)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
