// SPDX-License-Identifier: MIT
#ifndef IGVK_API_EXPORT_TORCH_H
#define IGVK_API_EXPORT_TORCH_H

#include "igvk/igvk.h"
#include "models/weights.h"

typedef struct torch_export {
    weights_file *ema, *model; // checked against `layout`; model null: the file has one set, which stands for both
    const parameter_layout *layout;
    bool half; // f16 instead of f32
    const igvk_events *events;
} torch_export;
igvk_status export_torch(const torch_export *e, const char *path);

#endif
