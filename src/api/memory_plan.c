// SPDX-License-Identifier: MIT
#include "api/memory_plan.h"

#include <string.h>

enum { WEIGHTS, COPIES, GRADIENTS, MOMENTS, EMA, ACTIVATIONS, WORKSPACE, RINGS, DECODER, SHEETS, STAGING, ROWS };

static const char *const row_names[ROWS] = {
    [WEIGHTS] = "weights",
    [COPIES] = "copies in 16 bits",
    [GRADIENTS] = "gradients",
    [MOMENTS] = "moments",
    [EMA] = "EMA",
    [ACTIVATIONS] = "activations",
    [WORKSPACE] = "workspace beside them",
    [RINGS] = "rings, states and tables",
    [DECODER] = "decoder",
    [SHEETS] = "sample sheets",
    [STAGING] = "staging",
};

static int row_of(const char *kind, bool trains) {
    static const struct {
        const char *kind;
        int row;
    } rows[] = {{"model", WEIGHTS},      {"copies", COPIES}, {"weak", WEIGHTS},         {"gradient", GRADIENTS},
                {"moment1", MOMENTS},    {"moment2", MOMENTS},      {PLANNED_WORKSPACE, WORKSPACE},
                {PLAN_DECODER, DECODER}, {PLANNED_STAGING, STAGING}};
    if (strcmp(kind, "ema") == 0)
        return trains ? EMA : WEIGHTS;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(kind, rows[i].kind) == 0)
            return rows[i].row;
    return RINGS;
}

static void tell(const igvk_events *e, const char *name, uint64_t bytes) {
    const igvk_plan_row row = {.kind = name, .bytes = bytes};
    e->plan(e->user, &row);
}

void memory_plan_tell(const device *d, bool trains, uint64_t sheets, const igvk_events *events) {
    uint64_t bytes[ROWS] = {[SHEETS] = sheets};
    const planned_memory *planned;
    const size_t count = device_planned(d, &planned);
    if (!events || !events->plan)
        return;
    for (size_t i = 0; i < count; i++)
        bytes[row_of(planned[i].kind, trains)] += planned[i].bytes;
    const uint64_t activations = device_planned_activations(d);
    bytes[ACTIVATIONS] = activations < bytes[WORKSPACE] ? activations : bytes[WORKSPACE];
    bytes[WORKSPACE] -= bytes[ACTIVATIONS];
    for (int k = 0; k < ROWS; k++)
        if (bytes[k])
            tell(events, row_names[k], bytes[k]);
    tell(events, "in all", device_planned_bytes(d) + sheets);
    tell(events, "free", device_memory_free(d));
}
