// SPDX-License-Identifier: MIT
// Parity of models of discrete times, whose folders hold runs of several sorts.
#include "api/parity_case.h"

#include <string.h>

igvk_status parity_run_diffusion(parity_case *c) {
    igvk_status status = IGVK_OK;
    size_t i;
    json_t *entry;
    json_array_foreach(c->runs, i, entry) {
        if (strcmp(parity_text_or(entry, "name", ""), "forward") == 0)
            TRY(parity_forward_run(c, entry));
    }
    TRY(parity_run_sampler(c));
done:
    return status;
}
