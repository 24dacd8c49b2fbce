// SPDX-License-Identifier: MIT
#include "vulkan/parameter_memory.h"

#include "formats/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct chunk_name {
    char text[64];
} chunk_name;

static chunk_name name_of(const char *arena_name, uint32_t chunk) {
    chunk_name n;
    snprintf(n.text, sizeof n.text, "%s.%u", arena_name, chunk);
    return n;
}

// Of the memory that holds the set's chunk.
static chunk_name home_of(const parameter_layout *l, const char *arena_name, uint32_t chunk) {
    return name_of(parameter_chunk_home(l, arena_name, chunk), chunk);
}

static uint64_t chunk_bytes(const parameter_layout *l, uint32_t chunk, storage_type type) {
    return parameter_chunk_elements(l, chunk) * storage_bytes(parameter_chunk_type(l, chunk, type));
}

uint64_t parameter_memory_bytes(const parameter_layout *l, storage_type type) {
    uint64_t sum = 0;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        sum += chunk_bytes(l, c, type);
    return sum;
}

igvk_status parameter_memory_add_chunk(store *s, const parameter_layout *l, const char *arena_name, storage_type type,
                                       uint32_t chunk) {
    return store_add(s, name_of(arena_name, chunk).text, chunk_bytes(l, chunk, type), STORE_DEVICE);
}

igvk_status parameter_memory_add(store *s, const parameter_layout *l, const char *arena_name, storage_type type) {
    igvk_status status = IGVK_OK;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        TRY(parameter_memory_add_chunk(s, l, arena_name, type, c));
done:
    return status;
}

// In place: the 16-bit numbers end up in the first half of `values`.
static void narrow(storage_type type, float *values, uint64_t count) {
    for (uint64_t k = 0; k < count; k++) {
        const uint16_t bits = type == STORAGE_F16 ? f16_from_f32(values[k]) : bf16_from_f32(values[k]);
        memcpy((char *)values + k * sizeof bits, &bits, sizeof bits);
    }
}

static igvk_status fill_parameter(store *s, const parameter_set *set, size_t i, const parameter_source *source,
                                  float *piece) {
    igvk_status status = IGVK_OK;
    const parameter *p = parameter_at(set->layout, i);
    const storage_type type = parameter_chunk_type(set->layout, p->chunk, set->type);
    const uint64_t elements = shape_elements(p->shape), size = storage_bytes(type);
    for (uint64_t first = 0; first < elements; first += PARAMETER_PIECE) {
        const uint64_t count = elements - first < PARAMETER_PIECE ? elements - first : PARAMETER_PIECE;
        TRY(source->read(source->user, set->layout, i, first, count, piece));
        if (type != STORAGE_F32)
            narrow(type, piece, count);
        TRY(store_write(s, home_of(set->layout, set->arena_name, p->chunk).text, (p->first + first) * size, piece,
                        count * size));
    }
done:
    return status;
}

igvk_status parameter_memory_fill(store *s, const parameter_set *set, const parameter_source *source) {
    igvk_status status = IGVK_OK;
    if (store_is_planned(s))
        return IGVK_OK;
    float *piece = malloc(PARAMETER_PIECE * sizeof *piece);
    if (!piece)
        return fail_memory("a piece of a parameter", PARAMETER_PIECE * sizeof *piece);
    if (set->type == STORAGE_U32)
        THROW(IGVK_ERROR_INTERNAL, "parameters '%s' are of whole numbers", set->arena_name);
    for (size_t i = 0; i < parameter_count(set->layout); i++)
        TRY(fill_parameter(s, set, i, source, piece));
done:
    free(piece);
    return status;
}

igvk_status parameter_memory_write(store *s, const parameter_layout *l, const char *arena_name, size_t i,
                                   const float *values) {
    const parameter *p = parameter_at(l, i);
    return store_write(s, home_of(l, arena_name, p->chunk).text, p->first * 4, values, shape_elements(p->shape) * 4);
}

igvk_status parameter_memory_read(store *s, const parameter_layout *l, const char *arena_name, size_t i,
                                  float *values) {
    const parameter *p = parameter_at(l, i);
    return store_read(s, home_of(l, arena_name, p->chunk).text, p->first * 4, values, shape_elements(p->shape) * 4);
}

igvk_status parameter_memory_copy(store *s, const parameter_layout *l, const char *from, const char *to) {
    igvk_status status = IGVK_OK;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        if (parameter_chunk_group(l, c) != PARAMETER_KEPT) // else it is the same memory
            TRY(store_copy(s, name_of(from, c).text, 0, name_of(to, c).text, 0, chunk_bytes(l, c, STORAGE_F32)));
done:
    return status;
}

igvk_status parameter_memory_zero(store *s, const parameter_layout *l, const char *arena_name) {
    igvk_status status = IGVK_OK;
    for (uint32_t c = 0; c < parameter_chunk_count(l); c++)
        TRY(store_fill(s, name_of(arena_name, c).text, 0, chunk_bytes(l, c, STORAGE_F32), 0));
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
