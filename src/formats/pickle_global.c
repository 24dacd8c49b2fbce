// SPDX-License-Identifier: MIT
// Every name that a checkpoint's pickle may ask for, and what "calling" it means here: building a value. By the
// official code: torch/_utils.py, torch/serialization.py (persistent_load), argparse.Namespace.
#include "formats/pickle_internal.h"

#include <string.h>

#define MAX_STORAGE_ELEMENTS (1ull << 48)
// A view may repeat elements by strides of zero; beyond this many more than its storage has, it is no weight.
#define MAX_REPEATED_ELEMENTS (1ull << 20)

typedef enum meaning {
    ORDERED_DICT,
    NAMESPACE,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    STORAGE_TYPE,
    SIZE,
    DEVICE,
    DATA_TYPE,
} meaning;

static const struct global {
    const char *module, *name;
    meaning meaning;
    element_type type; // STORAGE_TYPE
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"argparse", "Namespace", NAMESPACE, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch", "FloatStorage", STORAGE_TYPE, ELEMENT_F32},
    {"torch", "DoubleStorage", STORAGE_TYPE, ELEMENT_F64},
    {"torch", "HalfStorage", STORAGE_TYPE, ELEMENT_F16},
    {"torch", "BFloat16Storage", STORAGE_TYPE, ELEMENT_BF16},
    {"torch", "LongStorage", STORAGE_TYPE, ELEMENT_I64},
    {"torch", "IntStorage", STORAGE_TYPE, ELEMENT_I32},
    {"torch", "ShortStorage", STORAGE_TYPE, ELEMENT_I16},
    {"torch", "CharStorage", STORAGE_TYPE, ELEMENT_I8},
    {"torch", "ByteStorage", STORAGE_TYPE, ELEMENT_U8},
    {"torch", "BoolStorage", STORAGE_TYPE, ELEMENT_BOOL},
    {"torch", "UntypedStorage", STORAGE_TYPE, ELEMENT_U8},
    {"torch.storage", "UntypedStorage", STORAGE_TYPE, ELEMENT_U8},
    {"torch.storage", "_UntypedStorage", STORAGE_TYPE, ELEMENT_U8},
    {"torch", "Size", SIZE, 0},
    {"torch", "device", DEVICE, 0},
    {"torch", "float32", DATA_TYPE, 0},
    {"torch", "float64", DATA_TYPE, 0},
    {"torch", "float16", DATA_TYPE, 0},
    {"torch", "bfloat16", DATA_TYPE, 0},
    {"torch", "int64", DATA_TYPE, 0},
    {"torch", "int32", DATA_TYPE, 0},
};

static igvk_status new_text(pickle_machine *m, const char *text, pickle_value **out) {
    void *copy = NULL;
    size_t length = strlen(text);
    igvk_status status = pickle_new(m, PICKLE_TEXT, out);
    if (status == IGVK_OK)
        status = pickle_alloc(m, length + 1, &copy);
    if (status != IGVK_OK)
        return status;
    (*out)->text.bytes = memcpy(copy, text, length + 1);
    (*out)->text.length = length;
    return IGVK_OK;
}

igvk_status pickle_find_global(pickle_machine *m, const char *module, const char *name, pickle_value **out) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (strcmp(globals[i].module, module) != 0 || strcmp(globals[i].name, name) != 0)
            continue;
        if (globals[i].meaning == DATA_TYPE) // a value, not a function: its name says all
            return new_text(m, globals[i].name, out);
        igvk_status status = pickle_new(m, PICKLE_GLOBAL, out);
        if (status == IGVK_OK)
            (*out)->global = (int)i;
        return status;
    }
    return pickle_fail(m,
                       "asks for %.100s.%.100s, which no official checkpoint needs: a program may hide there; "
                       "nothing of it was run",
                       module, name);
}

// ---- tensors ----------------------------------------------------------------------------------------------

static const pickle_value *item(const pickle_value *tuple, size_t i) {
    return tuple->list.items[i];
}

static bool whole(const pickle_value *v, uint64_t most, uint64_t *out) {
    if (v->kind != PICKLE_INTEGER || v->integer < 0 || (uint64_t)v->integer > most)
        return false;
    *out = (uint64_t)v->integer;
    return true;
}

static bool whole_numbers(const pickle_value *v, size_t count, uint64_t *out) {
    for (size_t i = 0; i < count; i++)
        if (!whole(item(v, i), MAX_STORAGE_ELEMENTS, &out[i]))
            return false;
    return true;
}

// The farthest element plus one, where all products and sums fit.
static bool reach(const pickle_tensor *t, uint64_t *out) {
    uint64_t last = t->offset;
    for (uint32_t i = 0; i < t->rank; i++) {
        uint64_t step = 0;
        if (t->shape[i] == 0) {
            *out = 0;
            return true;
        }
        if (!multiply_u64(t->shape[i] - 1, t->stride[i], &step) || !add_u64(last, step, &last))
            return false;
    }
    return add_u64(last, 1, out);
}

static bool count_elements(pickle_tensor *t) {
    bool empty = false, fits = true;
    t->elements = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        empty = empty || t->shape[i] == 0;
    for (uint32_t i = 0; i < t->rank && !empty; i++)
        fits = fits && multiply_u64(t->elements, t->shape[i], &t->elements);
    if (empty)
        t->elements = 0;
    return fits;
}

// (storage, offset, sizes, strides, requires_grad, backward_hooks[, metadata])
static igvk_status rebuild_tensor(pickle_machine *m, const pickle_value *a, pickle_value **out) {
    void *memory = NULL;
    if (a->list.count < 6 || a->list.count > 7 || item(a, 0)->kind != PICKLE_STORAGE)
        return pickle_fail(m, "rebuilds a tensor from what is none; the file is damaged");
    const pickle_value *sizes = item(a, 2), *strides = item(a, 3);
    if ((sizes->kind != PICKLE_TUPLE && sizes->kind != PICKLE_LIST) || strides->kind != sizes->kind ||
        sizes->list.count != strides->list.count || sizes->list.count > SAFETENSORS_MAX_RANK)
        return pickle_fail(m, "has a tensor without as many strides as sizes, or of more than %d dimensions",
                           SAFETENSORS_MAX_RANK);
    igvk_status status = pickle_alloc(m, sizeof(pickle_tensor), &memory);
    if (status != IGVK_OK)
        return status;
    pickle_tensor *t = memory;
    t->storage = item(a, 0)->storage;
    t->rank = (uint32_t)sizes->list.count;
    uint64_t end = 0, have = t->storage->elements;
    if (!whole(item(a, 1), MAX_STORAGE_ELEMENTS, &t->offset) || !whole_numbers(sizes, t->rank, t->shape) ||
        !whole_numbers(strides, t->rank, t->stride))
        return pickle_fail(m, "has a tensor whose offset, sizes or strides are no sane whole numbers");
    if (!count_elements(t) || !reach(t, &end) || end > have || t->offset > have)
        return pickle_fail(m, "has a tensor that reaches beyond its storage of %llu elements",
                           (unsigned long long)have);
    if (t->elements > have && t->elements - have > MAX_REPEATED_ELEMENTS)
        return pickle_fail(m, "has a tensor of %llu elements over a storage of %llu", (unsigned long long)t->elements,
                           (unsigned long long)have);
    status = pickle_new(m, PICKLE_TENSOR, out);
    if (status == IGVK_OK)
        (*out)->tensor = t;
    return status;
}

// (tensor, requires_grad, backward_hooks)
static igvk_status rebuild_parameter(pickle_machine *m, const pickle_value *a, pickle_value **out) {
    if (a->list.count != 3 || item(a, 0)->kind != PICKLE_TENSOR)
        return pickle_fail(m, "rebuilds a parameter from what is no tensor; the file is damaged");
    *out = a->list.items[0];
    return IGVK_OK;
}

static bool is_storage_key(const pickle_value *v) {
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    return v->kind == PICKLE_TEXT && v->text.length > 0 && v->text.length < 64 &&
           strspn(v->text.bytes, allowed) == v->text.length;
}

igvk_status pickle_persistent(pickle_machine *m, const pickle_value *id, pickle_value **out) {
    void *memory = NULL;
    if (id->kind != PICKLE_TUPLE || id->list.count < 5 || id->list.count > 6 || !pickle_is_text(item(id, 0), "storage"))
        return pickle_fail(m, "refers to something outside it that is no storage; the file is damaged");
    const pickle_value *type = item(id, 1);
    if (type->kind != PICKLE_GLOBAL || globals[type->global].meaning != STORAGE_TYPE)
        return pickle_fail(m, "has a storage of no known type; the file is damaged");
    if (!is_storage_key(item(id, 2)) || item(id, 3)->kind != PICKLE_TEXT)
        return pickle_fail(m, "has a storage whose key is none that torch.save gives");
    if (id->list.count == 6 && item(id, 5)->kind != PICKLE_NONE)
        return pickle_fail(m, "has a view of a storage, as PyTorch before 0.4 wrote; save the file again with a newer");
    igvk_status status = pickle_alloc(m, sizeof(pickle_storage), &memory);
    if (status != IGVK_OK)
        return status;
    pickle_storage *s = memory;
    s->type = globals[type->global].type;
    s->key = item(id, 2)->text.bytes;
    if (!whole(item(id, 4), MAX_STORAGE_ELEMENTS, &s->elements))
        return pickle_fail(m, "has a storage whose length is no sane whole number");
    if (!ARRAY_RESERVE(m->storages, m->storage_capacity, m->storage_count + 1))
        return fail_memory(input_file_path(m->file), 0);
    m->storages[m->storage_count++] = s;
    status = pickle_new(m, PICKLE_STORAGE, out);
    if (status == IGVK_OK)
        (*out)->storage = s;
    return status;
}

// ---- the others -------------------------------------------------------------------------------------------

// torch.device("cuda") or ("cuda", 0): kept as its text.
static igvk_status make_device(pickle_machine *m, const pickle_value *a, pickle_value **out) {
    if (a->list.count < 1 || a->list.count > 2 || item(a, 0)->kind != PICKLE_TEXT ||
        (a->list.count == 2 && item(a, 1)->kind != PICKLE_INTEGER))
        return pickle_fail(m, "has a device that is none; the file is damaged");
    *out = a->list.items[0];
    return IGVK_OK;
}

// torch.Size((2, 3)): a tuple.
static igvk_status make_size(pickle_machine *m, const pickle_value *a, pickle_value **out) {
    if (a->list.count != 1 || (item(a, 0)->kind != PICKLE_TUPLE && item(a, 0)->kind != PICKLE_LIST))
        return pickle_fail(m, "has a size that is none; the file is damaged");
    *out = a->list.items[0];
    return IGVK_OK;
}

igvk_status pickle_call(pickle_machine *m, const pickle_value *callable, const pickle_value *arguments,
                        pickle_value **out) {
    if (callable->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE)
        return pickle_fail(m, "calls what cannot be called; nothing of it was run");
    const struct global *g = &globals[callable->global];
    switch (g->meaning) {
    case REBUILD_TENSOR:
        return rebuild_tensor(m, arguments, out);
    case REBUILD_PARAMETER:
        return rebuild_parameter(m, arguments, out);
    case SIZE:
        return make_size(m, arguments, out);
    case DEVICE:
        return make_device(m, arguments, out);
    case ORDERED_DICT:
    case NAMESPACE:
        if (arguments->list.count == 0)
            return pickle_new(m, g->meaning == NAMESPACE ? PICKLE_NAMESPACE : PICKLE_DICT, out);
        break;
    case STORAGE_TYPE:
    case DATA_TYPE:
        break;
    }
    return pickle_fail(m, "calls %s.%s as no checkpoint does; nothing of it was run", g->module, g->name);
}

igvk_status pickle_build(pickle_machine *m, pickle_value *object, const pickle_value *state) {
    if (object->kind == PICKLE_DICT && state->kind == PICKLE_DICT)
        return IGVK_OK; // a state dict's _metadata: version numbers of its modules
    if (object->kind != PICKLE_NAMESPACE || state->kind != PICKLE_DICT)
        return pickle_fail(m, "sets the state of what has none; nothing of it was run");
    for (size_t i = 0; i < state->list.count; i++) {
        if (i % 2 == 0 && state->list.items[i]->kind != PICKLE_TEXT)
            return pickle_fail(m, "names a field of a namespace by what is no text; the file is damaged");
        igvk_status status = pickle_append(m, object, state->list.items[i]);
        if (status != IGVK_OK)
            return status;
    }
    return IGVK_OK;
}
