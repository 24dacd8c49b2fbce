// SPDX-License-Identifier: MIT
// Weights of one model as the start of another: what is taken, what is new, what is resampled, what is refused.
#define _POSIX_C_SOURCE 200809L
#include "formats/helpers.h"
#include "models/weights_adapt.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEED 7

static const model_config small = {.kind = "sit",
                                   .height = 8,
                                   .width = 8,
                                   .channels = 3,
                                   .patch = 2,
                                   .hidden = 8,
                                   .depth = 3,
                                   .heads = 2,
                                   .head_after = 1,
                                   .classes = 3,
                                   .null_class = true,
                                   .mlp_ratio = 4};

static parameter_layout *layout_of(const model_config *c) {
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    assert_non_null(l);
    model_kind_find(c->kind)->parameters(c, l);
    assert_ok(parameter_layout_check(l));
    return l;
}

// Element k of parameter i is 1000 i + k / 1024, but of the position table: 10 row + column.
static float value_of(const parameter_layout *l, const model_config *c, size_t i, uint64_t k) {
    if (strcmp(parameter_at(l, i)->name, "pos_embed") == 0) {
        const uint64_t token = k / c->hidden, columns = c->width / c->patch;
        return (float)(10 * (token / columns) + token % columns);
    }
    return (float)(1000 * i) + (float)k / 1024;
}

static void write_model(const model_config *c) {
    parameter_layout *l = layout_of(c);
    safetensors_writer *w = NULL;
    char *json = model_config_to_json(c);
    assert_ok(safetensors_writer_create(scratch("from.safetensors"), &w));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        assert_ok(safetensors_declare(w, p->name, ELEMENT_F32, p->shape.rank, p->shape.dim));
    }
    assert_ok(safetensors_set_metadata(w, "igvk.model", json));
    assert_ok(safetensors_begin_data(w));
    for (size_t i = 0; i < parameter_count(l); i++)
        for (uint64_t k = 0; k < shape_elements(parameter_at(l, i)->shape); k++) {
            float value = value_of(l, c, i, k);
            assert_ok(safetensors_write(w, &value, sizeof value));
        }
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
    parameter_layout_destroy(&l);
    free(json);
}

// A model written as `from` and adapted to `to`.
typedef struct adaption {
    weights_file *file;
    parameter_layout *from, *to;
    adapted_weights *adapted;
    igvk_status status;
} adaption;

static adaption adapt(const model_config *from, const model_config *to) {
    adaption a = {.from = layout_of(from), .to = layout_of(to)};
    write_model(from);
    assert_ok(weights_open(scratch("from.safetensors"), "ema", &a.file));
    a.status = weights_adapt(a.file, to, a.to, SEED, &a.adapted);
    return a;
}

static void release(adaption *a) {
    adapted_weights_free(&a->adapted);
    weights_close(&a->file);
    parameter_layout_destroy(&a->from);
    parameter_layout_destroy(&a->to);
}

static size_t index_of(const parameter_layout *l, const char *name) {
    size_t i = 0;
    while (strcmp(parameter_at(l, i)->name, name) != 0)
        i++;
    return i;
}

// Values of a parameter, read in two pieces. malloc'd.
static float *read_all(adaption *a, const char *name) {
    const size_t i = index_of(a->to, name);
    const uint64_t count = shape_elements(parameter_at(a->to, i)->shape), cut = count / 3;
    float *v = malloc(count * sizeof *v);
    assert_ok(adapted_weights_read(a->adapted, a->to, i, 0, cut, v));
    assert_ok(adapted_weights_read(a->adapted, a->to, i, cut, count - cut, v + cut));
    return v;
}

static void assert_taken(adaption *a, const model_config *from, const char *name) {
    const size_t at = index_of(a->from, name);
    float *v = read_all(a, name);
    for (uint64_t k = 0; k < shape_elements(parameter_at(a->from, at)->shape); k++)
        assert_true(v[k] == value_of(a->from, from, at, k));
    free(v);
}

static void assert_new(adaption *a, const char *name) {
    const size_t i = index_of(a->to, name);
    const uint64_t count = shape_elements(parameter_at(a->to, i)->shape);
    uint64_t seed = SEED;
    float *v = read_all(a, name), *want = malloc(count * sizeof *want);
    assert_ok(parameter_initialise(&seed, a->to, i, 0, count, want));
    assert_memory_equal(v, want, count * sizeof *v);
    free(v);
    free(want);
}

static void test_same(void **state) {
    (void)state;
    adaption a = adapt(&small, &small);
    assert_ok(a.status);
    assert_string_equal(adapted_weights_notes(a.adapted), "");
    for (size_t i = 0; i < parameter_count(a.to); i++)
        assert_taken(&a, &small, parameter_at(a.to, i)->name);
    release(&a);
}

static void test_classes(void **state) {
    (void)state;
    model_config to = small;
    to.classes = 5;
    adaption a = adapt(&small, &to);
    assert_ok(a.status);
    assert_non_null(strstr(adapted_weights_notes(a.adapted), "5 classes, 3 in the file, whose no-class row is kept"));
    const char *table = "y_embedder.embedding_table.weight";
    float *v = read_all(&a, table);
    for (uint64_t k = 0; k < small.hidden; k++) {
        const float null = value_of(a.from, &small, index_of(a.from, table), small.classes * small.hidden + k);
        assert_true(v[to.classes * small.hidden + k] == null);
    }
    for (uint64_t k = 0; k < to.classes * small.hidden; k++)
        assert_true(fabsf(v[k]) < 0.2f); // new: normal numbers times 0.02, the file's are above 1000
    free(v);
    assert_taken(&a, &small, "blocks.2.attn.qkv.weight");
    release(&a);
    to.null_class = false;
    a = adapt(&small, &to);
    assert_ok(a.status);
    assert_new(&a, table);
    release(&a);
    to.classes = 0;
    a = adapt(&small, &to);
    assert_ok(a.status);
    release(&a);
    a = adapt(&to, &small); // the file has no table
    assert_ok(a.status);
    assert_new(&a, table);
    release(&a);
}

// Twice as fine: between the centres of the cells, and flat beyond the outer ones.
static void test_positions(void **state) {
    (void)state;
    static const double places[8] = {0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3};
    model_config to = small;
    to.height = to.width = 16;
    adaption a = adapt(&small, &to);
    assert_ok(a.status);
    float *v = read_all(&a, "pos_embed");
    for (uint64_t token = 0; token < 64; token++)
        assert_true(fabs(v[token * 8 + 5] - (10 * places[token / 8] + places[token % 8])) < 1e-5);
    free(v);
    assert_non_null(strstr(adapted_weights_notes(a.adapted), "resampled from 8x8 to 16x16"));
    release(&a);
    to.height = 8; // 4 rows of 8
    a = adapt(&small, &to);
    assert_ok(a.status);
    v = read_all(&a, "pos_embed");
    for (uint64_t token = 0; token < 32; token++)
        assert_true(fabs(v[token * 8] - ((double)(10 * (token / 8)) + places[token % 8])) < 1e-5);
    free(v);
    release(&a);
}

static void test_head(void **state) {
    (void)state;
    model_config to = small, none = small;
    to.head_after = 2;
    none.head_after = 0;
    const model_config *froms[] = {&small, &none};
    for (int k = 0; k < 2; k++) {
        adaption a = adapt(froms[k], &to);
        assert_ok(a.status);
        assert_new(&a, "final_layer_xr.linear.weight");
        assert_new(&a, "final_layer_xr.adaLN_modulation.1.bias");
        assert_taken(&a, froms[k], "final_layer.linear.weight");
        assert_non_null(strstr(adapted_weights_notes(a.adapted), k ? "the file has none" : "after block 2, 1 in the file"));
        release(&a);
    }
}

static void test_refused(void **state) {
    (void)state;
    model_config to = small;
    to.hidden = 16;
    adaption a = adapt(&small, &to);
    assert_int_equal(a.status, IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "'pos_embed' is F32 [1x16x8], needed float [1x16x16]"));
    release(&a);
    to = small;
    to.depth = 2;
    a = adapt(&small, &to);
    assert_int_equal(a.status, IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "'blocks.2."));
    release(&a);
    to = small;
    strcpy(to.kind, "lightningdit");
    a = adapt(&small, &to);
    assert_int_equal(a.status, IGVK_ERROR_INVALID);
    assert_non_null(strstr(igvk_error_text(), "of a sit, which cannot start a lightningdit"));
    release(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_same), SCRATCH_TEST(test_classes), SCRATCH_TEST(test_positions),
                                       SCRATCH_TEST(test_head), SCRATCH_TEST(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
