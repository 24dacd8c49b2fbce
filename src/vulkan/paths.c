// SPDX-License-Identifier: MIT
#include "vulkan/paths.h"

#include "core/text.h"
#include "vulkan/shaders.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *what, *probe; // probe: of cmake/probes, or null
} path_rows[OPTIONAL_COUNT] = {
    [OPTIONAL_ADDRESS] = {"address", "tensors bound by device address instead of descriptors", NULL},
    [OPTIONAL_REGISTER_TILE] = {"register-tile", "matrix kernels without shared memory, for software drivers", NULL},
    [OPTIONAL_LANES_BROADCAST] = {"lanes-broadcast", "vectors from broadcasts instead of gathers (llvmpipe)", NULL},
    [OPTIONAL_SUBGROUP_BROADCAST] = {"subgroup-broadcast", "rows by subgroup broadcasts where the above is missing", NULL},
    [OPTIONAL_SUBGROUP_SHUFFLE] = {"subgroup-shuffle", "attention with heads split between lanes, for GPUs", NULL},
    [OPTIONAL_PAIRS] = {"pairs", "accesses of 64 bits instead of 32", NULL},
    [OPTIONAL_WRITTEN_OUT] = {"written-out", "small tiles without loops (SwiftShader)", NULL},
    [OPTIONAL_STORAGE_16BIT] = {"storage-16bit", "tensors stored as f16 or bf16", NULL},
    [OPTIONAL_UNIFIED] = {"unified", "the host reaches device memory without staging copies", NULL},
    [OPTIONAL_TIMESTAMPS] = {"timestamps", "times measured on the device", NULL},
    [OPTIONAL_MEMORY_BUDGET] = {"memory-budget", "free memory told by the driver", NULL},
    [OPTIONAL_PIPELINE_CACHE] = {"pipeline-cache", "compiled kernels kept in the user's cache folder", NULL},
    [OPTIONAL_PIPELINE_STATISTICS] = {"kernel-statistics", "registers and spills told by the driver (bench)", NULL},
    [OPTIONAL_COOPERATIVE_MATRIX] = {"cooperative-matrix", "matrix units (no kernel of this version uses them)",
                                     "cooperative_matrix"},
};

static igvk_status unknown_path(const char *word) {
    const char *names[OPTIONAL_COUNT];
    text_buffer known = {0};
    for (size_t i = 0; i < OPTIONAL_COUNT; i++) {
        names[i] = path_rows[i].name;
        text_append(&known, "%s%s", i ? ", " : "", names[i]);
    }
    const char *close = closest_word(word, names, OPTIONAL_COUNT);
    igvk_status status =
        fail(IGVK_ERROR_INVALID, "IGVK_DISABLE: no path '%s'%s%s%s; known are %s", word,
             close ? ", did you mean '" : "", close ? close : "", close ? "'?" : "", known.text ? known.text : "none");
    text_free(&known);
    return status;
}

// Marks one name of the list; `length` bytes at `word`.
static igvk_status switch_off(bool off[OPTIONAL_COUNT], const char *word, size_t length) {
    for (size_t i = 0; i < OPTIONAL_COUNT; i++)
        if (strlen(path_rows[i].name) == length && !memcmp(path_rows[i].name, word, length)) {
            off[i] = true;
            return IGVK_OK;
        }
    char copy[64] = "";
    memcpy(copy, word, length < sizeof copy ? length : sizeof copy - 1);
    return unknown_path(copy);
}

static igvk_status read_switches(bool off[OPTIONAL_COUNT]) {
    igvk_status status = IGVK_OK;
    const char *list = getenv("IGVK_DISABLE");
    while (list && *list) {
        size_t length = strcspn(list, ",");
        if (length)
            TRY(switch_off(off, list, length));
        list += length + (list[length] == ',');
    }
done:
    return status;
}

static bool probe_passed(const char *name) {
    for (size_t i = 0; i < shader_probe_count; i++)
        if (!strcmp(shader_probes[i].name, name))
            return shader_probes[i].passed;
    return false;
}

igvk_status paths_create(device_path paths[OPTIONAL_COUNT]) {
    igvk_status status = IGVK_OK;
    bool off[OPTIONAL_COUNT] = {false};
    TRY(read_switches(off));
    for (size_t i = 0; i < OPTIONAL_COUNT; i++)
        // Until path_found, `enabled` says that the path is wanted.
        paths[i] = (device_path){.name = path_rows[i].name,
                                 .what = path_rows[i].what,
                                 .compiled = !path_rows[i].probe || probe_passed(path_rows[i].probe),
                                 .enabled = !off[i]};
done:
    return status;
}

void path_found(device_path paths[OPTIONAL_COUNT], enum optional_path path, bool present) {
    paths[path].present = present;
    paths[path].enabled = paths[path].enabled && present && paths[path].compiled;
}
