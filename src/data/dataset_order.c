// SPDX-License-Identifier: MIT
// The training order: a keyed permutation computed position by position. A Feistel network permutes the
// smallest square power of two that holds the count (at most four times the count); what falls outside the
// count is permuted again until it falls inside (cycle walking), which keeps it a permutation.
#include "core/philox.h"
#include "data/dataset.h"

// Few rounds would do for large counts; the narrow halves of small ones mix only bits at a time.
enum { ROUNDS = 12 };

static uint64_t permute(uint64_t seed, uint32_t epoch, uint32_t half_bits, uint64_t value) {
    uint64_t mask = (UINT64_C(1) << half_bits) - 1;
    uint64_t left = value >> half_bits;
    uint64_t right = value & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        // Word 0 of the Philox block whose counter is (right, round, epoch, STREAM_EPOCH).
        uint64_t mixed = left ^ (random_word(seed, STREAM_EPOCH, epoch, round, 4 * right) & mask);
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

uint64_t dataset_order(uint64_t seed, uint32_t epoch, uint64_t position, uint64_t training_count) {
    if (training_count < 2)
        return 0;
    uint32_t half_bits = 1;
    while (half_bits < 31 && UINT64_C(1) << (2 * half_bits) < training_count)
        half_bits++;
    do
        position = permute(seed, epoch, half_bits, position);
    while (position >= training_count);
    return position;
}
