// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L // setenv
#include "vulkan/internal.h"

#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>

igvk_status vector_width_set(uint32_t bits) {
    igvk_status status = IGVK_OK;
    char text[16], name[32];
    char *folder = NULL, *cache = NULL;
    if (!bits)
        return IGVK_OK;
    snprintf(text, sizeof text, "%u", bits);
    snprintf(name, sizeof name, "mesa-%u", bits);
    folder = cache_folder();
    // Mesa makes the last folder alone. Without one it keeps nothing, which costs time only.
    cache = folder && folder_create(folder) == IGVK_OK ? path_join(folder, name) : NULL;
    if (setenv("LP_NATIVE_VECTOR_WIDTH", text, 1) != 0 ||
        setenv(cache ? "MESA_SHADER_CACHE_DIR" : "MESA_SHADER_CACHE_DISABLE", cache ? cache : "true", 1) != 0)
        status = fail_memory("the vector width", 0);
    free(cache);
    free(folder);
    return status;
}
