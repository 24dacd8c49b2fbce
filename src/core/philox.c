// SPDX-License-Identifier: MIT
// Philox4x32-10 and the two distributions made of its words.
#include "core/philox.h"

#include <math.h>

#define PHILOX_ROUNDS 10
#define TWO_PI 6.283185307179586476925286766559

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9u; // the golden ratio
        k1 += 0xBB67AE85u; // sqrt(3) - 1
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

double random_uniform_of(uint32_t word) {
    return (word >> 8) * 0x1p-24 + 0x1p-25;
}

void random_normals_of(const uint32_t words[4], double out[4]) {
    for (int pair = 0; pair < 4; pair += 2) {
        double radius = sqrt(-2 * log(random_uniform_of(words[pair])));
        double angle = TWO_PI * random_uniform_of(words[pair + 1]);
        out[pair] = radius * cos(angle);
        out[pair + 1] = radius * sin(angle);
    }
}

static void words_of(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element, uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)(element / 4), item, step, stream};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    philox4x32(counter, key, out);
}

uint32_t random_word(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element) {
    uint32_t words[4];
    words_of(seed, stream, step, item, element, words);
    return words[element % 4];
}

double random_uniform(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element) {
    return random_uniform_of(random_word(seed, stream, step, item, element));
}

double random_normal(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element) {
    uint32_t words[4];
    double normals[4];
    words_of(seed, stream, step, item, element, words);
    random_normals_of(words, normals);
    return normals[element % 4];
}
