// SPDX-License-Identifier: MIT
// A stage as the words of a step block (shaders/include/step_block.h).
#ifndef IGVK_SAMPLING_STEP_WORDS_H
#define IGVK_SAMPLING_STEP_WORDS_H

#include "step_block.h"
#include "sampling/schedule.h"

void step_words_of_stage(const sampling_stage *s, uint32_t words[STEP_WORDS]);

// A number as the bits of a float; as a pair (high, low), which holds 48 bits of it.
uint32_t step_word(double value);
void step_words_pair(double value, uint32_t words[2]);

#endif
