// SPDX-License-Identifier: MIT
// This run's step block, of a tensor bound as `steps` (step_block.h).
#include "step_block.h"

uint step_run() { return LOAD(u32, steps, 0) % STEP_RING; }
#define STEP_U32(word) LOAD(u32, steps, (1 + step_run()) * STEP_WORDS + (word))
#define STEP_F32(word) uintBitsToFloat(STEP_U32(word))
