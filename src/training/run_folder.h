// SPDX-License-Identifier: MIT
// A run's folder:
//   config.json                       the resolved options
//   log.jsonl                         one JSON object a line: steps, validations
//   checkpoint-00001234.safetensors   the newest `keep`
//   samples/step-00001234.png         sample sheets
#ifndef IGVK_TRAINING_RUN_FOLDER_H
#define IGVK_TRAINING_RUN_FOLDER_H

#include "core/status.h"

// All paths malloc'd; null where memory is out.
char *run_checkpoint_path(const char *run, uint64_t step);
char *run_sheet_path(const char *run, uint64_t step);
char *run_config_path(const char *run);
igvk_status run_write_config(const char *run, const char *json); // whole or not at all
// Steps of the checkpoints in the folder, ascending; malloc'd.
igvk_status run_checkpoints(const char *run, uint64_t **steps, size_t *count);
// The newest checkpoint's path; refuses a folder without one.
igvk_status run_newest_checkpoint(const char *run, char **path);
// Checkpoints that the folder needs room for beside those in it: `keep`, and one more while it is written.
igvk_status run_missing_checkpoints(const char *run, uint64_t keep, uint64_t *count);
// Removes all but the newest `keep` checkpoints, and leftovers.
igvk_status run_prune(const char *run, uint64_t keep);
// Removes what writes of this folder's files left when they were killed. None may be under way.
igvk_status run_remove_leftovers(const char *run);

// The log: opened for appending; on a resumed run lines of steps >= first_step go first.
typedef struct run_log run_log;
igvk_status run_log_open(const char *run, uint64_t first_step, run_log **out);
igvk_status run_log_line(run_log *l, const char *json, ...) PRINTF_LIKE(2, 3); // flushed; a newline is added
void run_log_close(run_log **l);

#endif
