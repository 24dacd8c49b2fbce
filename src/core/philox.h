// SPDX-License-Identifier: MIT
// Random numbers are counted, not drawn: Philox4x32-10 (Salmon et al., SC 2011) of a key and a counter.
// shaders/include/philox.glsl is the same function on the device. The mapping below is frozen: a number
// depends on nothing but these words.
//
//   key     = (seed low 32 bits, seed high 32 bits)
//   counter = (element / 4, item, step, stream)      word 0 the least significant
//
// seed    the run's seed (training) or the image's own seed (sampling)
// stream  which use: igvk_stream_* below
// step    the optimizer step, the epoch or the solver step, by stream
// item    the sample's place in the effective batch (training), 0 where the seed is the image's own
// element the number's place within the item; the four words serve elements 4k..4k+3
#ifndef IGVK_CORE_PHILOX_H
#define IGVK_CORE_PHILOX_H

#include <stdint.h>

enum random_stream {
    STREAM_INITIALISATION = 1, // item: parameter's place in official order
    STREAM_NOISE = 2,          // training: normal per element
    STREAM_TIME = 3,           // training: element 0
    STREAM_LABEL_DROP = 4,     // training: element 0, uniform
    STREAM_FLIP = 5,           // training: element 0, uniform
    STREAM_EPOCH = 6,          // dataset order; step = epoch
    STREAM_LATENT = 7,         // sampling: the starting noise
    STREAM_SOLVER = 8,         // sampling: the SDE's noise, step = solver step
    STREAM_LABEL = 9,          // sampling: random class; item = image index
    STREAM_VALIDATION = 10,    // fixed noise of held-out images
    STREAM_GLYPH = 11,         // placement of glyphs
    STREAM_POSTERIOR = 13,     // training: which latent of its moments, normal per element
    STREAM_MASK = 12, // training: order of an image's tokens, uniform per token; item 2^32 - 1: the share masked
};

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// (x >> 8) 2^-24 + 2^-25: in (0, 1), never 0.
double random_uniform_of(uint32_t word);
// Box-Muller of four words: sqrt(-2 ln u0) (cos, sin)(2 pi u1), sqrt(-2 ln u2) (cos, sin)(2 pi u3), in f64.
void random_normals_of(const uint32_t words[4], double out[4]);

double random_uniform(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element);
double random_normal(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element);
uint32_t random_word(uint64_t seed, uint32_t stream, uint32_t step, uint32_t item, uint64_t element);

#endif
