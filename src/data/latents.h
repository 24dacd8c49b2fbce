// SPDX-License-Identifier: MIT
// Latents in the layouts of the official training scripts, read where they lie.
//
//   moments   REPA's and SiT+IG's (edm2's dataset_tool): FOLDER/dataset.json or FOLDER/vae-sd/dataset.json,
//             {"labels": [["00000/img-mean-std-00000000.npy", 0], ...]}, each file an f4 or f2 array [2 C, h, w], mean
//             then deviation of a latent; a sample is (mean + deviation normal) 0.18215
//   latents   LightningDiT's: FOLDER/*.safetensors with "latents" and "latents_flip" [n, C, h, w] and "labels" [n], and
//             FOLDER/latents_stats.pt (or .safetensors) with "mean" and "std"; a sample is (latent - mean) / std
//
// igvk's own keys beside them, which the official scripts pass over: "classes" and "held_out" of dataset.json, and in
// the first shard's metadata "igvk.classes" (a JSON list) and "igvk.held_out". Without them classes are numbered and
// nothing is held out.
#ifndef IGVK_DATA_LATENTS_H
#define IGVK_DATA_LATENTS_H

#include "core/memory.h"
#include "data/dataset.h"

#define LATENT_SCALE 0.18215 // of SD-VAE's latents (method, chapter 3)

typedef struct latent_set latent_set;
// Whether the folder is of one of these layouts, by what lies in it; broken ones are refused when opened.
bool latent_set_recognise(const char *folder);
// Fills all of *info; texts lie in `texts`. The whole layout is checked but what is inside the .npy files but the
// first, which is when each is read.
igvk_status latent_set_open(const char *folder, arena *texts, latent_set **out, dataset_info *info);
void latent_set_close(latent_set **s); // takes null
igvk_status latent_set_read(latent_set *s, uint64_t index, const dataset_draw *draw, float *out, uint32_t *label);

#endif
