// SPDX-License-Identifier: MIT
// The driver's compiled pipelines in $XDG_CACHE_HOME/igvk, one file for a device, driver version and subgroup size. The driver gets
// back only what it gave: the file has a header of our own with a checksum, since drivers trust the data, and with
// the build's key, so that files of other builds are replaced and do not pile up.
#include "vulkan/internal.h"

#include "core/file.h"
#include "core/memory.h"
#include "core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAGIC "igvkpc01"
#define CACHE_LIMIT (256u << 20)

typedef struct cache_header {
    char magic[8];
    uint64_t build;    // of version and shaders
    uint64_t checksum; // of the data
    uint64_t bytes;    // of the data
    uint8_t device[VK_UUID_SIZE], driver[VK_UUID_SIZE];
} cache_header;

// FNV-1a; finds accidents, not malice: the folder is the user's own.
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes) {
    for (const uint8_t *p = data, *end = p + bytes; p < end; p++)
        hash = (hash ^ *p) * 0x100000001b3u;
    return hash;
}
#define HASH_START 0xcbf29ce484222325u

static uint64_t build_key(void) {
    uint64_t hash = hash_bytes(HASH_START, IGVK_VERSION, sizeof IGVK_VERSION);
    for (size_t i = 0; i < embedded_shader_count; i++)
        hash = hash_bytes(hash, embedded_shaders[i].code, embedded_shaders[i].bytes);
    return hash;
}

static cache_header header_of(const device *d, const void *data, size_t bytes) {
    cache_header h = {
        .magic = CACHE_MAGIC, .build = build_key(), .checksum = hash_bytes(HASH_START, data, bytes), .bytes = bytes};
    memcpy(h.device, d->physical.uuid, VK_UUID_SIZE);
    memcpy(h.driver, d->physical.pipeline_cache_uuid, VK_UUID_SIZE);
    return h;
}

char *cache_folder(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/') // the specification ignores relative ones
        return path_join(cache, "igvk");
    return home && *home ? path_join(home, ".cache/igvk") : NULL;
}

static char *cache_path(const device *d, const char *folder) {
    char name[128] = "pipelines-";
    size_t length = strlen(name);
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        length += (size_t)snprintf(name + length, sizeof name - length, "%02x", d->physical.uuid[i]);
    // A software driver's code is for one vector width, which it does not tell by its identifiers.
    snprintf(name + length, sizeof name - length, "-%08" PRIx32 "-%u.bin", d->physical.driver_version,
             d->physical.facts.subgroup_size);
    return path_join(folder, name);
}

// The data of a file that this build wrote for this device and driver, else nothing.
static char *read_cache(const device *d, const char *path, size_t *bytes) {
    char *file = NULL;
    size_t size = 0;
    if (!path_exists(path) || file_read(path, CACHE_LIMIT, &file, &size) != IGVK_OK)
        return NULL;
    cache_header found;
    if (size >= sizeof found) {
        memcpy(&found, file, sizeof found);
        cache_header wanted = header_of(d, file + sizeof found, size - sizeof found);
        if (!memcmp(&found, &wanted, sizeof found)) {
            *bytes = size - sizeof found;
            memmove(file, file + sizeof found, *bytes);
            return file;
        }
    }
    free(file);
    return NULL;
}

igvk_status pipeline_cache_open(device *d, VkPipelineCache *cache) {
    igvk_status status = IGVK_OK;
    size_t bytes = 0;
    char *folder = device_has(d, OPTIONAL_PIPELINE_CACHE) ? cache_folder() : NULL;
    char *path = folder ? cache_path(d, folder) : NULL;
    char *data = path ? read_cache(d, path, &bytes) : NULL;
    VkPipelineCacheCreateInfo create = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                        .initialDataSize = data ? bytes : 0,
                                        .pInitialData = data};
    VkResult result = d->vk.vkCreatePipelineCache(d->handle, &create, NULL, cache);
    if (result != VK_SUCCESS && data) {
        create.initialDataSize = 0;
        create.pInitialData = NULL;
        result = d->vk.vkCreatePipelineCache(d->handle, &create, NULL, cache);
    }
    TRY_VULKAN(result, "a pipeline cache");
done:
    free(data);
    free(path);
    free(folder);
    return status;
}

static igvk_status write_cache(const device *d, const char *folder, const char *path, const void *data, size_t bytes) {
    igvk_status status = IGVK_OK;
    atomic_file *f = NULL;
    cache_header h = header_of(d, data, bytes);
    TRY(folder_create(folder));
    TRY(atomic_file_create(path, &f));
    TRY(atomic_file_write(f, &h, sizeof h));
    TRY(atomic_file_write(f, data, bytes));
    TRY(atomic_file_commit(f));
done:
    atomic_file_destroy(&f);
    return status;
}

void pipeline_cache_save(device *d, VkPipelineCache cache) {
    char *folder = device_has(d, OPTIONAL_PIPELINE_CACHE) ? cache_folder() : NULL;
    char *path = folder ? cache_path(d, folder) : NULL;
    size_t bytes = 0;
    void *data = NULL;
    if (path && d->vk.vkGetPipelineCacheData(d->handle, cache, &bytes, NULL) == VK_SUCCESS &&
        bytes <= CACHE_LIMIT - sizeof(cache_header))
        data = malloc(bytes + 1);
    if (data && d->vk.vkGetPipelineCacheData(d->handle, cache, &bytes, data) == VK_SUCCESS) {
        // A full disk is no news here, and must not hide the text of the failure that closes the device.
        char kept[1024];
        snprintf(kept, sizeof kept, "%s", igvk_error_text());
        if (write_cache(d, folder, path, data, bytes) != IGVK_OK)
            fail(IGVK_OK, "%s", kept);
    }
    free(data);
    free(path);
    free(folder);
}
