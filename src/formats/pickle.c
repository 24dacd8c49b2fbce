// SPDX-License-Identifier: MIT
// The machine's instructions, by their letters in Python's Lib/pickle.py. What torch.save never writes (text forms of
// protocol 0, classes by INST and OBJ, extension codes, sets, out-of-band buffers) is not here.
#define _POSIX_C_SOURCE 200809L
#include "formats/pickle_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STREAM (64u << 20)
#define MAX_VALUES_BYTES (128u << 20)
#define MAX_TEXT (1u << 20)
#define MAX_STACK (1u << 20)
#define MAX_MARKS (1u << 16)
#define MAX_MEMO (1u << 20)
#define MAX_BIG_INTEGER 255 // bytes
#define LAST_PROTOCOL 5

struct pickle {
    pickle_machine machine; // its values, storages and end are used after reading
    pickle_value *root;
};

igvk_status pickle_fail(const pickle_machine *m, const char *format, ...) {
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return fail(IGVK_ERROR_INVALID, "%s: pickle, byte %llu: %s", input_file_path(m->file),
                (unsigned long long)(m->next - m->begin), what);
}

// ---- memory -----------------------------------------------------------------------------------------------

igvk_status pickle_alloc(pickle_machine *m, size_t bytes, void **out) {
    m->used += align_up(bytes, 16);
    if (m->used > MAX_VALUES_BYTES)
        return pickle_fail(m, "its values take more than 128 MiB of memory, which no checkpoint's do");
    *out = arena_alloc(m->values, bytes);
    return *out ? IGVK_OK : fail_memory(input_file_path(m->file), bytes);
}

igvk_status pickle_new(pickle_machine *m, pickle_kind kind, pickle_value **out) {
    void *memory = NULL;
    igvk_status status = pickle_alloc(m, sizeof **out, &memory);
    if (status != IGVK_OK)
        return status;
    *out = memory;
    (*out)->kind = kind;
    return IGVK_OK;
}

igvk_status pickle_append(pickle_machine *m, pickle_value *list, pickle_value *item) {
    if (list->list.count == list->list.capacity) {
        size_t capacity = list->list.capacity ? 2 * list->list.capacity : 4;
        void *grown = NULL;
        igvk_status status = pickle_alloc(m, capacity * sizeof item, &grown);
        if (status != IGVK_OK)
            return status;
        if (list->list.count)
            memcpy(grown, list->list.items, list->list.count * sizeof item);
        list->list.items = grown;
        list->list.capacity = capacity;
    }
    list->list.items[list->list.count++] = item;
    return IGVK_OK;
}

// ---- the stream -------------------------------------------------------------------------------------------

// `size` bytes, at most READ_AHEAD, valid until the next call.
static igvk_status take(pickle_machine *m, size_t size, const unsigned char **out) {
    if (size > m->end - m->next)
        return pickle_fail(m, "ends early; the file is damaged or cut short");
    if (m->next < m->ahead_at || m->next + size > m->ahead_at + m->ahead_count) {
        uint64_t left = m->end - m->next;
        m->ahead_at = m->next;
        m->ahead_count = left < READ_AHEAD ? left : READ_AHEAD;
        igvk_status status = input_file_read(m->file, m->ahead_at, m->ahead_count, m->ahead);
        if (status != IGVK_OK)
            return status;
    }
    *out = m->ahead + (m->next - m->ahead_at);
    m->next += size;
    return IGVK_OK;
}

static igvk_status take_number(pickle_machine *m, size_t size, uint64_t *out) {
    const unsigned char *bytes = NULL;
    igvk_status status = take(m, size, &bytes);
    *out = 0;
    for (size_t i = 0; status == IGVK_OK && i < size; i++)
        *out |= (uint64_t)bytes[i] << (8 * i);
    return status;
}

// Refuses what RFC 3629 does: overlong forms, surrogates, beyond U+10FFFF; and zero bytes, which names cannot hold.
static bool is_text(const unsigned char *c, size_t length) {
    const unsigned char *end = c + length;
    while (c < end) {
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        int more = *c < 0x80 ? 0 : *c >= 0xc2 && *c < 0xe0 ? 1 : (*c & 0xf0) == 0xe0 ? 2 : (*c & 0xf8) == 0xf0 ? 3 : -1;
        if (more < 0 || end - c <= more || *c == 0)
            return false;
        uint32_t point = more ? *c & (0x3fu >> more) : *c;
        for (int i = 1; i <= more; i++) {
            if ((c[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (c[i] & 0x3f);
        }
        if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return false;
        c += more + 1;
    }
    return true;
}

static igvk_status take_text(pickle_machine *m, uint64_t length, pickle_kind kind, pickle_value **out) {
    void *bytes = NULL;
    if (length > MAX_TEXT || length > m->end - m->next)
        return pickle_fail(m, "claims a text of %llu bytes", (unsigned long long)length);
    igvk_status status = pickle_new(m, kind, out);
    if (status == IGVK_OK)
        status = pickle_alloc(m, (size_t)length + 1, &bytes);
    if (status == IGVK_OK)
        status = input_file_read(m->file, m->next, length, bytes);
    if (status != IGVK_OK)
        return status;
    m->next += length;
    (*out)->text.bytes = bytes;
    (*out)->text.length = (size_t)length;
    if (kind == PICKLE_TEXT && !is_text(bytes, (size_t)length))
        return pickle_fail(m, "holds a text that is not UTF-8");
    return IGVK_OK;
}

// ---- the stack --------------------------------------------------------------------------------------------

static igvk_status push(pickle_machine *m, pickle_value *v) {
    if (m->height == MAX_STACK)
        return pickle_fail(m, "stacks more values than any checkpoint does");
    if (!ARRAY_RESERVE(m->stack, m->stack_capacity, m->height + 1))
        return fail_memory(input_file_path(m->file), MAX_STACK);
    m->stack[m->height++] = v;
    return IGVK_OK;
}

// Values above the newest mark.
static size_t available(const pickle_machine *m) {
    return m->height - (m->mark_count ? m->marks[m->mark_count - 1] : 0);
}

static igvk_status pop(pickle_machine *m, pickle_value **out) {
    if (available(m) == 0)
        return pickle_fail(m, "takes a value where there is none; the file is damaged");
    *out = m->stack[--m->height];
    return IGVK_OK;
}

static igvk_status top(pickle_machine *m, pickle_kind a, pickle_kind b, pickle_value **out) {
    if (available(m) == 0)
        return pickle_fail(m, "fills a container where there is none; the file is damaged");
    *out = m->stack[m->height - 1];
    if ((*out)->kind != a && (*out)->kind != b)
        return pickle_fail(m, "fills what is no such container; the file is damaged");
    return IGVK_OK;
}

// Pops the newest mark; *first is the lowest value above it.
static igvk_status pop_mark(pickle_machine *m, size_t *first) {
    if (m->mark_count == 0)
        return pickle_fail(m, "ends a group that never began; the file is damaged");
    *first = m->marks[--m->mark_count];
    return IGVK_OK;
}

static igvk_status push_kind(pickle_machine *m, pickle_kind kind) {
    pickle_value *v = NULL;
    igvk_status status = pickle_new(m, kind, &v);
    return status == IGVK_OK ? push(m, v) : status;
}

static igvk_status push_bool(pickle_machine *m, bool truth) {
    igvk_status status = push_kind(m, PICKLE_BOOL);
    if (status == IGVK_OK)
        m->stack[m->height - 1]->truth = truth;
    return status;
}

static igvk_status push_integer(pickle_machine *m, int64_t integer) {
    igvk_status status = push_kind(m, PICKLE_INTEGER);
    if (status == IGVK_OK)
        m->stack[m->height - 1]->integer = integer;
    return status;
}

// ---- instructions: values ---------------------------------------------------------------------------------

static igvk_status do_proto(pickle_machine *m) {
    uint64_t protocol = 0;
    igvk_status status = take_number(m, 1, &protocol);
    if (status == IGVK_OK && protocol > LAST_PROTOCOL)
        return pickle_fail(m, "is of protocol %llu; igvk reads up to %d", (unsigned long long)protocol, LAST_PROTOCOL);
    return status;
}

static igvk_status do_frame(pickle_machine *m) {
    uint64_t size = 0;
    igvk_status status = take_number(m, 8, &size);
    if (status == IGVK_OK && size > m->end - m->next)
        return pickle_fail(m, "claims a frame beyond its end; the file is damaged or cut short");
    return status;
}

static igvk_status do_none(pickle_machine *m) {
    return push_kind(m, PICKLE_NONE);
}
static igvk_status do_true(pickle_machine *m) {
    return push_bool(m, true);
}
static igvk_status do_false(pickle_machine *m) {
    return push_bool(m, false);
}

static igvk_status do_int4(pickle_machine *m) {
    uint64_t bits = 0;
    igvk_status status = take_number(m, 4, &bits);
    return status == IGVK_OK ? push_integer(m, (int32_t)(uint32_t)bits) : status;
}

static igvk_status do_int1(pickle_machine *m) {
    uint64_t bits = 0;
    igvk_status status = take_number(m, 1, &bits);
    return status == IGVK_OK ? push_integer(m, (int64_t)bits) : status;
}

static igvk_status do_int2(pickle_machine *m) {
    uint64_t bits = 0;
    igvk_status status = take_number(m, 2, &bits);
    return status == IGVK_OK ? push_integer(m, (int64_t)bits) : status;
}

// Little-endian two's complement of `size` bytes.
static igvk_status push_long(pickle_machine *m, uint64_t size) {
    const unsigned char *bytes = NULL;
    pickle_value *v = NULL;
    if (size > MAX_BIG_INTEGER)
        return pickle_fail(m, "claims a number of %llu bytes", (unsigned long long)size);
    if (size > 8) {
        igvk_status status = take_text(m, size, PICKLE_BIG_INTEGER, &v);
        return status == IGVK_OK ? push(m, v) : status;
    }
    igvk_status status = take(m, (size_t)size, &bytes);
    if (status != IGVK_OK)
        return status;
    uint64_t bits = size && bytes[size - 1] & 0x80 ? UINT64_MAX : 0;
    int64_t value;
    memcpy(&bits, bytes, (size_t)size);
    memcpy(&value, &bits, sizeof value);
    return push_integer(m, value);
}

static igvk_status do_long1(pickle_machine *m) {
    uint64_t size = 0;
    igvk_status status = take_number(m, 1, &size);
    return status == IGVK_OK ? push_long(m, size) : status;
}

static igvk_status do_long4(pickle_machine *m) {
    uint64_t size = 0;
    igvk_status status = take_number(m, 4, &size);
    return status == IGVK_OK ? push_long(m, size) : status;
}

static igvk_status do_float(pickle_machine *m) {
    const unsigned char *bytes = NULL;
    igvk_status status = take(m, 8, &bytes);
    if (status != IGVK_OK)
        return status;
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; i++) // big-endian
        bits = bits << 8 | bytes[i];
    status = push_kind(m, PICKLE_NUMBER);
    if (status == IGVK_OK)
        memcpy(&m->stack[m->height - 1]->number, &bits, sizeof bits);
    return status;
}

static igvk_status push_text(pickle_machine *m, size_t size_bytes, pickle_kind kind) {
    uint64_t length = 0;
    pickle_value *v = NULL;
    igvk_status status = take_number(m, size_bytes, &length);
    if (status == IGVK_OK)
        status = take_text(m, length, kind, &v);
    return status == IGVK_OK ? push(m, v) : status;
}

static igvk_status do_text1(pickle_machine *m) {
    return push_text(m, 1, PICKLE_TEXT);
}
static igvk_status do_text4(pickle_machine *m) {
    return push_text(m, 4, PICKLE_TEXT);
}
static igvk_status do_text8(pickle_machine *m) {
    return push_text(m, 8, PICKLE_TEXT);
}
static igvk_status do_bytes1(pickle_machine *m) {
    return push_text(m, 1, PICKLE_BYTES);
}
static igvk_status do_bytes4(pickle_machine *m) {
    return push_text(m, 4, PICKLE_BYTES);
}
static igvk_status do_bytes8(pickle_machine *m) {
    return push_text(m, 8, PICKLE_BYTES);
}

// ---- instructions: containers -----------------------------------------------------------------------------

static igvk_status do_mark(pickle_machine *m) {
    if (m->mark_count == MAX_MARKS)
        return pickle_fail(m, "is nested more deeply than any checkpoint");
    if (!ARRAY_RESERVE(m->marks, m->mark_capacity, m->mark_count + 1))
        return fail_memory(input_file_path(m->file), MAX_MARKS);
    m->marks[m->mark_count++] = m->height;
    return IGVK_OK;
}

// The values from `first` up become a container in their place.
static igvk_status collect(pickle_machine *m, size_t first, pickle_kind kind) {
    pickle_value *v = NULL;
    igvk_status status = pickle_new(m, kind, &v);
    for (size_t i = first; i < m->height && status == IGVK_OK; i++)
        status = pickle_append(m, v, m->stack[i]);
    m->height = first;
    return status == IGVK_OK ? push(m, v) : status;
}

static igvk_status collect_newest(pickle_machine *m, size_t count) {
    if (available(m) < count)
        return pickle_fail(m, "takes a value where there is none; the file is damaged");
    return collect(m, m->height - count, PICKLE_TUPLE);
}

static igvk_status do_tuple(pickle_machine *m) {
    size_t first = 0;
    igvk_status status = pop_mark(m, &first);
    return status == IGVK_OK ? collect(m, first, PICKLE_TUPLE) : status;
}
static igvk_status do_tuple0(pickle_machine *m) {
    return push_kind(m, PICKLE_TUPLE);
}
static igvk_status do_tuple1(pickle_machine *m) {
    return collect_newest(m, 1);
}
static igvk_status do_tuple2(pickle_machine *m) {
    return collect_newest(m, 2);
}
static igvk_status do_tuple3(pickle_machine *m) {
    return collect_newest(m, 3);
}
static igvk_status do_list0(pickle_machine *m) {
    return push_kind(m, PICKLE_LIST);
}
static igvk_status do_dict0(pickle_machine *m) {
    return push_kind(m, PICKLE_DICT);
}

// The values from `first` up go into the list below them.
static igvk_status append_from(pickle_machine *m, size_t first) {
    size_t end = m->height;
    pickle_value *list = NULL;
    m->height = first;
    igvk_status status = top(m, PICKLE_LIST, PICKLE_LIST, &list);
    for (size_t i = first; i < end && status == IGVK_OK; i++)
        status = pickle_append(m, list, m->stack[i]);
    return status;
}

static igvk_status do_append(pickle_machine *m) {
    if (available(m) < 2)
        return pickle_fail(m, "takes a value where there is none; the file is damaged");
    return append_from(m, m->height - 1);
}

static igvk_status do_appends(pickle_machine *m) {
    size_t first = 0;
    igvk_status status = pop_mark(m, &first);
    return status == IGVK_OK ? append_from(m, first) : status;
}

static bool is_key(const pickle_value *v) {
    return v->kind == PICKLE_NONE || v->kind == PICKLE_BOOL || v->kind == PICKLE_INTEGER || v->kind == PICKLE_NUMBER ||
           (v->kind == PICKLE_TEXT && v->text.length <= PICKLE_MAX_KEY);
}

// Key, value, ... from `first` up go into the dict below them.
static igvk_status set_from(pickle_machine *m, size_t first) {
    size_t end = m->height;
    pickle_value *dict = NULL;
    m->height = first;
    if ((end - first) % 2)
        return pickle_fail(m, "gives a dict a key without a value; the file is damaged");
    igvk_status status = top(m, PICKLE_DICT, PICKLE_DICT, &dict);
    for (size_t i = first; i < end && status == IGVK_OK; i++) {
        if ((i - first) % 2 == 0 && !is_key(m->stack[i]))
            return pickle_fail(m, "has a dict key that is no short text or number");
        status = pickle_append(m, dict, m->stack[i]);
    }
    return status;
}

static igvk_status do_setitem(pickle_machine *m) {
    if (available(m) < 3)
        return pickle_fail(m, "takes a value where there is none; the file is damaged");
    return set_from(m, m->height - 2);
}

static igvk_status do_setitems(pickle_machine *m) {
    size_t first = 0;
    igvk_status status = pop_mark(m, &first);
    return status == IGVK_OK ? set_from(m, first) : status;
}

// ---- instructions: memo -----------------------------------------------------------------------------------

// By index, which the stream chooses: bounded, so that it cannot choose how much memory is taken.
static igvk_status memorize(pickle_machine *m, uint64_t index) {
    if (index >= MAX_MEMO)
        return pickle_fail(m, "remembers more values than any checkpoint does");
    if (available(m) == 0)
        return pickle_fail(m, "remembers a value where there is none; the file is damaged");
    if (!ARRAY_RESERVE(m->memo, m->memo_capacity, (size_t)index + 1))
        return fail_memory(input_file_path(m->file), MAX_MEMO);
    m->memo_count += !m->memo[index];
    m->memo[index] = m->stack[m->height - 1];
    return IGVK_OK;
}

static igvk_status recall(pickle_machine *m, uint64_t index) {
    if (index >= m->memo_capacity || !m->memo[index])
        return pickle_fail(m, "recalls a value that it never remembered; the file is damaged");
    return push(m, m->memo[index]);
}

static igvk_status do_put1(pickle_machine *m) {
    uint64_t index = 0;
    igvk_status status = take_number(m, 1, &index);
    return status == IGVK_OK ? memorize(m, index) : status;
}

static igvk_status do_put4(pickle_machine *m) {
    uint64_t index = 0;
    igvk_status status = take_number(m, 4, &index);
    return status == IGVK_OK ? memorize(m, index) : status;
}

static igvk_status do_memoize(pickle_machine *m) {
    return memorize(m, m->memo_count);
}

static igvk_status do_get1(pickle_machine *m) {
    uint64_t index = 0;
    igvk_status status = take_number(m, 1, &index);
    return status == IGVK_OK ? recall(m, index) : status;
}

static igvk_status do_get4(pickle_machine *m) {
    uint64_t index = 0;
    igvk_status status = take_number(m, 4, &index);
    return status == IGVK_OK ? recall(m, index) : status;
}

// ---- instructions: names and calls, which only ever build values ------------------------------------------

// A line of at most 255 bytes, as GLOBAL gives module and name.
static igvk_status take_line(pickle_machine *m, char line[256]) {
    const unsigned char *byte = NULL;
    for (size_t length = 0; length < 256; length++) {
        igvk_status status = take(m, 1, &byte);
        if (status != IGVK_OK)
            return status;
        line[length] = (char)(*byte == '\n' ? 0 : *byte);
        if (*byte == '\n')
            return IGVK_OK;
    }
    return pickle_fail(m, "asks for an endless name");
}

static igvk_status do_global(pickle_machine *m) {
    char module[256], name[256];
    pickle_value *v = NULL;
    igvk_status status = take_line(m, module);
    if (status == IGVK_OK)
        status = take_line(m, name);
    if (status == IGVK_OK)
        status = pickle_find_global(m, module, name, &v);
    return status == IGVK_OK ? push(m, v) : status;
}

static igvk_status do_stack_global(pickle_machine *m) {
    igvk_status status = IGVK_OK;
    pickle_value *module = NULL, *name = NULL, *v = NULL;
    TRY(pop(m, &name));
    TRY(pop(m, &module));
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
        TRY(pickle_fail(m, "asks for a name that is no text; the file is damaged"));
    TRY(pickle_find_global(m, module->text.bytes, name->text.bytes, &v));
    TRY(push(m, v));
done:
    return status;
}

static igvk_status do_reduce(pickle_machine *m) {
    igvk_status status = IGVK_OK;
    pickle_value *callable = NULL, *arguments = NULL, *v = NULL;
    TRY(pop(m, &arguments));
    TRY(pop(m, &callable));
    TRY(pickle_call(m, callable, arguments, &v));
    TRY(push(m, v));
done:
    return status;
}

static igvk_status do_build(pickle_machine *m) {
    pickle_value *state = NULL;
    igvk_status status = pop(m, &state);
    if (status == IGVK_OK && available(m) == 0)
        return pickle_fail(m, "takes a value where there is none; the file is damaged");
    return status == IGVK_OK ? pickle_build(m, m->stack[m->height - 1], state) : status;
}

static igvk_status do_persistent(pickle_machine *m) {
    igvk_status status = IGVK_OK;
    pickle_value *id = NULL, *v = NULL;
    TRY(pop(m, &id));
    TRY(pickle_persistent(m, id, &v));
    TRY(push(m, v));
done:
    return status;
}

static igvk_status do_stop(pickle_machine *m) {
    if (m->mark_count || m->height != 1)
        return pickle_fail(m, "stops without one value as its result; the file is damaged");
    m->stopped = true;
    return IGVK_OK;
}

// ---- running ----------------------------------------------------------------------------------------------

typedef igvk_status (*instruction)(pickle_machine *m);
static const instruction instructions[256] = {
    [0x80] = do_proto,   [0x95] = do_frame,     ['.'] = do_stop,          ['('] = do_mark,     ['N'] = do_none,
    [0x88] = do_true,    [0x89] = do_false,     ['J'] = do_int4,          ['K'] = do_int1,     ['M'] = do_int2,
    [0x8a] = do_long1,   [0x8b] = do_long4,     ['G'] = do_float,         ['X'] = do_text4,    [0x8c] = do_text1,
    [0x8d] = do_text8,   ['C'] = do_bytes1,     ['B'] = do_bytes4,        [0x8e] = do_bytes8,  ['U'] = do_text1,
    [')'] = do_tuple0,   [0x85] = do_tuple1,    [0x86] = do_tuple2,       [0x87] = do_tuple3,  ['t'] = do_tuple,
    [']'] = do_list0,    ['a'] = do_append,     ['e'] = do_appends,       ['}'] = do_dict0,    ['s'] = do_setitem,
    ['u'] = do_setitems, ['q'] = do_put1,       ['r'] = do_put4,          [0x94] = do_memoize, ['h'] = do_get1,
    ['j'] = do_get4,     ['c'] = do_global,     [0x93] = do_stack_global, ['R'] = do_reduce,   [0x81] = do_reduce,
    ['b'] = do_build,    ['Q'] = do_persistent,
};

static igvk_status run(pickle_machine *m) {
    while (!m->stopped) {
        const unsigned char *code = NULL;
        igvk_status status = take(m, 1, &code);
        if (status != IGVK_OK)
            return status;
        unsigned char letter = *code;
        if (!instructions[letter])
            return pickle_fail(m, "instruction 0x%02x is none that torch.save writes; nothing of it was run", letter);
        status = instructions[letter](m);
        if (status != IGVK_OK)
            return status;
    }
    return IGVK_OK;
}

// What only the run needed.
static void free_stacks(pickle_machine *m) {
    free(m->stack);
    free(m->marks);
    free(m->memo);
    m->stack = NULL;
    m->marks = NULL;
    m->memo = NULL;
}

igvk_status pickle_read(const input_file *f, uint64_t begin, uint64_t end, pickle **out) {
    igvk_status status = IGVK_OK;
    pickle *p = calloc(1, sizeof *p);
    if (!p || !(p->machine.values = arena_create()))
        TRY(fail_memory(input_file_path(f), sizeof *p));
    p->machine.file = f;
    p->machine.begin = p->machine.next = begin;
    p->machine.end = end - begin > MAX_STREAM ? begin + MAX_STREAM : end;
    TRY(run(&p->machine));
    p->root = p->machine.stack[0];
    free_stacks(&p->machine);
    TRY(pickle_check(&p->machine, p->root));
    *out = p;
    p = NULL;
done:
    pickle_destroy(&p);
    return status;
}

void pickle_destroy(pickle **p) {
    if (!p || !*p)
        return;
    free_stacks(&(*p)->machine);
    free((*p)->machine.storages);
    arena_destroy(&(*p)->machine.values);
    free(*p);
    *p = NULL;
}

const pickle_value *pickle_root(const pickle *p) {
    return p->root;
}
uint64_t pickle_end(const pickle *p) {
    return p->machine.next;
}
size_t pickle_storage_count(const pickle *p) {
    return p->machine.storage_count;
}
pickle_storage *pickle_storage_at(const pickle *p, size_t i) {
    return p->machine.storages[i];
}

bool pickle_is_text(const pickle_value *v, const char *text) {
    return v && v->kind == PICKLE_TEXT && strcmp(v->text.bytes, text) == 0;
}

const pickle_value *pickle_get(const pickle_value *v, const char *key) {
    if (!v || (v->kind != PICKLE_DICT && v->kind != PICKLE_NAMESPACE))
        return NULL;
    for (size_t i = 0; i + 1 < v->list.count; i += 2)
        if (pickle_is_text(v->list.items[i], key))
            return v->list.items[i + 1];
    return NULL;
}
