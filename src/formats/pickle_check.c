// SPDX-License-Identifier: MIT
// What a finished tree of values must be before anyone walks it: finite, shallow, of bounded extent, and of keys that
// stand for one value each.
#include "formats/pickle_internal.h"

#include <stdlib.h>
#include <string.h>

enum { UNSEEN, OPEN, DONE };

static igvk_status fail_tree(const pickle_machine *m, const char *what) {
    return fail(IGVK_ERROR_INVALID, "%s: its pickle %s; no checkpoint does", input_file_path(m->file), what);
}

static int compare_keys(const void *a, const void *b) {
    const pickle_value *x = *(const pickle_value *const *)a, *y = *(const pickle_value *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    switch (x->kind) {
    case PICKLE_TEXT:
        return strcmp(x->text.bytes, y->text.bytes);
    case PICKLE_INTEGER:
        return x->integer < y->integer ? -1 : x->integer > y->integer;
    case PICKLE_BOOL:
        return (int)x->truth - (int)y->truth;
    case PICKLE_NUMBER:
        return x->number < y->number ? -1 : x->number > y->number;
    default:
        return 0;
    }
}

static igvk_status check_keys(const pickle_machine *m, const pickle_value *v) {
    size_t count = v->list.count / 2;
    if (count > PICKLE_MAX_LEAVES)
        return fail_tree(m, "has more than 65536 values in a dict");
    const pickle_value **keys = malloc((count + 1) * sizeof *keys);
    if (!keys)
        return fail_memory(input_file_path(m->file), count * sizeof *keys);
    for (size_t i = 0; i < count; i++)
        keys[i] = v->list.items[2 * i];
    qsort(keys, count, sizeof *keys, compare_keys);
    igvk_status status = IGVK_OK;
    for (size_t i = 1; i < count && status == IGVK_OK; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) == 0)
            status = fail_tree(m, "has a dict with the same key twice");
    free(keys);
    return status;
}

static bool is_container(const pickle_value *v) {
    return v->kind >= PICKLE_LIST && v->kind <= PICKLE_NAMESPACE;
}

// Every value is visited once, however often it is shared: `height` and `leaves` keep what lies below it.
static igvk_status visit(const pickle_machine *m, pickle_value *v, uint32_t depth) {
    igvk_status status = IGVK_OK;
    if (v->visit == OPEN)
        return fail_tree(m, "has a value that holds itself");
    if (depth + (v->visit == DONE ? v->height : 0) > PICKLE_MAX_DEPTH)
        return fail_tree(m, "is nested more than 32 levels deep");
    if (v->visit == DONE)
        return IGVK_OK;
    if (v->kind == PICKLE_GLOBAL)
        return fail_tree(m, "has the name of a function or class for a value");
    v->visit = OPEN;
    v->leaves = 1;
    bool pairs = v->kind == PICKLE_DICT || v->kind == PICKLE_NAMESPACE;
    if (pairs)
        TRY(check_keys(m, v));
    for (size_t i = pairs ? 1 : 0; is_container(v) && i < v->list.count; i += pairs ? 2 : 1) {
        pickle_value *child = v->list.items[i];
        TRY(visit(m, child, depth + 1));
        v->height = child->height + 1 > v->height ? child->height + 1 : v->height;
        v->leaves += child->leaves;
        if (v->leaves > PICKLE_MAX_LEAVES)
            TRY(fail_tree(m, "holds more than 65536 values"));
    }
    v->visit = DONE;
done:
    return status;
}

igvk_status pickle_check(const pickle_machine *m, pickle_value *root) {
    return visit(m, root, 0);
}
