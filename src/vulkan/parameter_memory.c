// SPDX-License-Identifier: MIT
#include "vulkan/parameter_memory.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct chunk_name {
    char text[64];
} chunk_name;

static chunk_name name_of(const char *arena_name, uint32_t chunk) {
    chunk_name n;
    snprintf(n.text, sizeof n.text, "%s.%u", arena_name, chunk);
    return n;
}

static uint64_t chunk_bytes(const parameter_layout *l, uint32_t chunk) { return parameter_chunk_elements(l, chunk) * 4; }

uint64_t parameter_memory_bytes(const parameter_layout *l) {
    uint64_t sum = 0;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        sum += chunk_bytes(l, c);
    return sum;
}

igvk_status parameter_memory_add(store *s, const parameter_layout *l, const char *arena_name) {
    igvk_status status = IGVK_OK;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        TRY(store_add(s, name_of(arena_name, c).text, chunk_bytes(l, c), STORE_DEVICE));
done:
    return status;
}

igvk_status parameter_memory_write(store *s, const parameter_layout *l, const char *arena_name, size_t i, const float *values) {
    const parameter *p = parameter_at(l, i);
    return store_write(s, name_of(arena_name, p->chunk).text, p->first * 4, values, shape_elements(p->shape) * 4);
}

igvk_status parameter_memory_read(store *s, const parameter_layout *l, const char *arena_name, size_t i, float *values) {
    const parameter *p = parameter_at(l, i);
    return store_read(s, name_of(arena_name, p->chunk).text, p->first * 4, values, shape_elements(p->shape) * 4);
}

igvk_status parameter_memory_copy(store *s, const parameter_layout *l, const char *from, const char *to) {
    igvk_status status = IGVK_OK;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        TRY(store_copy(s, name_of(from, c).text, 0, name_of(to, c).text, 0, chunk_bytes(l, c)));
done:
    return status;
}

igvk_status parameter_memory_zero(store *s, const parameter_layout *l, const char *arena_name) {
    igvk_status status = IGVK_OK;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        TRY(store_fill(s, name_of(arena_name, c).text, 0, chunk_bytes(l, c), 0));
done:
    return status;
}

igvk_status parameter_memory_add_segments(store *s, const parameter_layout *l) {
    igvk_status status = IGVK_OK;
    uint32_t *words = NULL;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++) {
        uint64_t bytes = parameter_chunk_elements(l, c) / PARAMETER_GRANULE * sizeof *words;
        free(words);
        words = malloc(bytes);
        if (!words) {
            status = fail_memory("the segment table", bytes);
            goto done;
        }
        parameter_segments(l, c, words);
        TRY(store_add(s, name_of("segments", c).text, bytes, STORE_DEVICE));
        TRY(store_write(s, name_of("segments", c).text, 0, words, bytes));
    }
done:
    free(words);
    return status;
}
