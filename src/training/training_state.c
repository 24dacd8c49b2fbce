// SPDX-License-Identifier: MIT
#include "training/training_state.h"

#include "vulkan/parameter_memory.h"

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

igvk_status training_state_add(store *s, const parameter_layout *l) {
    igvk_status status = IGVK_OK;
    for (size_t i = 0; i < SETS; i++)
        for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
            if (training_set_holds(sets[i], parameter_chunk_group(l, k)))
                TRY(parameter_memory_add_chunk(s, l, sets[i], STORAGE_F32, k));
    TRY(parameter_memory_add_segments(s, l));
    TRY(store_add(s, "training.steps", (1 + STEP_RING) * STEP_WORDS * 4, STORE_RING));
    TRY(store_add(s, "training.metrics", STEP_RING * METRIC_WORDS * 4, STORE_RING));
    TRY(store_add(s, "training.stop", 4, STORE_DEVICE));
done:
    return status;
}

uint64_t training_state_bytes(const parameter_layout *l) {
    uint64_t elements = 0;
    for (size_t i = 0; i < SETS; i++)
        for (uint32_t k = 0; k < parameter_chunk_count(l); k++)
            if (training_set_holds(sets[i], parameter_chunk_group(l, k)))
                elements += parameter_chunk_elements(l, k);
    return elements * sizeof(float);
}

uint32_t *training_step_block(store *s, uint32_t run) {
    uint32_t *words = (uint32_t *)store_map(s, "training.steps") + (1 + run % STEP_RING) * STEP_WORDS;
    memset(words, 0, STEP_WORDS * sizeof *words);
    return words;
}

const float *training_metrics(store *s, uint32_t run) {
    return (const float *)store_map(s, "training.metrics") + (run % STEP_RING) * METRIC_WORDS;
}
