// SPDX-License-Identifier: MIT
// Writing latents in the official layouts (data/latents.h). Work that is stopped goes on: what is written stays, beside
// a note of its settings, unfinished.txt, until latent_writer_finish; there is no dataset before.
#ifndef IGVK_DATA_LATENTS_WRITER_H
#define IGVK_DATA_LATENTS_WRITER_H

#include "core/status.h"

typedef struct latent_writer_options {
    const char *folder;                // new, empty, or of the same settings and unfinished
    const char *settings;              // all that the latents depend on, one line
    bool moments;                      // .npy files of means and deviations; else shards of latents, and statistics
    bool flips;                        // each image comes mirrored, too
    uint32_t channels, height, width;  // of a latent
    const char *const *class_names;
    uint32_t classes;
    uint64_t count, held_out;          // images, mirrored ones not counted; the last `held_out` are held out
    uint64_t shard_bytes;              // 0: 256 MiB
} latent_writer_options;

typedef struct latent_writer latent_writer;
igvk_status latent_writer_create(const latent_writer_options *o, latent_writer **out);
void latent_writer_destroy(latent_writer **w);
uint64_t latent_writer_done(const latent_writer *w); // images that an earlier run wrote: the next one to add
// The label of image i of those done, which dataset.json needs.
void latent_writer_label(latent_writer *w, uint64_t i, uint32_t label);
// The next image: moments [2 C, h, w], means then deviations, or a latent [C, h, w]; `mirrored` likewise, with flips.
igvk_status latent_writer_add(latent_writer *w, const float *values, const float *mirrored, uint32_t label);
igvk_status latent_writer_finish(latent_writer *w);

#endif
