// SPDX-License-Identifier: MIT
// A parameter layout's sets in a store: one allocation per chunk, named as parameter_chunk names it.
#ifndef IGVK_VULKAN_PARAMETER_MEMORY_H
#define IGVK_VULKAN_PARAMETER_MEMORY_H

#include "graph/parameters.h"
#include "vulkan/store.h"

// Zeroed. `type`: the set's (parameter_set).
igvk_status parameter_memory_add(store *s, const parameter_layout *l, const char *arena_name, storage_type type);
igvk_status parameter_memory_add_chunk(store *s, const parameter_layout *l, const char *arena_name, storage_type type,
                                       uint32_t chunk);
// Every parameter of a set that was added with the set's type, from the source, in pieces of at most PARAMETER_PIECE
// elements; rounded to the set's type to nearest even.
#define PARAMETER_PIECE (1u << 20)
igvk_status parameter_memory_fill(store *s, const parameter_set *set, const parameter_source *source);
// Parameter i of a set of f32, in the host's order; what is kept, where its home is.
igvk_status parameter_memory_write(store *s, const parameter_layout *l, const char *arena_name, size_t i,
                                   const float *values);
igvk_status parameter_memory_read(store *s, const parameter_layout *l, const char *arena_name, size_t i, float *values);
// Of sets of f32.
igvk_status parameter_memory_copy(store *s, const parameter_layout *l, const char *from, const char *to);
igvk_status parameter_memory_zero(store *s, const parameter_layout *l, const char *arena_name);
// The optimizer's segment tables "segments.CHUNK".
igvk_status parameter_memory_add_segments(store *s, const parameter_layout *l);
uint64_t parameter_memory_bytes(const parameter_layout *l, storage_type type); // of one set

#endif
