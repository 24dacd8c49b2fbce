// SPDX-License-Identifier: MIT
// A program: a dispatch list recorded once and replayed. Needs nothing per run but what the shaders read
// from the store's rings.
#ifndef IGVK_VULKAN_PROGRAM_H
#define IGVK_VULKAN_PROGRAM_H

#include "graph/plan.h"
#include "vulkan/store.h"

// Memory for activations, shared by programs that never overlap in flight on the queue's order (the recorder
// starts every program with a full barrier, so programs of one queue may share).
typedef struct workspace workspace;
igvk_status workspace_create(device *d, workspace **out);
void workspace_destroy(workspace **w); // after its programs
// Grows to hold `p`. Programs recorded before stay valid only if it did not grow: reserve for all, then record.
igvk_status workspace_reserve(workspace *w, const memory_plan *p);
uint64_t workspace_bytes(const workspace *w);

typedef struct program_options {
    bool timestamps;       // one pair per dispatch; read with program_times
    double max_submit_ms;  // cut between dispatches so that a submission stays below; 0: by device kind
} program_options;

typedef struct program program; // owns copies of what it needs; not list, plan or graph. Not the store or workspace.
igvk_status program_record(device *d, const dispatch_list *l, const memory_plan *p, store *s, workspace *w,
                           const program_options *o, program **out);
void program_destroy(program **p); // waits for its last run

// Submits one run; returns once fewer than `PROGRAM_IN_FLIGHT` earlier runs of the device are unfinished, so
// the host stays at most that far ahead and never waits for the one just submitted.
#define PROGRAM_IN_FLIGHT 3
// *ticket (may be null) names the run for device_wait_for. Device loss is IGVK_ERROR_DEVICE_LOST.
igvk_status program_run(program *p, uint64_t *ticket);
igvk_status device_wait_for(device *d, uint64_t ticket);   // until that run has finished
uint64_t device_last_finished(device *d);                  // tickets up to this have finished, without waiting

// Copies an activation kept by the plan to the host, after device_wait. `t` must lie in plan's `keep`.
igvk_status program_read(program *p, tensor_id t, void *out, uint64_t bytes);

// Nanoseconds per dispatch of the last finished run (timestamps on); count = the list's.
igvk_status program_times(program *p, double *nanoseconds, size_t count);
// Host CPU time to submit a run, smoothed, in microseconds.
double program_submit_cost(const program *p);

#endif
