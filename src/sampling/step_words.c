// SPDX-License-Identifier: MIT
#include "sampling/step_words.h"

#include <string.h>

static uint32_t bits(double value) {
    float f = (float)value;
    uint32_t word;
    memcpy(&word, &f, sizeof word);
    return word;
}

void step_words_of_stage(const sampling_stage *s, uint32_t words[STEP_WORDS]) {
    words[STEP_INDEX] = s->step;
    words[STEP_TIME] = bits(s->time);
    words[STEP_IG_SCALE] = bits(s->ig);
    words[STEP_CFG_SCALE] = bits(s->cfg);
    words[STEP_COMMIT] = s->commit;
    for (int i = 0; i < 4; i++) { // a pair of floats holds 48 bits of the f64
        words[STEP_COEFFICIENTS + 2 * i] = bits(s->coefficients[i]);
        words[STEP_COEFFICIENTS + 2 * i + 1] = bits(s->coefficients[i] - (float)s->coefficients[i]);
    }
}
