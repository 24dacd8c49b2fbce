// SPDX-License-Identifier: MIT
// The sampler: a batch of images from noise, on the device. Programs are recorded for the kinds of stage a
// schedule has: with and without the null half, with and without the auxiliary head, sharing weights and memory,
// so that guidance outside its interval costs nothing. An image depends on its seed and label alone.
#ifndef IGVK_SAMPLING_SAMPLER_H
#define IGVK_SAMPLING_SAMPLER_H

#include "models/model.h"
#include "sampling/schedule.h"
#include "vulkan/program.h"

typedef struct sampler_options {
    device *device;
    store *store;                    // holds the parameter set; the sampler adds "sampling.*"
    workspace *workspace;            // null: one of its own; else shared with programs that never run meanwhile
    const model_config *config;      // copied
    const parameter_set *parameters; // copied; its layout must outlive the sampler
    // Autoguidance: where there, this model's final output takes the place of the auxiliary head's, with `ig` as its
    // scale. Of the same images, classes and time; copied and in the same store, likewise.
    const model_config *weak_config;
    const parameter_set *weak_parameters;
    uint32_t batch;
    const sampling_stage *stages;    // which kinds of stage to record for; later runs may use other stages of these kinds
    size_t stage_count;
    bool adaptive;                   // to run by sampling_run.adaptive; stages as schedule_make gives them for it
    uint32_t cfg_channels;           // CFG acts on the first so many channels; 0: all
    bool given_noise;                // the SDE's or DDPM's noise comes from the caller (parity), not from seeds
} sampler_options;

typedef struct sampler sampler;
igvk_status sampler_create(const sampler_options *o, sampler **out);
void sampler_destroy(sampler **s);
// Device memory for activations that a sampler of these options would plan, without touching a device.
igvk_status sampler_plan_bytes(const sampler_options *o, const capabilities *c, uint64_t *bytes);

// Of an adaptive run, whose count of steps is not known before, what after_step is told: parts of the way.
#define SAMPLING_ADAPTIVE_PARTS 100

typedef struct sampling_run {
    const sampling_method *adaptive; // null: the stages; else SOLVER_DOPRI5, and images depend on their batch
    uint32_t *calls;                 // of the model in an adaptive run; may be null
    const sampling_stage *stages;
    size_t stage_count;
    const uint32_t *labels;  // [batch], null where the model has no classes
    const uint64_t *seeds;   // [batch]; null with latents and given noise
    const float *latents;    // [batch, C, H, W] at t = 1; null: from the seeds
    const float *noise;      // given_noise: [steps, batch, C, H, W] by stage.step; steps that draw none are not read
    // After each stage that commits; may read the state. Returning an error ends the run with it. May be null.
    igvk_status (*after_step)(void *user, uint32_t step);
    void *user;
} sampling_run;
igvk_status sampler_run(sampler *s, const sampling_run *r);
// The state, high parts: [batch, C, H, W].
igvk_status sampler_read(sampler *s, float *out);

#endif
