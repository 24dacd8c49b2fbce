// SPDX-License-Identifier: MIT
// By torch/serialization.py: _save and _legacy_save.
#include "formats/torch_file.h"
#include "core/memory.h"
#include "core/text.h"
#include "formats/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICKLE_MEMBER "data.pkl"
#define LEGACY_PROTOCOL 1001
#define LEGACY_PICKLES 5
#define MAX_WINDOW (64u << 20)

struct torch_file {
    zip_file *zip;           // null for the older format
    input_file *own_input;   // of the older format, else null
    const input_file *input; // either's
    pickle *tree;
    unsigned char *window; // bytes of the file from window_at, for tensors that are gathered
    uint64_t window_at, window_size;
};

static igvk_status fail_torch(const torch_file *f, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: %s; the file is damaged or no PyTorch checkpoint", input_file_path(f->input),
                what);
}

// ---- zip --------------------------------------------------------------------------------------------------

// The one member TOP/data.pkl; *top is the length of "TOP/".
static igvk_status find_pickle(const torch_file *f, const zip_member **out, size_t *top) {
    *out = NULL;
    for (size_t i = 0; i < zip_count(f->zip); i++) {
        const zip_member *m = zip_at(f->zip, i);
        const char *slash = strchr(m->name, '/');
        if (!slash || strcmp(slash + 1, PICKLE_MEMBER) != 0)
            continue;
        if (*out)
            return fail_torch(f, "it has two folders with a data.pkl");
        *out = m;
        *top = (size_t)(slash + 1 - m->name);
    }
    return *out ? IGVK_OK : fail_torch(f, "it has no data.pkl");
}

static igvk_status check_byte_order(const torch_file *f, const char *top, size_t length) {
    char name[ZIP_MAX_NAME + 32], order[8] = "";
    snprintf(name, sizeof name, "%.*sbyteorder", (int)length, top);
    const zip_member *m = zip_find(f->zip, name);
    if (!m)
        return IGVK_OK;
    igvk_status status = input_file_read(f->input, m->offset, m->size < 7 ? m->size : 7, order);
    if (status == IGVK_OK && (m->size != 6 || strcmp(order, "little") != 0))
        return fail_torch(f, "it was written on a big-endian machine, which igvk does not read");
    return status;
}

static igvk_status place_in_zip(const torch_file *f, const char *top, size_t length, pickle_storage *s) {
    char name[ZIP_MAX_NAME + 96];
    uint64_t bytes = s->elements * element_size(s->type); // both bounded
    snprintf(name, sizeof name, "%.*sdata/%s", (int)length, top, s->key);
    const zip_member *m = zip_find(f->zip, name);
    if (!m || m->size != bytes)
        return fail(IGVK_ERROR_INVALID, "%s: storage %s has %llu bytes, its pickle says %llu; the file is damaged",
                    input_file_path(f->input), s->key, (unsigned long long)(m ? m->size : 0),
                    (unsigned long long)bytes);
    s->place = m->offset;
    return IGVK_OK;
}

static igvk_status open_zip(torch_file *f, const char *path) {
    igvk_status status = IGVK_OK;
    const zip_member *m = NULL;
    size_t top = 0;
    TRY(zip_open(path, &f->zip));
    f->input = zip_input(f->zip);
    TRY(find_pickle(f, &m, &top));
    TRY(check_byte_order(f, m->name, top));
    TRY(pickle_read(f->input, m->offset, m->offset + m->size, &f->tree));
    TRY(zip_check(f->zip, m));
    if (pickle_end(f->tree) != m->offset + m->size)
        TRY(fail_torch(f, "its pickle ends early"));
    for (size_t i = 0; i < pickle_storage_count(f->tree); i++)
        TRY(place_in_zip(f, m->name, top, pickle_storage_at(f->tree, i)));
done:
    return status;
}

// ---- the older format -------------------------------------------------------------------------------------
// Pickles of a magic number, a protocol, facts of the system, the tree, the list of storage keys; then each storage:
// i64 elements, bytes.

static bool is_magic(const pickle_value *v) {
    static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    return v->kind == PICKLE_BIG_INTEGER && v->text.length == sizeof magic &&
           memcmp(v->text.bytes, magic, sizeof magic) == 0;
}

static igvk_status check_legacy_facts(const torch_file *f, pickle *const p[LEGACY_PICKLES]) {
    const pickle_value *protocol = pickle_root(p[1]), *facts = pickle_root(p[2]), *keys = pickle_root(p[4]);
    const pickle_value *little = pickle_get(facts, "little_endian");
    if (protocol->kind != PICKLE_INTEGER || protocol->integer != LEGACY_PROTOCOL)
        return fail_torch(f, "it is of an unknown protocol");
    if (!little || little->kind != PICKLE_BOOL || !little->truth)
        return fail_torch(f, "it was not written on a little-endian machine");
    if (keys->kind != PICKLE_LIST)
        return fail_torch(f, "it has no list of storages");
    return IGVK_OK;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp((*(const pickle_storage *const *)a)->key, (*(const pickle_storage *const *)b)->key);
}

// The storage `key` lies at *at, which moves behind it; every mention of it in sorted[0, count) is placed.
static igvk_status place_legacy(const torch_file *f, const char *key, pickle_storage **sorted, size_t count,
                                uint64_t *at) {
    unsigned char prefix[8];
    uint64_t elements = 0;
    const pickle_storage wanted = {.key = key}, *pointer = &wanted;
    pickle_storage **found = bsearch(&pointer, sorted, count, sizeof *sorted, compare_keys);
    if (!found)
        return fail_torch(f, "it lists a storage that nothing uses");
    while (found > sorted && strcmp(found[-1]->key, key) == 0)
        found--;
    if (input_file_size(f->input) - *at < sizeof prefix)
        return fail_torch(f, "its storages are cut short");
    igvk_status status = input_file_read(f->input, *at, sizeof prefix, prefix);
    for (size_t i = 0; i < sizeof prefix; i++)
        elements |= (uint64_t)prefix[i] << (8 * i);
    uint64_t place = *at + sizeof prefix, left = input_file_size(f->input) - place;
    uint64_t bytes = (*found)->elements * element_size((*found)->type);
    for (; status == IGVK_OK && found < sorted + count && strcmp((*found)->key, key) == 0; found++) {
        if ((*found)->elements != elements || (*found)->elements * element_size((*found)->type) != bytes ||
            bytes > left)
            return fail(IGVK_ERROR_INVALID,
                        "%s: storage %s has %llu elements before %llu bytes, its pickle says %llu; "
                        "the file is damaged or cut short",
                        input_file_path(f->input), key, (unsigned long long)elements, (unsigned long long)left,
                        (unsigned long long)(*found)->elements);
        (*found)->place = place;
    }
    *at = place + bytes;
    return status;
}

static igvk_status place_all_legacy(const torch_file *f, const pickle_value *keys, uint64_t at) {
    igvk_status status = IGVK_OK;
    size_t count = pickle_storage_count(f->tree);
    pickle_storage **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        return fail_memory(input_file_path(f->input), count * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = pickle_storage_at(f->tree, i);
    qsort(sorted, count, sizeof *sorted, compare_keys);
    for (size_t i = 0; i < keys->list.count; i++) {
        const pickle_value *key = keys->list.items[i];
        if (key->kind != PICKLE_TEXT)
            TRY(fail_torch(f, "its list of storages holds what is no text"));
        TRY(place_legacy(f, key->text.bytes, sorted, count, &at));
    }
    for (size_t i = 0; i < count; i++)
        if (sorted[i]->place == 0)
            TRY(fail_torch(f, "it does not hold all storages that its pickle uses"));
    if (at != input_file_size(f->input))
        TRY(fail_torch(f, "bytes are left over behind its storages"));
done:
    free(sorted);
    return status;
}

static igvk_status open_legacy(torch_file *f, const char *path) {
    igvk_status status = IGVK_OK;
    pickle *parts[LEGACY_PICKLES] = {NULL};
    TRY(input_file_open(path, &f->own_input));
    f->input = f->own_input;
    uint64_t at = 0;
    for (size_t i = 0; i < LEGACY_PICKLES; i++) {
        TRY(pickle_read(f->input, at, input_file_size(f->input), &parts[i]));
        at = pickle_end(parts[i]);
        if (i == 0 && !is_magic(pickle_root(parts[0])))
            TRY(fail_torch(f, "it is a pickle, but none of torch.save"));
    }
    TRY(check_legacy_facts(f, parts));
    f->tree = parts[3];
    parts[3] = NULL;
    TRY(place_all_legacy(f, pickle_root(parts[4]), at));
done:
    for (size_t i = 0; i < LEGACY_PICKLES; i++)
        pickle_destroy(&parts[i]);
    return status;
}

// ---- the open file ----------------------------------------------------------------------------------------

// 1 for zip, 2 for a pickle's PROTO and LONG1, 0 for neither.
static int sniff(const char *path) {
    unsigned char head[4] = {0};
    input_file *f = NULL;
    if (input_file_open(path, &f) == IGVK_OK && input_file_size(f) >= sizeof head)
        (void)input_file_read(f, 0, sizeof head, head);
    input_file_close(&f);
    if (memcmp(head, "PK\x03\x04", 4) == 0)
        return 1;
    return head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && head[2] == 0x8a ? 2 : 0;
}

bool torch_file_recognise(const char *path) {
    return sniff(path) != 0;
}

igvk_status torch_file_open(const char *path, torch_file **out) {
    igvk_status status = IGVK_OK;
    input_file *readable = NULL;
    torch_file *f = calloc(1, sizeof *f);
    if (!f)
        TRY(fail_memory(path, sizeof *f));
    TRY(input_file_open(path, &readable)); // for its error, where it has one
    switch (sniff(path)) {
    case 1:
        TRY(open_zip(f, path));
        break;
    case 2:
        TRY(open_legacy(f, path));
        break;
    default:
        THROW(IGVK_ERROR_INVALID,
              "%s: begins neither as a zip file nor as a pickle of torch.save: no PyTorch checkpoint", path);
    }
    *out = f;
    f = NULL;
done:
    input_file_close(&readable);
    torch_file_close(&f);
    return status;
}

void torch_file_close(torch_file **f) {
    if (!f || !*f)
        return;
    free((*f)->window);
    pickle_destroy(&(*f)->tree);
    zip_close(&(*f)->zip);
    input_file_close(&(*f)->own_input);
    free(*f);
    *f = NULL;
}

const char *torch_file_path(const torch_file *f) {
    return input_file_path(f->input);
}
bool torch_file_is_zip(const torch_file *f) {
    return f->zip != NULL;
}
const pickle_value *torch_file_root(const torch_file *f) {
    return pickle_root(f->tree);
}

// ---- tensors ----------------------------------------------------------------------------------------------

static bool is_plain_run(const pickle_tensor *t) {
    uint64_t stride = 1;
    for (uint32_t i = t->rank; i-- > 0;) {
        if (t->shape[i] != 1 && t->stride[i] != stride)
            return false;
        stride *= t->shape[i];
    }
    return true;
}

// Where element `i` (C order) lies, in elements from the view's first.
static uint64_t distance(const pickle_tensor *t, uint64_t i) {
    uint64_t at = 0;
    for (uint32_t k = t->rank; k-- > 0;) {
        at += i % t->shape[k] * t->stride[k];
        i /= t->shape[k];
    }
    return at;
}

// Bytes [at, at + size) of the file in the window; `size` at most MAX_WINDOW.
static igvk_status fill_window(torch_file *f, uint64_t at, uint64_t size) {
    if (f->window && f->window_at == at && f->window_size == size)
        return IGVK_OK;
    free(f->window);
    f->window = malloc((size_t)size + 1);
    if (!f->window)
        return fail_memory(torch_file_path(f), size);
    f->window_at = at;
    f->window_size = size;
    igvk_status status = input_file_read(f->input, at, size, f->window);
    if (status != IGVK_OK)
        f->window_size = 0;
    return status;
}

static igvk_status gather(torch_file *f, const pickle_tensor *t, uint64_t begin, uint64_t count, unsigned char *out) {
    size_t size = element_size(t->storage->type);
    uint64_t first = t->storage->place + t->offset * size;
    uint64_t span = (distance(t, t->elements - 1) + 1) * size; // strides are not negative: the last is the farthest
    bool windowed = span <= MAX_WINDOW;
    igvk_status status = windowed ? fill_window(f, first, span) : IGVK_OK;
    for (uint64_t i = 0; i < count && status == IGVK_OK; i++, out += size) {
        uint64_t at = distance(t, begin + i) * size;
        if (windowed)
            memcpy(out, f->window + at, size);
        else
            status = input_file_read(f->input, first + at, size, out);
    }
    return status;
}

igvk_status torch_file_read(torch_file *f, const pickle_tensor *t, uint64_t begin, uint64_t count, void *out) {
    size_t size = element_size(t->storage->type);
    if (begin > t->elements || count > t->elements - begin)
        return fail(IGVK_ERROR_INTERNAL, "%s: elements of a tensor asked for beyond its end", torch_file_path(f));
    if (count == 0)
        return IGVK_OK;
    if (is_plain_run(t))
        return input_file_read(f->input, t->storage->place + (t->offset + begin) * size, count * size, out);
    return gather(f, t, begin, count, out);
}

igvk_status torch_file_read_f32(torch_file *f, const pickle_tensor *t, uint64_t begin, uint64_t count, float *out) {
    unsigned char piece[16384];
    size_t size = element_size(t->storage->type);
    if (t->storage->type > ELEMENT_BF16)
        return fail(IGVK_ERROR_INVALID, "%s: a tensor of type %s where floating point is needed", torch_file_path(f),
                    element_name(t->storage->type));
    if (t->storage->type == ELEMENT_F32)
        return torch_file_read(f, t, begin, count, out);
    while (count > 0) {
        uint64_t now = count < sizeof piece / size ? count : sizeof piece / size;
        igvk_status status = torch_file_read(f, t, begin, now, piece);
        if (status != IGVK_OK)
            return status;
        elements_to_f32(t->storage->type, piece, (size_t)now, out);
        begin += now;
        count -= now;
        out += now;
    }
    return IGVK_OK;
}

// ---- walking ----------------------------------------------------------------------------------------------

static bool is_plain(const pickle_value *v) {
    return v->kind < PICKLE_LIST;
}

static bool is_leaf(const pickle_value *v) {
    if (v->kind < PICKLE_LIST || v->kind > PICKLE_NAMESPACE)
        return true;
    if (v->kind == PICKLE_DICT || v->kind == PICKLE_NAMESPACE)
        return v->list.count == 0;
    for (size_t i = 0; i < v->list.count; i++)
        if (!is_plain(v->list.items[i]))
            return false;
    return true;
}

static void append_key(text_buffer *path, const pickle_value *key) {
    switch (key->kind) {
    case PICKLE_TEXT:
        text_append_bytes(path, key->text.bytes, key->text.length);
        break;
    case PICKLE_INTEGER:
        text_append(path, "%lld", (long long)key->integer);
        break;
    case PICKLE_BOOL:
        text_append(path, "%s", key->truth ? "True" : "False");
        break;
    case PICKLE_NUMBER:
        text_append(path, "%g", key->number);
        break;
    default:
        text_append(path, "None");
    }
}

// Bounded by pickle_check: at most PICKLE_MAX_DEPTH deep.
static igvk_status walk(const pickle_value *v, text_buffer *path, torch_visitor visit, void *user) {
    if (is_leaf(v))
        return path->failed ? fail_memory("a name", 0) : visit(user, path->text ? path->text : "", v);
    bool pairs = v->kind == PICKLE_DICT || v->kind == PICKLE_NAMESPACE;
    size_t length = path->length;
    igvk_status status = IGVK_OK;
    for (size_t i = pairs ? 1 : 0; i < v->list.count && status == IGVK_OK && !path->failed; i += pairs ? 2 : 1) {
        if (length)
            text_append(path, "/");
        if (pairs)
            append_key(path, v->list.items[i - 1]);
        else
            text_append(path, "%zu", i);
        status = walk(v->list.items[i], path, visit, user);
        if (path->text)
            path->text[path->length = length] = 0;
    }
    return status == IGVK_OK && path->failed ? fail_memory("a name", 0) : status;
}

igvk_status torch_file_walk(const torch_file *f, torch_visitor visit, void *user) {
    text_buffer path = {0};
    igvk_status status = walk(torch_file_root(f), &path, visit, user);
    text_free(&path);
    return status;
}
