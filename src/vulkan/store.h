// SPDX-License-Identifier: MIT
// The store: named device memory that lasts between programs: parameters, moments, EMA, rings, outputs.
// Programs bind a graph's external roots by name to it.
#ifndef IGVK_VULKAN_STORE_H
#define IGVK_VULKAN_STORE_H

#include "vulkan/device.h"

typedef enum store_kind {
    STORE_DEVICE, // device-local; host access by staging copies
    STORE_RING,   // host-visible and coherent, mapped: small data written or read every step
} store_kind;

typedef struct store store; // must not outlive the device
igvk_status store_create(device *d, store **out);
void store_destroy(store **s);

// Adds zeroed memory of that name. The same name and size again is no error (the memory stays as it is);
// another size is. Refuses beyond the largest allocation, by name.
igvk_status store_add(store *s, const char *name, uint64_t bytes, store_kind kind);
bool store_is_planned(const store *s); // on a planning device: there is nothing to fill
bool store_has(const store *s, const char *name);
uint64_t store_bytes(const store *s, const char *name); // 0 where absent

// Synchronous: wait for the device, then copy (staged in pieces of at most 16 MiB).
igvk_status store_write(store *s, const char *name, uint64_t offset, const void *data, uint64_t bytes);
igvk_status store_read(store *s, const char *name, uint64_t offset, void *data, uint64_t bytes);
igvk_status store_fill(store *s, const char *name, uint64_t offset, uint64_t bytes, uint32_t word); // multiple of 4
igvk_status store_copy(store *s, const char *from, uint64_t from_offset, const char *to, uint64_t to_offset, uint64_t bytes);
// The mapped memory of a STORE_RING, else null. The caller keeps clear of runs in flight.
void *store_map(store *s, const char *name);

#endif
