// SPDX-License-Identifier: MIT
#include "sampling/step_words.h"

#include <string.h>

uint32_t step_word(double value) {
    float f = (float)value;
    uint32_t word;
    memcpy(&word, &f, sizeof word);
    return word;
}

void step_words_pair(double value, uint32_t words[2]) {
    words[0] = step_word(value);
    words[1] = step_word(value - (float)value);
}

void step_words_of_stage(const sampling_stage *s, uint32_t words[STEP_WORDS]) {
    words[STEP_INDEX] = s->step;
    words[STEP_TIME] = step_word(s->time);
    words[STEP_IG_SCALE] = step_word(s->ig);
    words[STEP_CFG_SCALE] = step_word(s->cfg);
    words[STEP_COMMIT] = s->commit;
    words[STEP_CLIP] = s->clip;
    words[STEP_NOISY] = s->noisy;
    words[STEP_LOG_VARIANCE] = step_word(s->log_variance[0]);
    words[STEP_LOG_VARIANCE + 1] = step_word(s->log_variance[1]);
    for (int i = 0; i < 4; i++)
        step_words_pair(s->coefficients[i], words + STEP_COEFFICIENTS + 2 * i);
}
