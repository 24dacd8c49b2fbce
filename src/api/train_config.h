// SPDX-License-Identifier: MIT
// RUN/config.json: the resolved options of a run, and the model that came of them.
#ifndef IGVK_API_TRAIN_CONFIG_H
#define IGVK_API_TRAIN_CONFIG_H

#include "models/model.h"

// malloc'd; null where memory is out. Which run was resumed is left out: how a run goes on is no part of it.
char *train_config_json(const igvk_train_options *o, const model_config *model);
// The model of the options for images of this shape: preset, then single sizes; checked.
igvk_status train_model_config(const igvk_train_options *o, uint32_t channels, uint32_t height, uint32_t width, uint32_t classes,
                               model_config *out);
// Refuses where `o` differs from the run's stored options in anything that shapes its numbers, but for what may help a
// run that became not finite (--learning-rate, --clip): that it changes is told by a message.
igvk_status train_check_resumed(const igvk_train_options *o, const igvk_events *events);

#endif
