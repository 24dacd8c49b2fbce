// SPDX-License-Identifier: MIT
// Sample sheets while a run trains: a row for each guidance, the same seeds in each and in every sheet of the run.
#ifndef IGVK_API_TRAIN_SHEET_H
#define IGVK_API_TRAIN_SHEET_H

#include "api/class_list.h"
#include "training/trainer.h"

typedef struct train_sheet {
    device *device;
    const model_config *config;
    const json_t *class_names;
    uint32_t steps; // Heun's
    double ig_scale, cfg_scale;
    // Filled by train_sheet_plan; all sheets of a run have one batch, whatever memory is free by then.
    uint32_t batch;
    uint64_t bytes; // of device memory that a sheet takes beside the weights
} train_sheet;

// Chooses the batch: the most that take at most a quarter of what is free, so that training keeps the rest. Refuses
// where not even one image fits. Nothing is allocated on the device.
igvk_status train_sheet_plan(train_sheet *s);
// A sheet of the trainer's EMA to `path`, whole or not at all. IGVK_INTERRUPTED where events->stop asks for it.
igvk_status train_sheet_draw(const train_sheet *s, trainer *t, uint64_t step, const char *path,
                             const igvk_events *events);

#endif
