// SPDX-License-Identifier: MIT
#include "vulkan/run_once.h"

#include <stdlib.h>

static igvk_status give_inputs(store *s, const once_input *inputs, size_t count) {
    igvk_status status = IGVK_OK;
    for (size_t i = 0; i < count; i++) {
        TRY(store_add(s, inputs[i].name, inputs[i].bytes, STORE_DEVICE));
        if (inputs[i].data)
            TRY(store_write(s, inputs[i].name, 0, inputs[i].data, inputs[i].bytes));
    }
done:
    return status;
}

igvk_status run_once(device *d, store *s, graph **g, const once_input *inputs, size_t input_count,
                     const once_output *outputs, size_t output_count) {
    igvk_status status = IGVK_OK;
    compiled_graph compiled = {0};
    workspace *w = NULL;
    program *p = NULL;
    tensor_id *keep = calloc(output_count + 1, sizeof *keep);
    if (!keep) {
        graph_destroy(g);
        return fail_memory("a list of outputs", output_count * sizeof *keep);
    }
    for (size_t i = 0; i < output_count; i++)
        keep[i] = outputs[i].tensor;
    TRY(graph_compile(g, device_capabilities(d), keep, output_count, &compiled));
    TRY(give_inputs(s, inputs, input_count));
    TRY(workspace_create(d, &w));
    TRY(workspace_reserve(w, &compiled.plan));
    TRY(program_record(d, &compiled.list, &compiled.plan, s, w, NULL, &p));
    TRY(program_run(p, NULL));
    TRY(device_wait(d));
    for (size_t i = 0; i < output_count; i++)
        TRY(program_read(p, outputs[i].tensor, outputs[i].data, outputs[i].bytes));
done:
    program_destroy(&p);
    workspace_destroy(&w);
    compiled_graph_free(&compiled);
    free(keep);
    return status;
}
