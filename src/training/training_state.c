// SPDX-License-Identifier: MIT
#include "training/training_state.h"

#include "step_block.h"
#include "vulkan/parameter_memory.h"
#include "vulkan/run_once.h"

#include <stdio.h>
#include <string.h>

static const char *const sets[] = {SET_MODEL, SET_EMA, SET_GRADIENT, SET_MOMENT1, SET_MOMENT2};
#define SETS (sizeof sets / sizeof *sets)

parameter_layout *training_layout_create(const device *d, optimizer_kind kind) {
    const capabilities *c = device_capabilities(d);
    parameter_layout *l =
        parameter_layout_create(c->max_binding < c->max_allocation ? c->max_binding : c->max_allocation);
    if (l && kind == OPTIMIZER_MUON)
        parameter_layout_split_matrices(l);
    return l;
}

static igvk_status add_copies(store *s, const parameter_layout *l, storage_type precision) {
    igvk_status status = IGVK_OK;
    for (uint32_t k = 0; k < parameter_chunk_count(l); k++) {
        char name[32];
        snprintf(name, sizeof name, SET_COPIES ".%u", k);
        TRY(store_add(s, name, parameter_chunk_elements(l, k) * storage_bytes(precision), STORE_DEVICE));
    }
done:
    return status;
}

igvk_status training_state_add(store *s, const parameter_layout *l, storage_type precision) {
    igvk_status status = IGVK_OK;
    const loss_scale start = {.scale = LOSS_SCALE_START};
    for (size_t i = 0; i < SETS; i++)
        for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
            if (training_set_holds(sets[i], parameter_chunk_group(l, k)))
                TRY(parameter_memory_add_chunk(s, l, sets[i], STORAGE_F32, k));
    TRY(parameter_memory_add_segments(s, l));
    TRY(store_add(s, "training.steps", (1 + STEP_RING) * STEP_WORDS * 4, STORE_RING));
    TRY(store_add(s, "training.metrics", STEP_RING * METRIC_WORDS * 4, STORE_RING));
    TRY(store_add(s, "training.guard", GUARD_WORDS * 4, STORE_DEVICE));
    if (precision != STORAGE_F32)
        TRY(add_copies(s, l, precision));
    if (training_scales_loss(precision) && !store_is_planned(s))
        TRY(training_write_scale(s, &start));
done:
    return status;
}

uint64_t training_state_bytes(const parameter_layout *l, storage_type precision) {
    uint64_t elements = 0, copied = 0;
    for (size_t i = 0; i < SETS; i++)
        for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
            if (training_set_holds(sets[i], parameter_chunk_group(l, k)))
                elements += parameter_chunk_elements(l, k);
    for (uint32_t k = 0; precision != STORAGE_F32 && k < parameter_chunk_count(l); k++)
        copied += parameter_chunk_elements(l, k);
    return elements * sizeof(float) + copied * storage_bytes(precision);
}

uint32_t *training_step_block(store *s, uint32_t run) {
    uint32_t *words = (uint32_t *)store_map(s, "training.steps") + (1 + run % STEP_RING) * STEP_WORDS;
    memset(words, 0, STEP_WORDS * sizeof *words);
    return words;
}

const float *training_metrics(store *s, uint32_t run) {
    return (const float *)store_map(s, "training.metrics") + (run % STEP_RING) * METRIC_WORDS;
}

igvk_status training_copy_model(device *d, store *s, const parameter_layout *l, storage_type precision) {
    if (precision == STORAGE_F32)
        return IGVK_OK;
    graph *g = graph_new();
    if (!g)
        return fail_memory("a graph", 0);
    build_copies(g, l, precision);
    igvk_status status = run_once(d, s, &g, NULL, 0, NULL, 0);
    graph_destroy(&g);
    return status;
}

igvk_status training_read_scale(store *s, loss_scale *out) {
    uint32_t guard[GUARD_WORDS] = {0};
    igvk_status status = store_read(s, "training.guard", 0, guard, sizeof guard);
    memcpy(&out->scale, &guard[GUARD_SCALE], sizeof out->scale);
    out->good = guard[GUARD_GOOD];
    out->skipped = guard[GUARD_SKIPPED];
    return status;
}

igvk_status training_write_scale(store *s, const loss_scale *scale) {
    uint32_t guard[GUARD_WORDS] = {[GUARD_GOOD] = scale->good, [GUARD_SKIPPED] = scale->skipped};
    memcpy(&guard[GUARD_SCALE], &scale->scale, sizeof scale->scale);
    return store_write(s, "training.guard", 0, guard, sizeof guard);
}
