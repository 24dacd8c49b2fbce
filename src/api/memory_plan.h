// SPDX-License-Identifier: MIT
// --plan: what a planning device counted, told by kind.
#ifndef IGVK_API_MEMORY_PLAN_H
#define IGVK_API_MEMORY_PLAN_H

#include "vulkan/planning.h"

#include "igvk/igvk.h"

// A kind that device_plan_kind is given, beside the names of memory.
#define PLAN_DECODER "decoder"

// Rows to events->plan: the kinds that there are, their sum, what is free. `trains`: the EMA is one beside the model.
// `sheets`: bytes that training's sample sheets take for a while.
void memory_plan_tell(const device *d, bool trains, uint64_t sheets, const igvk_events *events);

#endif
