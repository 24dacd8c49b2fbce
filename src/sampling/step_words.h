// SPDX-License-Identifier: MIT
// A stage as the words of a step block (shaders/include/step_block.h).
#ifndef IGVK_SAMPLING_STEP_WORDS_H
#define IGVK_SAMPLING_STEP_WORDS_H

#include "step_block.h"
#include "sampling/schedule.h"

void step_words_of_stage(const sampling_stage *s, uint32_t words[STEP_WORDS]);

#endif
