// SPDX-License-Identifier: MIT
#include "api/autoencoder_program.h"

#include "core/text.h"
#include "vulkan/parameter_memory.h"

#include <string.h>

#define SET "autoencoder"
#define INPUT "autoencoder.in"

static igvk_status compile(autoencoder_program *p) {
    igvk_status status = IGVK_OK;
    const parameter_set set = {.layout = p->layout, .arena_name = SET, .role = ROLE_PARAMETER};
    graph *g = graph_new();
    TRY(g ? IGVK_OK : fail_memory("a graph", 0));
    const tensor_id in = graph_external(g, ROLE_INPUT, INPUT, STORAGE_F32, p->in);
    p->result = p->half == AUTOENCODER_DECODER ? autoencoder_decode(g, &p->file.config, &set, in)
                                               : autoencoder_encode(g, &p->file.config, &set, in);
    TRY(fail_within(graph_compile(&g, device_capabilities(p->device), &p->result, 1, &p->compiled), "--vae %s",
                    p->file.path));
    p->out = shape_of(p->compiled.graph, p->result);
done:
    graph_destroy(&g);
    return status;
}

static uint64_t input_bytes(const autoencoder_program *p) {
    return shape_elements(p->in) * sizeof(float);
}

uint64_t autoencoder_program_bytes(const autoencoder_program *p) {
    return p->compiled.plan.peak + parameter_memory_bytes(p->layout, STORAGE_F32) + input_bytes(p);
}

static igvk_status refuse_too_large(const autoencoder_program *p, const char *way_out) {
    const uint64_t need = autoencoder_program_bytes(p), available = device_memory_free(p->device);
    const tensor_shape image = p->half == AUTOENCODER_DECODER ? p->out : p->in;
    char a[32], b[32];
    if (available && need > available)
        return fail(IGVK_ERROR_DEVICE_MEMORY, "--vae %s: pictures of %llux%llu need %s of device memory, %s are free%s",
                    p->file.path, (unsigned long long)image.dim[3], (unsigned long long)image.dim[2],
                    format_bytes(a, need), format_bytes(b, available), way_out);
    return IGVK_OK;
}

static igvk_status load_weights(autoencoder_program *p) {
    igvk_status status = IGVK_OK;
    TRY(store_create(p->device, &p->store));
    TRY(store_add(p->store, INPUT, input_bytes(p), STORE_DEVICE));
    TRY(parameter_memory_add(p->store, p->layout, SET, STORAGE_F32));
    TRY(parameter_memory_fill(p->store, &(parameter_set){.layout = p->layout, .arena_name = SET},
                              &(parameter_source){.read = autoencoder_read, .user = &p->file}));
done:
    return status;
}

igvk_status autoencoder_program_load(autoencoder_program *p, device *d, tensor_shape in, const char *way_out) {
    igvk_status status = IGVK_OK;
    const capabilities *caps = device_capabilities(d);
    p->device = d;
    p->in = in;
    p->layout =
        parameter_layout_create(caps->max_binding < caps->max_allocation ? caps->max_binding : caps->max_allocation);
    TRY(p->layout ? IGVK_OK : fail_memory("the parameter layout", 0));
    autoencoder_parameters(&p->file.config, p->half, p->layout);
    TRY(parameter_layout_check(p->layout));
    TRY(compile(p));
    TRY(refuse_too_large(p, way_out));
    TRY(load_weights(p));
    TRY(workspace_create(d, &p->workspace));
    TRY(workspace_reserve(p->workspace, &p->compiled.plan));
    TRY(program_record(d, &p->compiled.list, &p->compiled.plan, p->store, p->workspace, NULL, &p->program));
done:
    return status;
}

void autoencoder_program_close(autoencoder_program *p) {
    program_destroy(&p->program);
    workspace_destroy(&p->workspace);
    compiled_graph_free(&p->compiled);
    store_destroy(&p->store);
    parameter_layout_destroy(&p->layout);
    autoencoder_close(&p->file);
    memset(p, 0, sizeof *p);
}

igvk_status autoencoder_program_run(autoencoder_program *p, const float *in, float *out) {
    igvk_status status = IGVK_OK;
    TRY(store_write(p->store, INPUT, 0, in, input_bytes(p)));
    TRY(program_run(p->program, NULL));
    TRY(device_wait(p->device));
    TRY(program_read(p->program, p->result, out, shape_elements(p->out) * sizeof *out));
done:
    return status;
}
