// SPDX-License-Identifier: MIT
// Files of weights: which model they are, which set is taken, what is refused by name; the layout of a published
// checkpoint of 10.8 GB, as a sparse file.
#define _POSIX_C_SOURCE 200809L
#include "formats/helpers.h"
#include "formats/helpers_torch.h"
#include "models/weights.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

static const model_config small = {.kind = "sit",
                                   .height = 4,
                                   .width = 4,
                                   .channels = 3,
                                   .patch = 2,
                                   .hidden = 8,
                                   .depth = 2,
                                   .heads = 2,
                                   .head_after = 1,
                                   .classes = 3,
                                   .null_class = true,
                                   .mlp_ratio = 4};
static const model_hints small_hints = {
    .heads = 2, .head_after = 1, .classes = 3, .knows_classes = true, .knows_path = true};

static parameter_layout *layout_of(const model_config *c) {
    parameter_layout *l = parameter_layout_create(UINT64_MAX / 2);
    assert_non_null(l);
    model_kind_find(c->kind)->parameters(c, l);
    assert_ok(parameter_layout_check(l));
    return l;
}

static tensor_spec spec_of(const parameter *p, const char *key, int64_t numbers, int64_t offset) {
    tensor_spec t = {"FloatStorage", key, numbers, offset, (int)p->shape.rank, {0}, {0}};
    int64_t stride = 1;
    for (int i = t.rank - 1; i >= 0; i--) {
        t.shape[i] = (int64_t)p->shape.dim[i];
        t.stride[i] = stride;
        stride *= t.shape[i];
    }
    return t;
}

// A state dict whose tensors are views of storage "0", whose element i is i + `base`; all but `skip` of the layout.
static void put_state_dict(text_buffer *b, const parameter_layout *l, const char *prefix, int64_t base,
                           const char *skip) {
    int64_t numbers = 2 * (int64_t)parameter_elements(l), at = base;
    put_global(b, "collections", "OrderedDict");
    PUT(b, ")R(");
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        tensor_spec t = spec_of(p, "0", numbers, at);
        char name[128];
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        at += (int64_t)shape_elements(p->shape);
        if (skip && strcmp(skip, p->name) == 0)
            continue;
        put_text(b, name);
        put_tensor(b, &t);
    }
    PUT(b, "u");
}

static void write_counted(const char *path, text_buffer *body, const parameter_layout *l) {
    size_t count = 2 * (size_t)parameter_elements(l);
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)i;
    write_torch(path, body, values, count * sizeof *values);
    free(values);
}

// {"model": first half of the numbers, "ema": second half}, names of both with a prefix.
static void write_both(const char *path, const parameter_layout *l) {
    text_buffer b = {0};
    PUT(&b, "}(");
    put_text(&b, "model");
    put_state_dict(&b, l, "module.", 0, NULL);
    put_text(&b, "ema");
    put_state_dict(&b, l, "module._orig_mod.", (int64_t)parameter_elements(l), NULL);
    put_text(&b, "steps");
    put_integer(&b, 123);
    PUT(&b, "u");
    write_counted(path, &b, l);
}

// Zeros, and a buffer of whole numbers as MDTv2 has them, which is passed over.
static void write_with_index(const char *path, const parameter_layout *l) {
    static const float zeros[4096];
    const int64_t index[4] = {0, 1, 2, 3};
    safetensors_writer *w = NULL;
    assert_ok(safetensors_writer_create(path, &w));
    assert_ok(safetensors_declare(w, "blocks.0.attn.index", ELEMENT_I64, 2, (uint64_t[]){2, 2}));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const parameter *p = parameter_at(l, i);
        assert_ok(safetensors_declare(w, p->name, ELEMENT_F32, p->shape.rank, p->shape.dim));
    }
    assert_ok(safetensors_begin_data(w));
    assert_ok(safetensors_write(w, index, sizeof index));
    for (size_t i = 0; i < parameter_count(l); i++) {
        const uint64_t bytes = shape_elements(parameter_at(l, i)->shape) * sizeof(float);
        assert_true(bytes <= sizeof zeros);
        assert_ok(safetensors_write(w, zeros, bytes));
    }
    assert_ok(safetensors_finish(w));
    safetensors_writer_destroy(&w);
}

static float first_value(weights_file *w, const parameter_layout *l, size_t i) {
    float value = -1, again = -2;
    assert_ok(weights_read(w, l, i, 0, 1, &value));
    assert_ok(weights_read_stored(w, l, i, 0, 1, &again));
    assert_true(value == again);
    return value;
}

static void test_sets(void **state) {
    (void)state;
    parameter_layout *l = layout_of(&small);
    weights_file *w = NULL;
    write_both(scratch("both.pt"), l);
    const float half = (float)parameter_elements(l);
    for (int set = 0; set < 2; set++) {
        assert_ok(weights_open_as(scratch("both.pt"), set ? "ema" : "model", &small_hints, &w));
        assert_ok(weights_check(w, l));
        assert_true(first_value(w, l, 0) == (set ? half : 0));
        assert_true(first_value(w, l, 1) == (set ? half : 0) + (float)shape_elements(parameter_at(l, 0)->shape));
        assert_int_equal(weights_type(w, l, 0), ELEMENT_F32);
        assert_string_equal(weights_metadata(w, "igvk.step"), "123");
        assert_null(weights_metadata(w, "igvk.classes"));
        weights_close(&w);
    }
    parameter_layout_destroy(&l);
}

// A plain state dict has one set; {"model": ...} gives it for the EMA, {"ema": ...} not for the model.
static void test_one_set(void **state) {
    (void)state;
    parameter_layout *l = layout_of(&small);
    weights_file *w = NULL;
    text_buffer b = {0};
    put_state_dict(&b, l, "", 0, NULL);
    write_counted(scratch("plain.pt"), &b, l);
    assert_ok(weights_open_as(scratch("plain.pt"), "model", &small_hints, &w));
    weights_close(&w);
    for (int set = 0; set < 2; set++) {
        PUT(&b, "}");
        put_text(&b, set ? "ema" : "model");
        put_state_dict(&b, l, "", 0, NULL);
        PUT(&b, "s");
        write_counted(scratch("one.pt"), &b, l);
        assert_ok(weights_open_as(scratch("one.pt"), "ema", &small_hints, &w));
        weights_close(&w);
        if (set)
            assert_fails(weights_open(scratch("one.pt"), "model", &w), IGVK_ERROR_INVALID, "no 'model' weights");
    }
    PUT(&b, "}");
    write_counted(scratch("none.pt"), &b, l);
    assert_fails(weights_open(scratch("none.pt"), "ema", &w), IGVK_ERROR_INVALID, "no 'ema' weights");
    parameter_layout_destroy(&l);
}

// A position table that a file has left out is computed, once the input's size is said.
static void test_missing_table(void **state) {
    (void)state;
    parameter_layout *l = layout_of(&small);
    weights_file *w = NULL;
    text_buffer b = {0};
    model_hints sized = small_hints;
    const uint64_t count = shape_elements(parameter_find(l, "pos_embed")->shape);
    float *table = calloc(2 * count, sizeof *table);
    put_state_dict(&b, l, "", 0, "pos_embed");
    write_counted(scratch("tableless.pt"), &b, l);
    assert_fails(weights_open_as(scratch("tableless.pt"), "ema", &small_hints, &w), IGVK_ERROR_INVALID,
                 "--height N and --width N");
    sized.height = small.height, sized.width = small.width;
    assert_ok(weights_open_as(scratch("tableless.pt"), "ema", &sized, &w));
    assert_non_null(strstr(weights_notes(w), "no position table, which is computed"));
    assert_ok(weights_check(w, l));
    position_table(small.width / small.patch, small.hidden, 0, count, table);
    for (size_t i = 0; i < parameter_count(l); i++)
        if (strcmp(parameter_at(l, i)->name, "pos_embed") == 0) {
            assert_ok(weights_read_stored(w, l, i, 0, count, table + count));
            assert_memory_equal(table, table + count, count * sizeof *table);
        }
    free(table);
    weights_close(&w);
    parameter_layout_destroy(&l);
}

static void test_wrong_tensors(void **state) {
    (void)state;
    parameter_layout *l = layout_of(&small);
    weights_file *w = NULL;
    text_buffer b = {0};
    put_state_dict(&b, l, "", 0, "blocks.1.attn.proj.bias");
    write_counted(scratch("missing.pt"), &b, l);
    assert_ok(weights_open_as(scratch("missing.pt"), "ema", &small_hints, &w));
    assert_fails(weights_check(w, l), IGVK_ERROR_INVALID, "'blocks.1.attn.proj.bias' [8] is missing");
    weights_close(&w);

    model_config wider = small;
    wider.classes = 7;
    parameter_layout *other = layout_of(&wider);
    put_state_dict(&b, l, "", 0, NULL);
    write_counted(scratch("other.pt"), &b, l);
    assert_ok(weights_open_as(scratch("other.pt"), "ema", &small_hints, &w));
    assert_fails(weights_check(w, other), IGVK_ERROR_INVALID,
                 "'y_embedder.embedding_table.weight' is F32 [4x8], needed float [8x8]");
    weights_close(&w);
    parameter_layout_destroy(&other);

    wider = small;
    wider.qk_norm = true;
    other = layout_of(&wider);
    put_state_dict(&b, other, "", 0, NULL);
    write_counted(scratch("many.pt"), &b, other);
    assert_ok(weights_open_as(scratch("many.pt"), "ema", &small_hints, &w));
    assert_fails(weights_check(w, l), IGVK_ERROR_INVALID, "8 tensors are too many; 'blocks.0.attn.k_norm.bias' is");
    weights_close(&w);
    parameter_layout_destroy(&other);

    write_with_index(scratch("index.safetensors"), l);
    assert_ok(weights_open_as(scratch("index.safetensors"), "ema", &small_hints, &w));
    assert_ok(weights_check(w, l));
    weights_close(&w);
    parameter_layout_destroy(&l);
}

// ---- which model it is ------------------------------------------------------------------------------------

static igvk_status recognise(const model_config *of, const model_hints *given, const model_hints *beside,
                             model_config *out, char notes[512]) {
    parameter_layout *l = layout_of(of);
    weight_entry *entries = calloc(parameter_count(l), sizeof *entries);
    for (size_t i = 0; i < parameter_count(l); i++) { // sorted by insertion
        const parameter *p = parameter_at(l, i);
        size_t at = i;
        for (; at > 0 && strcmp(entries[at - 1].name, p->name) > 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = (weight_entry){.name = p->name, .rank = p->shape.rank, .shape = p->shape.dim};
    }
    igvk_status status =
        model_recognise("file", &(weight_list){entries, parameter_count(l)}, given, beside, out, notes, 512);
    free(entries);
    parameter_layout_destroy(&l);
    return status;
}

static void assert_recognised(const model_config *c, const model_hints *given, const model_hints *beside) {
    model_config out;
    char notes[512];
    assert_ok(recognise(c, given, beside, &out, notes));
    char *wanted = model_config_to_json(c), *got = model_config_to_json(&out);
    assert_string_equal(got, wanted);
    free(wanted);
    free(got);
}

static void test_recognised(void **state) {
    (void)state;
    model_config c = small, out;
    char notes[512];
    assert_recognised(&c, &small_hints, NULL);
    c.qk_norm = true; // shows the heads
    c.mlp_ratio = 3;
    assert_recognised(&c, &(model_hints){.head_after = 1, .classes = 3, .knows_classes = true, .knows_path = true},
                      NULL);
    c = small;
    c.classes = 0;
    c.null_class = false;
    assert_recognised(&c, &(model_hints){.heads = 2, .head_after = 1, .knows_path = true}, NULL);
    c = small;
    c.height = 8, c.width = 2;
    model_hints sides = small_hints;
    assert_fails(recognise(&c, &(model_hints){0}, NULL, &out, notes), IGVK_ERROR_INVALID, "--classes N");
    sides.height = 8, sides.width = 2;
    assert_recognised(&c, &sides, NULL);
    c.height = 6;
    assert_fails(recognise(&c, &small_hints, NULL, &out, notes), IGVK_ERROR_INVALID, "--height N and --width N");
    assert_fails(recognise(&small, NULL, NULL, &out, notes), IGVK_ERROR_INVALID,
                 "--heads N (attention heads), --head-after K");
    assert_fails(recognise(&small, NULL, NULL, &out, notes), IGVK_ERROR_INVALID, "--path-type linear|cosine");
}

// What is usual for a published model fills what the file does not say, and yields to what it says.
static void test_usual(void **state) {
    (void)state;
    model_config c = small, out;
    char notes[512];
    model_hints usual = small_hints;
    usual.yields = true;
    usual.heads = 4, usual.head_after = 2, usual.path = PATH_COSINE;
    strcpy(usual.preset, "SiT-XL/2");
    c.heads = 4, c.head_after = 2, c.path = PATH_COSINE;
    assert_recognised(&c, &usual, NULL);
    assert_ok(recognise(&c, &usual, NULL, &out, notes));
    assert_non_null(strstr(notes, "head reads block 2, as published for SiT-XL/2"));
    assert_non_null(strstr(notes, "path is cosine, as published for SiT-XL/2"));
    c.head_after = 1, c.path = PATH_LINEAR;
    assert_recognised(&c, &usual, &(model_hints){.head_after = 1, .knows_path = true});
    c.head_after = 2;
    usual.path = PATH_LINEAR;
    strcpy(usual.preset, "LightningDiT-XL/1"); // its time, too
    strcpy(c.kind, "lightningdit");
    assert_recognised(&c, &usual, NULL);
}

// A public model without the head.
static void test_no_head(void **state) {
    (void)state;
    model_config c = small;
    c.head_after = 0;
    assert_recognised(&c, &small_hints, NULL);
    assert_recognised(&c, &(model_hints){.heads = 2, .classes = 3, .knows_classes = true, .knows_path = true}, NULL);
}

// A LightningDiT by its marks; without them, only by what is said.
static void test_lightningdit(void **state) {
    (void)state;
    model_config c = small;
    strcpy(c.kind, "lightningdit");
    assert_recognised(&c,
                      &(model_hints){.kind = "lightningdit",
                                     .heads = 2,
                                     .head_after = 1,
                                     .classes = 3,
                                     .knows_classes = true,
                                     .knows_path = true},
                      NULL);
    assert_recognised(&c, &small_hints, &(model_hints){.preset = "LightningDiT-XL/1"});
    c.rms_norm = c.swiglu = c.rotary = c.no_shift = true;
    assert_recognised(&c, &(model_hints){.head_after = 1, .classes = 3, .knows_classes = true, .knows_path = true},
                      NULL);
}

// A DiT by its outputs of twice the channels; nothing is asked of a path.
static void test_dit(void **state) {
    (void)state;
    model_config c = small;
    strcpy(c.kind, "dit");
    c.learn_sigma = true;
    assert_recognised(&c, &(model_hints){.heads = 2, .head_after = 1, .classes = 3, .knows_classes = true}, NULL);
}

// The presets' sizes tell heads and head, and that is said; what the file says of dropout tells the classes.
static void test_published(void **state) {
    (void)state;
    model_config c = {.kind = "sit",
                      .height = 32,
                      .width = 32,
                      .channels = 4,
                      .classes = 1000,
                      .null_class = true,
                      .mlp_ratio = 4},
                 out;
    char notes[512];
    assert_ok(model_config_preset("SiT-B/2", &c));
    model_hints beside = {.preset = "SiT-B/2", .knows_null_class = true, .null_class = true, .knows_path = true};
    assert_recognised(&c, NULL, &beside);
    assert_ok(recognise(&c, NULL, &beside, &out, notes));
    assert_non_null(strstr(notes, "reads block 4, as published for SiT-B/2"));
}

static void test_hints(void **state) {
    (void)state;
    text_buffer b = {0};
    model_hints h;
    torch_file *f = NULL;
    PUT(&b, "}(");
    put_text(&b, "args");
    put_global(&b, "argparse", "Namespace");
    PUT(&b, ")\x81}(");
    put_text(&b, "model");
    put_text(&b, "SiT-XL/2");
    put_text(&b, "path_type");
    put_text(&b, "cosine");
    put_text(&b, "cfg_prob");
    PUT(&b, "G\x3f\xe0\0\0\0\0\0\0");
    PUT(&b, "ub");
    put_text(&b, "config");
    PUT(&b, "}");
    put_text(&b, "model");
    PUT(&b, "}");
    put_text(&b, "encoder_depth");
    PUT(&b, "K\x08ssu");
    write_torch(scratch("h.pt"), &b, "", 0);
    assert_ok(torch_file_open(scratch("h.pt"), &f));
    model_hints_read(torch_file_root(f), &h);
    assert_string_equal(h.preset, "SiT-XL/2");
    assert_true(h.knows_path && h.path == PATH_COSINE && h.knows_null_class && h.null_class && h.head_after == 8);
    torch_file_close(&f);
}

// ---- a published checkpoint's layout ----------------------------------------------------------------------
// torch.save of {"model", "ema", "opt": {"state": {i: {exp_avg, exp_avg_sq}}}, "args"} of SiT-XL/2: 10.8 GB, each
// storage aligned to 64 bytes by an extra field, zip64 where offsets need it. Zeros are holes.

typedef struct sparse {
    int file;
    uint64_t at;
    text_buffer directory;
    unsigned members;
} sparse;

static void put(text_buffer *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        char byte = i < 8 ? (char)(value >> (8 * i)) : 0;
        text_append_bytes(b, &byte, 1);
    }
}

static void put_at(sparse *s, const text_buffer *b) {
    assert_int_equal(pwrite(s->file, b->text, b->length, (off_t)s->at), (ssize_t)b->length);
    s->at += b->length;
}

// The fields that local header and directory share, from the version needed to the length of the name.
static void put_shared(text_buffer *b, const char *name, uint32_t crc, uint64_t size) {
    put(b, 0, 2);
    put(b, 0, 8); // flags, stored, time and date
    put(b, crc, 4);
    put(b, size, 4);
    put(b, size, 4);
    put(b, strlen(name), 2);
}

// A member of `size` bytes, of which `bytes` (may be null) are written.
static void add_member(sparse *s, const char *name, uint64_t size, uint32_t crc, const void *bytes) {
    text_buffer local = {0};
    uint64_t header = s->at, bare = header + 30 + strlen(name) + 4, padding = (64 - bare % 64) % 64;
    bool far = header >= 0xffffffffu;
    put(&local, 0x04034b50, 4);
    put_shared(&local, name, crc, size);
    put(&local, 4 + padding, 2);
    text_append(&local, "%s", name);
    put(&local, 0x4246, 2);
    put(&local, padding, 2);
    for (uint64_t i = 0; i < padding; i++)
        put(&local, 'Z', 1);
    put_at(s, &local);
    if (bytes)
        assert_int_equal(pwrite(s->file, bytes, size, (off_t)s->at), (ssize_t)size);
    s->at += size;
    text_free(&local);
    put(&s->directory, 0x02014b50, 4);
    put(&s->directory, 0, 2);
    put_shared(&s->directory, name, crc, size);
    put(&s->directory, far ? 12 : 0, 2);
    put(&s->directory, 0, 10); // comment, disk, attributes
    put(&s->directory, far ? 0xffffffffu : header, 4);
    text_append(&s->directory, "%s", name);
    if (far) {
        put(&s->directory, 1, 2);
        put(&s->directory, 8, 2);
        put(&s->directory, header, 8);
    }
    s->members++;
}

static void finish(sparse *s) {
    uint64_t offset = s->at, size = s->directory.length, end64 = offset + size;
    text_buffer *d = &s->directory;
    put(d, 0x06064b50, 4);
    put(d, 44, 8);
    put(d, 0, 12);
    put(d, s->members, 8);
    put(d, s->members, 8);
    put(d, size, 8);
    put(d, offset, 8);
    put(d, 0x07064b50, 4);
    put(d, 0, 4);
    put(d, end64, 8);
    put(d, 1, 4);
    put(d, 0x06054b50, 4);
    put(d, 0, 4);
    put(d, s->members, 2);
    put(d, s->members, 2);
    put(d, size, 4);
    put(d, 0xffffffffu, 4);
    put(d, 0, 2);
    put_at(s, d);
    text_free(d);
}

static void put_storage(text_buffer *b, const parameter *p, unsigned *key) {
    char text[16];
    snprintf(text, sizeof text, "%u", (*key)++);
    tensor_spec t = spec_of(p, text, (int64_t)shape_elements(p->shape), 0);
    put_tensor(b, &t);
}

static void put_published(text_buffer *b, const parameter_layout *l) {
    static const char *const sets[] = {"model", "ema"}, *const moments[] = {"exp_avg", "exp_avg_sq"};
    unsigned key = 0;
    PUT(b, "\x80\x02}(");
    for (int set = 0; set < 2; set++) {
        put_text(b, sets[set]);
        PUT(b, "}(");
        for (size_t i = 0; i < parameter_count(l); i++) {
            put_text(b, parameter_at(l, i)->name);
            put_storage(b, parameter_at(l, i), &key);
        }
        PUT(b, "u");
    }
    put_text(b, "opt");
    PUT(b, "}");
    put_text(b, "state");
    PUT(b, "}(");
    for (size_t i = 0; i < parameter_count(l); i++) {
        put_integer(b, (int64_t)i);
        PUT(b, "}(");
        for (int k = 0; k < 2; k++) {
            put_text(b, moments[k]);
            put_storage(b, parameter_at(l, i), &key);
        }
        PUT(b, "u");
    }
    PUT(b, "us");
    put_text(b, "args");
    put_global(b, "argparse", "Namespace");
    PUT(b, ")\x81}(");
    put_text(b, "model");
    put_text(b, "SiT-XL/2");
    put_text(b, "path_type");
    put_text(b, "linear");
    put_text(b, "num_classes");
    put_integer(b, 1000);
    PUT(b, "ubu.");
}

#define LAST_VALUE 0.625f

// The last value of the EMA's last tensor is LAST_VALUE, all else zero.
static void write_published(const char *path, const parameter_layout *l) {
    sparse s = {.file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)};
    text_buffer b = {0};
    const float last = LAST_VALUE;
    const size_t count = parameter_count(l);
    assert_true(s.file >= 0);
    put_published(&b, l);
    add_member(&s, "archive/data.pkl", b.length, (uint32_t)crc32_z(0, (const unsigned char *)b.text, b.length), b.text);
    for (size_t k = 0; k < 4 * count; k++) {
        char name[48];
        size_t i = k < 2 * count ? k % count : (k - 2 * count) / 2;
        snprintf(name, sizeof name, "archive/data/%zu", k);
        add_member(&s, name, shape_elements(parameter_at(l, i)->shape) * 4, 0, NULL);
        if (k + 1 == 2 * count)
            assert_int_equal(pwrite(s.file, &last, 4, (off_t)s.at - 4), 4);
    }
    add_member(&s, "archive/version", 2, 0, "3\n");
    finish(&s);
    text_free(&b);
    close(s.file);
}

static void test_published_size(void **state) {
    (void)state;
    model_config c = {
        .kind = "sit", .height = 32, .width = 32, .channels = 4, .classes = 1000, .null_class = true, .mlp_ratio = 4};
    assert_ok(model_config_preset("SiT-XL/2", &c));
    parameter_layout *l = layout_of(&c);
    weights_file *w = NULL;
    struct rusage used;
    float ends[2];
    write_published(scratch("xl.pt"), l);
    assert_ok(weights_open(scratch("xl.pt"), "ema", &w));
    assert_ok(weights_check(w, l));
    for (size_t i = 0; i < parameter_count(l); i++) {
        uint64_t elements = shape_elements(parameter_at(l, i)->shape);
        assert_ok(weights_read(w, l, i, 0, 1, &ends[0]));
        assert_ok(weights_read(w, l, i, elements - 1, 1, &ends[1]));
        assert_true(ends[0] == 0 && ends[1] == (i + 1 == parameter_count(l) ? LAST_VALUE : 0));
    }
    weights_close(&w);
    parameter_layout_destroy(&l);
    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    assert_true(used.ru_maxrss < 256 * 1024); // KiB
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_sets),          SCRATCH_TEST(test_one_set),      SCRATCH_TEST(test_wrong_tensors),
        SCRATCH_TEST(test_missing_table), SCRATCH_TEST(test_recognised),   SCRATCH_TEST(test_usual),
        SCRATCH_TEST(test_no_head),       SCRATCH_TEST(test_lightningdit), SCRATCH_TEST(test_dit),
        SCRATCH_TEST(test_published),     SCRATCH_TEST(test_hints),        SCRATCH_TEST(test_published_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
