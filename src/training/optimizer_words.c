// SPDX-License-Identifier: MIT
// The optimizer's numbers of a step, computed in f64, as words of the step block.
#include "training/optimizer.h"

#include "step_block.h"

#include <math.h>
#include <string.h>

double optimizer_rate(const optimizer_settings *o, uint64_t step) {
    if (step + 1 >= o->warmup)
        return o->learning_rate;
    return o->learning_rate * (double)(step + 1) / (double)o->warmup;
}

double optimizer_ema_decay(const optimizer_settings *o, uint64_t step) {
    double rising = (1.0 + (double)step) / (10.0 + (double)step);
    return o->ema_warmup && rising < o->ema_decay ? rising : o->ema_decay;
}

static void put(uint32_t *words, int index, double value) {
    float f = (float)value;
    memcpy(&words[index], &f, sizeof f);
}

// AdamW's corrections at its k-th update.
static void put_biases(uint32_t *words, int index, const optimizer_settings *o, double rate, double k) {
    k = k < 1 ? 1 : k;
    put(words, index, rate / (1 - pow(o->beta1, k)));
    put(words, index + 1, 1 / sqrt(1 - pow(o->beta2, k)));
}

void optimizer_words(const optimizer_settings *o, uint64_t step, uint64_t skipped, uint32_t *words) {
    double k = (double)(step + 1 - skipped), rate = optimizer_rate(o, step), decay = optimizer_ema_decay(o, step);
    put(words, STEP_LEARNING_RATE, rate);
    put(words, STEP_BETA1, o->beta1);
    put(words, STEP_BETA2, o->beta2);
    put(words, STEP_RATE1, 1 - o->beta1);
    put(words, STEP_RATE2, 1 - o->beta2);
    put(words, STEP_EPSILON, o->epsilon);
    put(words, STEP_WEIGHT_DECAY, o->weight_decay);
    words[STEP_SKIPPED] = (uint32_t)skipped;
    put_biases(words, STEP_BIAS1, o, rate, k);
    for (int fewer = 1; fewer <= STEP_FEWER; fewer++)
        put_biases(words, STEP_BIAS_FEWER + 2 * (fewer - 1), o, rate, k - fewer);
    put(words, STEP_MAX_NORM, o->clip > 0 ? o->clip : 1e30); // 0: any
    put(words, STEP_MUON_MOMENTUM, o->momentum);
    put(words, STEP_MUON_RATE, 1 - o->momentum);
    put(words, STEP_MUON_DECAY, o->matrix_decay);
    put(words, STEP_EMA_DECAY, decay);
    put(words, STEP_EMA_RATE, 1 - decay);
}
