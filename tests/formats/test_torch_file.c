// SPDX-License-Identifier: MIT
// Files of torch.save: trees, views and types read back; every file that wants more than to be read is refused.
#include "formats/helpers.h"
#include "formats/helpers_torch.h"
#include "formats/torch_file.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const float numbers[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static const tensor_spec whole = {"FloatStorage", "0", 12, 0, 2, {3, 4}, {4, 1}};

static torch_file *opened(text_buffer *body, const void *storage, size_t size) {
    torch_file *f = NULL;
    write_torch(scratch("a.pt"), body, storage, size);
    assert_ok(torch_file_open(scratch("a.pt"), &f));
    return f;
}

static void refused(text_buffer *body, const char *part) {
    torch_file *f = NULL;
    write_torch(scratch("bad.pt"), body, numbers, sizeof numbers);
    assert_fails(torch_file_open(scratch("bad.pt"), &f), IGVK_ERROR_INVALID, part);
    assert_null(f);
}

#define REFUSED(literal, part)                                                                                         \
    do {                                                                                                               \
        text_buffer b_ = {0};                                                                                          \
        PUT(&b_, literal);                                                                                             \
        refused(&b_, part);                                                                                            \
    } while (0)

// ---- what is read -----------------------------------------------------------------------------------------

// A view of `numbers` gives `expected`, whole and from any element on, in both formats.
static void check_view(tensor_spec t, const float *expected, size_t count) {
    for (int legacy = 0; legacy < 2; legacy++) {
        float out[64];
        torch_file *f = NULL;
        text_buffer body = {0};
        put_tensor(&body, &t);
        if (legacy)
            write_legacy(scratch("v.pt"), &body, t.key, 12, numbers, sizeof numbers);
        else
            write_torch(scratch("v.pt"), &body, numbers, sizeof numbers);
        assert_ok(torch_file_open(scratch("v.pt"), &f));
        assert_int_equal(torch_file_is_zip(f), !legacy);
        const pickle_tensor *v = torch_file_root(f)->tensor;
        assert_int_equal(v->elements, count);
        for (size_t begin = 0; begin <= count; begin++) {
            assert_ok(torch_file_read_f32(f, v, begin, count - begin, out));
            if (begin < count)
                assert_memory_equal(out, expected + begin, (count - begin) * 4);
        }
        assert_fails(torch_file_read(f, v, 1, count, out), IGVK_ERROR_INTERNAL, "beyond its end");
        torch_file_close(&f);
    }
}

static void test_views(void **state) {
    (void)state;
    check_view(whole, numbers, 12);
    check_view((tensor_spec){"FloatStorage", "0", 12, 4, 1, {4}, {1}}, numbers + 4, 4);
    check_view((tensor_spec){"FloatStorage", "0", 12, 0, 2, {4, 3}, {1, 4}},
               (float[]){0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}, 12);
    check_view((tensor_spec){"FloatStorage", "0", 12, 1, 2, {2, 2}, {8, 2}}, (float[]){1, 3, 9, 11}, 4);
    check_view((tensor_spec){"FloatStorage", "0", 12, 5, 2, {3, 2}, {0, 1}}, (float[]){5, 6, 5, 6, 5, 6}, 6);
    check_view((tensor_spec){"FloatStorage", "0", 12, 7, 0, {0}, {0}}, (float[]){7}, 1);
    check_view((tensor_spec){"FloatStorage", "0", 12, 0, 2, {0, 4}, {4, 1}}, numbers, 0);
    check_view((tensor_spec){"FloatStorage", "0", 12, 3, 3, {1, 2, 1}, {99, 1, 77}}, numbers + 3, 2);
}

static void test_types(void **state) {
    (void)state;
    static const struct {
        const char *storage;
        element_type type;
    } types[] = {{"DoubleStorage", ELEMENT_F64}, {"HalfStorage", ELEMENT_F16}, {"BFloat16Storage", ELEMENT_BF16},
                 {"LongStorage", ELEMENT_I64},   {"IntStorage", ELEMENT_I32},  {"ShortStorage", ELEMENT_I16},
                 {"CharStorage", ELEMENT_I8},    {"ByteStorage", ELEMENT_U8},  {"BoolStorage", ELEMENT_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        text_buffer body = {0};
        size_t size = element_size(types[i].type), count = 48 / size;
        unsigned char out[48];
        put_tensor(&body, &(tensor_spec){types[i].storage, "0", (int64_t)count, 0, 1, {(int64_t)count}, {1}});
        torch_file *f = opened(&body, numbers, sizeof numbers);
        const pickle_tensor *t = torch_file_root(f)->tensor;
        assert_int_equal(t->storage->type, types[i].type);
        assert_ok(torch_file_read(f, t, 0, count, out));
        assert_memory_equal(out, numbers, sizeof numbers);
        torch_file_close(&f);
    }
}

static void test_widened(void **state) {
    (void)state;
    const double wide[2] = {1.5, -0.1};
    const uint16_t halves[2] = {0x3c00, 0xc000};
    float out[2];
    text_buffer body = {0};
    put_tensor(&body, &(tensor_spec){"DoubleStorage", "0", 2, 0, 1, {2}, {1}});
    torch_file *f = opened(&body, wide, sizeof wide);
    assert_ok(torch_file_read_f32(f, torch_file_root(f)->tensor, 0, 2, out));
    assert_true(out[0] == 1.5f && out[1] == -0.1f);
    torch_file_close(&f);
    put_tensor(&body, &(tensor_spec){"HalfStorage", "0", 2, 0, 1, {2}, {1}});
    f = opened(&body, halves, sizeof halves);
    assert_ok(torch_file_read_f32(f, torch_file_root(f)->tensor, 0, 2, out));
    assert_true(out[0] == 1 && out[1] == -2);
    torch_file_close(&f);
    put_tensor(&body, &(tensor_spec){"LongStorage", "0", 1, 0, 1, {1}, {1}});
    f = opened(&body, wide, 8);
    assert_fails(torch_file_read_f32(f, torch_file_root(f)->tensor, 0, 1, out), IGVK_ERROR_INVALID, "I64");
    torch_file_close(&f);
}

static igvk_status append_path(void *user, const char *path, const pickle_value *leaf) {
    text_append(user, "%s:%d ", path, (int)leaf->kind);
    return IGVK_OK;
}

// {"args": Namespace(seed=-3, lr=0.5, tag=None), "list": [{}, "x"], "plain": (1, 2), 7: {"big": 2^63, "yes": True}}
static void test_tree(void **state) {
    (void)state;
    text_buffer body = {0}, paths = {0};
    PUT(&body, "}(");
    put_text(&body, "args");
    put_global(&body, "argparse", "Namespace");
    PUT(&body, ")\x81}(");
    put_text(&body, "seed");
    PUT(&body, "J\xfd\xff\xff\xff");
    put_text(&body, "lr");
    PUT(&body, "G\x3f\xe0\0\0\0\0\0\0");
    put_text(&body, "tag");
    PUT(&body, "Nub");
    put_text(&body, "list");
    PUT(&body, "](}\x8c\x01xeq\x00"); // remembered, and forgotten
    put_text(&body, "plain");
    PUT(&body, "K\x01M\x02\x00\x86K\x07}(");
    put_text(&body, "big");
    PUT(&body, "\x8a\x09\0\0\0\0\0\0\0\x80\0");
    put_text(&body, "yes");
    PUT(&body, "\x88uu");
    torch_file *f = opened(&body, "", 0);
    assert_ok(torch_file_walk(f, append_path, &paths));
    assert_string_equal(paths.text, "args/seed:2 args/lr:4 args/tag:0 list/0:9 list/1:5 plain:8 7/big:3 7/yes:1 ");
    const pickle_value *args = pickle_get(torch_file_root(f), "args");
    assert_int_equal(pickle_get(args, "seed")->integer, -3);
    assert_true(pickle_get(args, "lr")->number == 0.5);
    assert_null(pickle_get(args, "speed"));
    text_free(&paths);
    torch_file_close(&f);
}

// Protocol 4: frames, short texts, names by the stack, memo without numbers; a parameter; a state dict's _metadata.
static void test_newer_protocol(void **state) {
    (void)state;
    text_buffer body = {0};
    PUT(&body, "\x80\x04\x95\x05\0\0\0\0\0\0\0\x8c\x0b"
               "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(");
    put_text(&body, "p");
    put_global(&body, "torch._utils", "_rebuild_parameter");
    PUT(&body, "(");
    put_tensor(&body, &whole);
    PUT(&body, "\x88h\x02)RtR");
    put_text(&body, "again");
    PUT(&body, "h\x00u}");
    put_text(&body, "_metadata");
    PUT(&body, "h\x02)Rsb");
    torch_file *f = opened(&body, numbers, sizeof numbers);
    assert_int_equal(pickle_get(torch_file_root(f), "p")->tensor->elements, 12);
    assert_true(pickle_is_text(pickle_get(torch_file_root(f), "again"), "collections"));
    torch_file_close(&f);
}

// ---- what is refused --------------------------------------------------------------------------------------

static void test_names(void **state) {
    (void)state;
    REFUSED("cos\nsystem\n(X\x02\0\0\0idtR", "asks for os.system");
    REFUSED("cbuiltins\neval\n", "builtins.eval");
    REFUSED("\x8c\x05posix\x8c\x06system\x93", "posix.system");
    REFUSED("\x8c\x05torch\x8c\x09os.system\x93", "torch.os.system");
    REFUSED("ctorch.storage\n_load_from_bytes\n", "_load_from_bytes");
    REFUSED("ctorch\nhub\n", "torch.hub");
    REFUSED("K\x01K\x02\x93", "no text");
    REFUSED("ccollections\nOrderedDict\n", "function or class for a value");
    REFUSED("ccollections\nOrderedDict\n(K\x01tR", "as no checkpoint does");
    REFUSED("ctorch\nFloatStorage\n)R", "as no checkpoint does");
    REFUSED("K\x01)R", "cannot be called");
    REFUSED("ccollections\nOrderedDict\nK\x01R", "cannot be called");
    REFUSED("K\x01}b", "state of what has none");
    REFUSED("cargparse\nNamespace\n)\x81}K\x01K\x01sb", "no text");
    REFUSED("cos\n", "ends early");
}

static void test_instructions(void **state) {
    (void)state;
    REFUSED("(ios\nsystem\n", "0x69");
    REFUSED("(o", "0x6f");
    REFUSED("\x82\x01", "0x82");
    REFUSED("I1\n", "0x49");
    REFUSED("Pid\n", "0x50");
    REFUSED("\xff", "0xff");
    REFUSED("\x80\x63", "protocol 99");
    REFUSED("\x95\xff\xff\xff\xff\xff\xff\xff\x0f", "frame beyond");
    REFUSED("X\xff\xff\xff\xff", "claims a text");
    REFUSED("\x8d\0\0\0\0\0\0\0\x80", "claims a text");
    REFUSED("\x8e\0\0\0\0\0\0\0\x40", "claims a text");
    REFUSED("\x8b\xff\xff\xff\x7f", "claims a number");
    REFUSED("X\x02\0\0\0\xc0\x80", "UTF-8");
    REFUSED("X\x03\0\0\0\xed\xa0\x80", "UTF-8");
    REFUSED("X\x01\0\0\0\xc3", "UTF-8");
}

static void test_stack(void **state) {
    (void)state;
    REFUSED("", "without one value");
    REFUSED("NN", "without one value");
    REFUSED("N(", "without one value");
    REFUSED("R", "where there is none");
    REFUSED("\x85", "where there is none");
    REFUSED("N(\x85", "where there is none");
    REFUSED("t", "never began");
    REFUSED("h\x05", "never remembered");
    REFUSED("q\x00", "where there is none");
    REFUSED("}r\xff\xff\xff\xff", "more values than any");
    REFUSED("K\x01K\x02K\x03s", "no such container");
    REFUSED("}(K\x01u", "without a value");
    REFUSED("}(K\x01"
            "e",
            "no such container");
    REFUSED("}]K\x01s", "no short text or number");
    REFUSED("]Ns", "where there is none");
    REFUSED("a", "where there is none");
}

static void test_trees(void **state) {
    (void)state;
    text_buffer deep = {0}, bomb = {0};
    REFUSED("]q\x00h\x00"
            "a",
            "holds itself");
    REFUSED("}q\x00(K\x01h\x00u", "holds itself");
    REFUSED("}(K\x01NK\x01Nu", "same key twice");
    for (int i = 0; i < 100000; i++)
        PUT(&deep, "]");
    for (int i = 1; i < 100000; i++)
        PUT(&deep, "a");
    refused(&deep, "32 levels deep");
    PUT(&bomb, "N"); // twenty times a pair of the last one twice
    for (int i = 0; i < 20; i++)
        PUT(&bomb, "q\x00h\x00\x86");
    refused(&bomb, "more than 65536 values");
    for (int i = 0; i < 70000; i++)
        PUT(&deep, "(");
    refused(&deep, "nested more deeply");
}

static void refused_tensor(tensor_spec t, const char *part) {
    text_buffer body = {0};
    put_tensor(&body, &t);
    refused(&body, part);
}

static void test_tensors(void **state) {
    (void)state;
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 1, 2, {3, 4}, {4, 1}}, "beyond its storage");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, -1, 1, {1}, {1}}, "no sane whole numbers");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 1ll << 62, 1, {1}, {1}}, "no sane whole numbers");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 0, 1, {-2}, {1}}, "no sane whole numbers");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 11, 1, {2}, {-1}}, "no sane whole numbers");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 0, 2, {1ll << 40, 1ll << 40}, {0, 0}}, "beyond its storage");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 0, 1, {1ll << 40}, {0}}, "over a storage of 12");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 0, 2, {2, 2}, {1ll << 47, 1ll << 47}}, "beyond its storage");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 13, 1, {0}, {1}}, "beyond its storage");
    refused_tensor((tensor_spec){"FloatStorage", "0", 12, 0, 9, {1}, {1}}, "8 dimensions");
    refused_tensor((tensor_spec){"FloatStorage", "0", 13, 0, 1, {1}, {1}}, "has 48 bytes");
    refused_tensor((tensor_spec){"FloatStorage", "0", -1, 0, 1, {1}, {1}}, "length is no sane");
    refused_tensor((tensor_spec){"FloatStorage", "1", 12, 0, 1, {1}, {1}}, "has 0 bytes");
    refused_tensor((tensor_spec){"FloatStorage", "../0", 12, 0, 1, {1}, {1}}, "whose key");
    refused_tensor((tensor_spec){"EvilStorage", "0", 12, 0, 1, {1}, {1}}, "torch.EvilStorage");
    REFUSED("K\x05Q", "no storage");
    REFUSED("(X\x06\0\0\0moduleK\x01K\x01K\x01K\x01tQ", "no storage");
    REFUSED("ctorch._utils\n_rebuild_tensor_v2\n(K\x01tR", "what is none");
    REFUSED("ctorch._utils\n_rebuild_parameter\n(NNNtR", "no tensor");
}

static void refused_legacy(const char *key, int64_t count, size_t size, const char *part) {
    text_buffer body = {0};
    torch_file *f = NULL;
    put_tensor(&body, &whole);
    write_legacy(scratch("bad.pt"), &body, key, count, numbers, size);
    assert_fails(torch_file_open(scratch("bad.pt"), &f), IGVK_ERROR_INVALID, part);
}

static void test_legacy(void **state) {
    (void)state;
    torch_file *f = NULL;
    refused_legacy("1", 12, 48, "nothing uses");
    refused_legacy("0", 1ll << 60, 48, "elements before");
    refused_legacy("0", -12, 48, "elements before");
    refused_legacy("0", 12, 40, "elements before");
    text_buffer body = {0};
    put_tensor(&body, &whole);
    write_legacy(scratch("bad.pt"), &body, "0", 12,
                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                 52);
    assert_fails(torch_file_open(scratch("bad.pt"), &f), IGVK_ERROR_INVALID, "left over");
    write_bytes(scratch("bad.pt"), "\x80\x02\x8a\x01\x05.", 6);
    assert_fails(torch_file_open(scratch("bad.pt"), &f), IGVK_ERROR_INVALID, "none of torch.save");
    write_bytes(scratch("bad.pt"), "", 0);
    assert_fails(torch_file_open(scratch("bad.pt"), &f), IGVK_ERROR_INVALID, "no PyTorch checkpoint");
    assert_fails(torch_file_open(scratch("nowhere.pt"), &f), IGVK_ERROR_IO, "nowhere.pt");
}

// ---- mutations --------------------------------------------------------------------------------------------

static igvk_status read_leaf(void *user, const char *path, const pickle_value *leaf) {
    float out[64];
    (void)path;
    if (leaf->kind == PICKLE_TENSOR && leaf->tensor->elements <= 64)
        (void)torch_file_read_f32(user, leaf->tensor, 0, leaf->tensor->elements, out);
    return IGVK_OK;
}

static void attempt(const char *path) {
    torch_file *f = NULL;
    if (torch_file_open(path, &f) == IGVK_OK)
        (void)torch_file_walk(f, read_leaf, f);
    torch_file_close(&f);
}

static void test_mutations(void **state) {
    (void)state;
    for (int legacy = 0; legacy < 2; legacy++) {
        text_buffer body = {0};
        size_t size = 0;
        PUT(&body, "}(");
        put_text(&body, "w");
        put_tensor(&body, &whole);
        put_text(&body, "v");
        put_tensor(&body, &(tensor_spec){"FloatStorage", "0", 12, 0, 2, {4, 3}, {1, 4}});
        PUT(&body, "u");
        if (legacy)
            write_legacy(scratch("m.pt"), &body, "0", 12, numbers, sizeof numbers);
        else
            write_torch(scratch("m.pt"), &body, numbers, sizeof numbers);
        char *bytes = read_bytes(scratch("m.pt"), &size);
        mutate(bytes, size, 4000, attempt);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_views),        SCRATCH_TEST(test_types),          SCRATCH_TEST(test_widened),
        SCRATCH_TEST(test_tree),         SCRATCH_TEST(test_newer_protocol), SCRATCH_TEST(test_names),
        SCRATCH_TEST(test_instructions), SCRATCH_TEST(test_stack),          SCRATCH_TEST(test_trees),
        SCRATCH_TEST(test_tensors),      SCRATCH_TEST(test_legacy),         SCRATCH_TEST(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
