// SPDX-License-Identifier: MIT
// How a job's options open its device.
#ifndef IGVK_API_DEVICE_CHOICE_H
#define IGVK_API_DEVICE_CHOICE_H

#include "vulkan/device.h"

// Of a job's options, which have the fields of OPTION_DEVICE_ROWS. `plans`: for planning alone.
#define DEVICE_OPTIONS_OF(o, plans)                                                                                           \
    (&(device_options){.select = (o)->device[0] ? (o)->device : NULL,                                                  \
                       .max_submit_ms = (o)->max_submit_ms,                                                            \
                       .gentle = (o)->gentle,                                                                                         \
                       .vector_width = (o)->vector_width ? 64u << (o)->vector_width : 0,                               \
                       .planning = (plans)})

#endif
